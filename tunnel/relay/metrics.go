package relay

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// metrics of one node. No label names a clinic.
type metrics struct {
	registry *prometheus.Registry

	ingest        ingestCounters
	appendTime    prometheus.Histogram
	sendTime      prometheus.Histogram
	ackTime       prometheus.Histogram
	fullSeconds   prometheus.Counter
	handshakes    *prometheus.CounterVec
	closes        *prometheus.CounterVec
	reconnects    *prometheus.CounterVec
	pairings      *prometheus.CounterVec
	gaps          *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	notices       *prometheus.CounterVec
	takeovers     prometheus.Counter
	zombies       prometheus.Counter
	unknownFrames prometheus.Counter
	staleAcks     prometheus.Counter
	wakeups       prometheus.Counter
	lateWakeups   prometheus.Counter
	expired       prometheus.Counter
	storeErrors   prometheus.Counter
	storeFull     prometheus.Counter
}

// ingestCounters counts webhooks by result.
type ingestCounters struct {
	ok, unknown, limited, tooLarge, unavailable, bad prometheus.Counter
}

func (c *ingestCounters) count(status int) {
	switch status {
	case http.StatusOK:
		c.ok.Inc()
	case http.StatusTooManyRequests:
		c.limited.Inc()
	case http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong:
		c.tooLarge.Inc()
	case http.StatusServiceUnavailable:
		c.unavailable.Inc()
	default:
		c.bad.Inc()
	}
}

// buckets of latencies in seconds.
var buckets = []float64{.0005, .001, .002, .004, .006, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}

func newMetrics(reg *prometheus.Registry, r *Relay) (*metrics, error) {
	m := &metrics{registry: reg}
	var all []prometheus.Collector
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "rayhound_relay_" + name, Help: help})
		all = append(all, c)
		return c
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rayhound_relay_" + name, Help: help}, []string{label})
		all = append(all, c)
		return c
	}
	histogram := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rayhound_relay_" + name, Help: help, Buckets: buckets})
		all = append(all, h)
		return h
	}
	in := vec("ingest_total", "Webhooks by result.", "result")
	m.ingest = ingestCounters{
		in.WithLabelValues("ok"), in.WithLabelValues("unknown"), in.WithLabelValues("limited"),
		in.WithLabelValues("too_large"), in.WithLabelValues("unavailable"), in.WithLabelValues("bad"),
	}
	m.appendTime = histogram("ingest_seconds", "From the head of a webhook to its durable commit.")
	m.sendTime = histogram("receipt_to_sent_seconds", "From the receipt of an event to its writing to the agent.")
	m.ackTime = histogram("receipt_to_ack_seconds", "From the receipt of an event to the agent's ack.")
	m.fullSeconds = counter("window_full_seconds_total", "Time that agents' windows were full.")
	m.handshakes = vec("handshakes_total", "Handshakes by result.", "result")
	m.closes = vec("closes_total", "Sockets closed by this node, by code.", "code")
	m.reconnects = vec("lost_total", "Sockets closed by the agent or the network, by code.", "code")
	m.pairings = vec("pairings_total", "Pairings by result.", "result")
	m.gaps = vec("gaps_total", "Gaps announced to agents, by reason.", "reason")
	m.dropped = vec("dropped_events_total", "Events removed before a clinic took them, by reason.", "reason")
	m.notices = vec("notices_total", "Incidents told to the operator, by kind; each node that sees one counts it.", "kind")
	m.takeovers = counter("takeovers_total", "Clinics taken over by another computer.")
	m.zombies = counter("zombies_total", "Silent or stuck sockets that were closed.")
	m.unknownFrames = counter("unknown_frames_total", "Control frames of types this version does not know.")
	m.staleAcks = counter("stale_acks_total", "Acks of sessions that had lost their clinic.")
	m.wakeups = counter("wakeups_total", "Wake-ups taken from the store.")
	m.lateWakeups = counter("late_wakeups_total", "Events found by asking, because no wake-up came.")
	m.expired = counter("expired_events_total", "Events removed after their ack.")
	m.storeErrors = counter("store_errors_total", "Calls of the store that failed.")
	m.storeFull = counter("store_full_total", "Webhooks refused because the store is full.")
	all = append(all, gauges(r)...)
	all = append(all, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if c, ok := r.cfg.Store.(prometheus.Collector); ok {
		all = append(all, c)
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("relay: metrics: %w", err)
		}
	}
	return m, nil
}

// gauges are read when somebody asks.
func gauges(r *Relay) []prometheus.Collector {
	gauge := func(name, help string, labels prometheus.Labels, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rayhound_relay_" + name, Help: help, ConstLabels: labels}, f)
	}
	snap := func(f func(*snapshot) float64) func() float64 {
		return func() float64 {
			if s := r.snapshot.Load(); s != nil {
				return f(s)
			}
			return 0
		}
	}
	health := func(f func(*Health) float64) func() float64 {
		return func() float64 {
			if h := r.health.Load(); h != nil {
				return f(h)
			}
			return -1
		}
	}
	age := "Age of the oldest unacked event, over the clinics that have one."
	return []prometheus.Collector{
		gauge("agents", "Agents connected to this node.", prometheus.Labels{"transport": overWebsocket}, func() float64 { return float64(r.sessions.count()) }),
		gauge("agents", "Agents connected to this node.", prometheus.Labels{"transport": overPoll}, func() float64 { return float64(r.polls.count()) }),
		gauge("clinics_offline", "Paired clinics that nobody has heard of for two minutes.", nil, snap(func(s *snapshot) float64 { return float64(s.offline) })),
		gauge("backlog_events", "Unacked events of all clinics.", nil, snap(func(s *snapshot) float64 { return float64(s.backlog) })),
		gauge("backlog_age_seconds", age, prometheus.Labels{"quantile": "0.5"}, snap(func(s *snapshot) float64 { return s.age50.Seconds() })),
		gauge("backlog_age_seconds", age, prometheus.Labels{"quantile": "0.99"}, snap(func(s *snapshot) float64 { return s.age99.Seconds() })),
		gauge("backlog_age_seconds", age, prometheus.Labels{"quantile": "1"}, snap(func(s *snapshot) float64 { return s.ageMax.Seconds() })),
		gauge("database_bytes", "Size of the database; -1: unknown.", nil, health(func(h *Health) float64 { return float64(h.DatabaseBytes) })),
		gauge("disk_used_ratio", "Share of the database's disk in use; -1: unknown.", nil, health(func(h *Health) float64 { return h.DiskUsed })),
		gauge("store_queue", "Events waiting for the store's writer.", nil, health(func(h *Health) float64 { return float64(h.Queued) })),
	}
}

func codeLabel(c wire.CloseCode) string {
	if c == wire.CloseUnknownCode {
		return "none"
	}
	return strconv.Itoa(int(c))
}

// closed counts a socket closed by us; 0 means that there was nobody to tell.
func (m *metrics) closed(c wire.CloseCode) { m.closes.WithLabelValues(codeLabel(c)).Inc() }

// lost counts a socket that the other side ended. Codes are bounded, because an agent chooses them.
func (m *metrics) lost(c wire.CloseCode) {
	label := "other"
	if c == wire.CloseNormal || c == wire.CloseGoingAway || c == wire.CloseUnknownCode {
		label = codeLabel(c)
	}
	m.reconnects.WithLabelValues(label).Inc()
}
