package metrics

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what the appliance does. It is safe for use by several
// goroutines. A nil *Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry

	hints      *prometheus.CounterVec
	reconciled *prometheus.CounterVec
	reconcile  prometheus.Histogram
	visible    prometheus.Histogram
	orders     *prometheus.GaugeVec
	worklist   prometheus.Gauge
	outbox     *prometheus.GaugeVec
	outboxAge  *prometheus.GaugeVec
	deliveries *prometheus.CounterVec
	delivery   *prometheus.HistogramVec
	assocs     *prometheus.CounterVec
	openAssocs prometheus.Gauge
	finds      *prometheus.CounterVec
	findTime   prometheus.Histogram
	answers    prometheus.Counter
	mpps       *prometheus.CounterVec
	hl7In      *prometheus.CounterVec
	apiCalls   *prometheus.CounterVec
	apiTime    *prometheus.HistogramVec
	commit     prometheus.Histogram
	problems   *prometheus.GaugeVec
	lastPoll   prometheus.Gauge
	restarts   *prometheus.CounterVec
	unmatched  prometheus.Gauge
	lastBackup prometheus.Gauge
	tunnel     tunnelMetrics
}

// short are the buckets of things that take 50 µs to 5 s.
var short = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 5}

// long are the buckets of things that take 1 ms to an hour.
var long = []float64{.001, .005, .01, .02, .05, .1, .25, .5, 1, 5, 30, 120, 600, 3600}

// New returns a registry with everything at zero.
func New(version string) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{registry: r}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "rayhound", Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "rayhound", Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "rayhound", Name: name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	single := func(h *prometheus.HistogramVec) prometheus.Histogram {
		return h.WithLabelValues().(prometheus.Histogram)
	}

	m.hints = counter("hints_total", "Requests to look at an order, by reason.", "reason")
	m.reconciled = counter("reconciled_total", "Orders looked at, by outcome.", "outcome")
	m.reconcile = single(histogram("reconcile_seconds", "Reading an order from Provet Cloud and storing what follows.", long))
	m.visible = single(histogram("signal_to_worklist_seconds", "From a signal to the order being on the worklist.", long))
	m.orders = gauge("orders", "Orders by state.", "state")
	m.worklist = gauge("worklist_steps", "Scheduled procedure steps offered now.").WithLabelValues()
	m.outbox = gauge("outbox_messages", "What is still owed to others, by destination and state.", "destination", "state")
	m.outboxAge = gauge("outbox_oldest_seconds", "Age of the oldest message that is ready or leased.", "destination")
	m.deliveries = counter("deliveries_total", "Attempts to deliver, by destination and outcome.", "destination", "outcome")
	m.delivery = histogram("delivery_seconds", "From the change to its acceptance by the destination.", long, "destination")
	m.assocs = counter("dicom_associations_total", "DICOM associations, by how they ended.", "outcome")
	m.openAssocs = gauge("dicom_associations_open", "DICOM associations open now.").WithLabelValues()
	m.finds = counter("dicom_finds_total", "Worklist queries, by outcome.", "outcome")
	m.findTime = single(histogram("dicom_find_seconds", "Time to answer a worklist query.", short))
	m.answers = counter("dicom_find_answers_total", "Worklist items returned.").WithLabelValues()
	m.mpps = counter("dicom_mpps_total", "MPPS messages, by operation and outcome.", "operation", "outcome")
	m.hl7In = counter("hl7_received_total", "HL7 messages received, by outcome.", "outcome")
	m.apiCalls = counter("provet_calls_total", "Calls of the Provet Cloud API, by resource and class of the answer.", "resource", "class")
	m.apiTime = histogram("provet_call_seconds", "Time of a call of the Provet Cloud API.", long, "resource")
	m.commit = single(histogram("db_commit_seconds", "Time of a committed write.", short))
	m.problems = gauge("problems", "Problems active now, by code.", "code")
	m.lastPoll = gauge("provet_last_poll_timestamp_seconds", "Last complete poll of changed orders.").WithLabelValues()
	m.restarts = counter("component_restarts_total", "Parts of the service that were started again.", "component")
	m.unmatched = gauge("arrivals_unmatched", "Arrivals that belong to no order yet.").WithLabelValues()
	m.lastBackup = gauge("backup_last_timestamp_seconds", "Last good backup.").WithLabelValues()

	m.tunnel = newTunnelMetrics(r)

	info := gauge("build_info", "The version of this program.", "version")
	info.WithLabelValues(version).Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers with the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// word returns s as a label value: a word of the program. What looks like an id,
// a sentence or a name becomes "other".
func word(s string) string {
	if s == "" || len(s) > 40 || strings.Trim(s, "0123456789.-") == "" {
		return "other"
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.:-", r) {
			return "other"
		}
	}
	return s
}

