package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// tunnelMetrics are those of the tunnel.
type tunnelMetrics struct {
	up     prometheus.Gauge
	heard  prometheus.Gauge
	events *prometheus.CounterVec
	gaps   prometheus.Counter
	inbox  *prometheus.GaugeVec
}

func newTunnelMetrics(r *prometheus.Registry) tunnelMetrics {
	opts := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "rayhound", Name: name, Help: help}
	}
	m := tunnelMetrics{
		up:    prometheus.NewGauge(opts("tunnel_connected", "1 while the relay is connected and heard.")),
		heard: prometheus.NewGauge(opts("tunnel_last_heard_timestamp_seconds", "Last frame of the relay.")),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "rayhound", Name: "tunnel_events_total", Help: "Events taken from the relay, by kind and what became of them.",
		}, []string{"kind", "state"}),
		gaps:  prometheus.NewCounter(prometheus.CounterOpts{Namespace: "rayhound", Name: "tunnel_gaps_total", Help: "Holes in what came through the tunnel."}),
		inbox: prometheus.NewGaugeVec(opts("tunnel_inbox_events", "Events kept, by state: new, poison."), []string{"state"}),
	}
	r.MustRegister(m.up, m.heard, m.events, m.gaps, m.inbox)
	return m
}

// SetTunnel says whether the relay is connected and when it was last heard.
func (m *Metrics) SetTunnel(up bool, heard time.Time) {
	if m == nil {
		return
	}
	m.tunnel.up.Set(0)
	if up {
		m.tunnel.up.Set(1)
	}
	if !heard.IsZero() {
		m.tunnel.heard.Set(float64(heard.Unix()))
	}
}

// kinds are the kinds of events that have a label of their own.
var kinds = map[string]bool{"worklist.created": true, "worklist.updated": true, "worklist.deleted": true, "credentials": true, "test": true}

// TunnelEvent counts an event by its kind and its state: new, done, poison.
func (m *Metrics) TunnelEvent(kind, state string) {
	if m == nil {
		return
	}
	if !kinds[kind] {
		kind = "other" // a kind is the relay's word
	}
	m.tunnel.events.WithLabelValues(kind, word(state)).Inc()
}

// TunnelGap counts a hole.
func (m *Metrics) TunnelGap() {
	if m != nil {
		m.tunnel.gaps.Inc()
	}
}

// SetInbox sets how many events wait and how many cannot be used.
func (m *Metrics) SetInbox(waiting, poison int) {
	if m != nil {
		m.tunnel.inbox.WithLabelValues("new").Set(float64(waiting))
		m.tunnel.inbox.WithLabelValues("poison").Set(float64(poison))
	}
}