// Hint counts a request to look at an order.
func (m *Metrics) Hint(reason string) {
	if m != nil {
		m.hints.WithLabelValues(word(reason)).Inc()
	}
}

// Reconciled counts an order looked at: outcome new, same, revised, withdrawn,
// forgotten, held, failed.
func (m *Metrics) Reconciled(outcome string, took time.Duration) {
	if m != nil {
		m.reconciled.WithLabelValues(word(outcome)).Inc()
		m.reconcile.Observe(took.Seconds())
	}
}

// Visible measures the time from a signal to the order being on the worklist.
func (m *Metrics) Visible(d time.Duration) {
	if m != nil {
		m.visible.Observe(d.Seconds())
	}
}

// SetOrders sets the number of orders in each state.
func (m *Metrics) SetOrders(byState map[string]int) {
	if m == nil {
		return
	}
	for state, n := range byState {
		m.orders.WithLabelValues(word(state)).Set(float64(n))
	}
}

// SetWorklist sets the number of steps offered.
func (m *Metrics) SetWorklist(steps int) {
	if m != nil {
		m.worklist.Set(float64(steps))
	}
}

// SetOutbox sets what is owed to a destination and the age of the oldest
// message, 0 when there is none.
func (m *Metrics) SetOutbox(destination string, ready, leased, parked int, oldest time.Duration) {
	if m == nil {
		return
	}
	d := word(destination)
	m.outbox.WithLabelValues(d, "ready").Set(float64(ready))
	m.outbox.WithLabelValues(d, "leased").Set(float64(leased))
	m.outbox.WithLabelValues(d, "parked").Set(float64(parked))
	m.outboxAge.WithLabelValues(d).Set(oldest.Seconds())
}

// Attempted counts an attempt to deliver: outcome delivered, later, parked.
func (m *Metrics) Attempted(destination, outcome string) {
	if m != nil {
		m.deliveries.WithLabelValues(word(destination), word(outcome)).Inc()
	}
}

// Delivered measures the time from a change to its acceptance.
func (m *Metrics) Delivered(destination string, latency time.Duration) {
	if m != nil {
		m.delivery.WithLabelValues(word(destination)).Observe(latency.Seconds())
	}
}

// Association counts an association by how it ended.
func (m *Metrics) Association(outcome string) {
	if m != nil {
		m.assocs.WithLabelValues(word(outcome)).Inc()
	}
}

// SetAssociations sets the number of associations open now.
func (m *Metrics) SetAssociations(n int) {
	if m != nil {
		m.openAssocs.Set(float64(n))
	}
}

// Find counts a worklist query.
func (m *Metrics) Find(outcome string, matches int, took time.Duration) {
	if m != nil {
		m.finds.WithLabelValues(word(outcome)).Inc()
		m.findTime.Observe(took.Seconds())
		m.answers.Add(float64(max(0, matches)))
	}
}

// MPPS counts a message: operation create or set.
func (m *Metrics) MPPS(operation, outcome string) {
	if m != nil {
		m.mpps.WithLabelValues(word(operation), word(outcome)).Inc()
	}
}

// HL7Received counts a message of a RIS: accepted, repeated, refused, failed; bad
// for bytes that are no message and callers that were refused.
func (m *Metrics) HL7Received(outcome string) {
	if m != nil {
		m.hl7In.WithLabelValues(word(outcome)).Inc()
	}
}

// APICall counts a call of the Provet Cloud API by resource and class: ok,
// transient, auth and so on.
func (m *Metrics) APICall(resource, class string, took time.Duration) {
	if m != nil {
		m.apiCalls.WithLabelValues(word(resource), word(class)).Inc()
		m.apiTime.WithLabelValues(word(resource)).Observe(took.Seconds())
	}
}

// Commit measures a committed write.
func (m *Metrics) Commit(took time.Duration) {
	if m != nil {
		m.commit.Observe(took.Seconds())
	}
}

// SetProblems sets the active problems; codes that are not named are gone.
func (m *Metrics) SetProblems(byCode map[string]int) {
	if m == nil {
		return
	}
	m.problems.Reset()
	for code, n := range byCode {
		m.problems.WithLabelValues(word(code)).Set(float64(n))
	}
}

// Polled notes a complete poll of changed orders.
func (m *Metrics) Polled(at time.Time) {
	if m != nil {
		m.lastPoll.Set(float64(at.Unix()))
	}
}

// Restarted counts a part of the service that was started again.
func (m *Metrics) Restarted(component string) {
	if m != nil {
		m.restarts.WithLabelValues(word(component)).Inc()
	}
}

// SetUnmatched sets the number of arrivals without an order.
func (m *Metrics) SetUnmatched(n int) {
	if m != nil {
		m.unmatched.Set(float64(n))
	}
}

// BackedUp notes a good backup.
func (m *Metrics) BackedUp(at time.Time) {
	if m != nil {
		m.lastBackup.Set(float64(at.Unix()))
	}
}
