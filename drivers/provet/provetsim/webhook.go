package provetsim

import (
	"encoding/json"
	"net/url"
	"strconv"
	"time"
)

const maxQueue = 10_000

// States of a delivery in hook/queue/. The numbers are invented.
const (
	deliveryPending   = 0
	deliveryDelivered = 1
	deliveryFailed    = 2
)

// WebhookFaults are the ways the delivery of webhooks goes wrong.
type WebhookFaults struct {
	Drop    float64       // share that is lost for good, 0 to 1
	Double  float64       // share that is delivered twice
	Copies  int           // each is delivered so many times in all; zero: once
	Delay   time.Duration // added to each
	Reorder time.Duration // a random delay up to this, so that later ones overtake
	Hold    bool          // nothing is delivered until the faults are set again
	Reverse bool          // what was held is then delivered last first, one after the other
}

// SetWebhookFaults replaces the faults of the delivery.
func (s *Sim) SetWebhookFaults(f WebhookFaults) {
	s.changeWebhookFaults(func(was *WebhookFaults) { *was = f })
}

// WebhookFaults returns the faults of the delivery in force.
func (s *Sim) WebhookFaults() WebhookFaults {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return s.hooks.faults
}

func (s *Sim) changeWebhookFaults(change func(*WebhookFaults)) {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	was := s.hooks.faults
	change(&s.hooks.faults)
	if was.Hold && !s.hooks.faults.Hold {
		s.hooks.release(was.Reverse || s.hooks.faults.Reverse)
	}
}

// DropWebhooks loses the share p of all webhooks from now on.
func (s *Sim) DropWebhooks(p float64) { s.changeWebhookFaults(func(f *WebhookFaults) { f.Drop = p }) }

// DoubleWebhooks delivers the share p of all webhooks twice.
func (s *Sim) DoubleWebhooks(p float64) {
	s.changeWebhookFaults(func(f *WebhookFaults) { f.Double = p })
}

// DelayWebhooks delivers every webhook d later.
func (s *Sim) DelayWebhooks(d time.Duration) {
	s.changeWebhookFaults(func(f *WebhookFaults) { f.Delay = d })
}

// ReorderWebhooks delays every webhook by a random time up to d.
func (s *Sim) ReorderWebhooks(d time.Duration) {
	s.changeWebhookFaults(func(f *WebhookFaults) { f.Reorder = d })
}

// RegisterWebhook adds a hook and returns its id.
func (s *Sim) RegisterWebhook(w Webhook) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	setDefault(&w.ContentType, contentTypeForm)
	return s.add("webhook", s.now(), record{
		"name": w.Name, "trigger": w.Trigger, "url": w.URL, "content_type": w.ContentType,
		"active": !w.Inactive, "department": orNull(w.Department),
	})
}

// RegisterImagingWebhooks adds the three hooks of the imaging worklist (6, 7, 8),
// all to one URL.
func (s *Sim) RegisterImagingWebhooks(target string) {
	for _, trigger := range []int{TriggerOrderCreated, TriggerOrderUpdated, TriggerOrderDeleted} {
		s.RegisterWebhook(Webhook{Trigger: trigger, URL: target})
	}
}

// fireOrder fires a hook of the imaging worklist. The caller holds mu.
func (s *Sim) fireOrder(trigger int, r *row) {
	s.fire(trigger, "diagnosticimagingworklist_id", r.id, r.int(s.tables["worklist"].res.col("department")))
}

// fire queues a delivery for each hook of the trigger. A hook limited to a
// department stays silent when the event belongs to none (department 0). The
// caller holds mu.
func (s *Sim) fire(trigger int, key string, id, department int) {
	t := s.tables["webhook"]
	col := t.res.col
	for _, h := range t.byID {
		if h.int(col("trigger")) != trigger || !h.bool(col("active")) {
			continue
		}
		if d := h.int(col("department")); d != 0 && d != department {
			continue
		}
		base := s.cfg.Delivery.ProvetURL
		if base == "" {
			base = s.base
		}
		if base == "" {
			base = "https://provetcloud.com/" + s.cfg.ProvetID
		}
		s.enqueue(h, trigger, map[string]string{key: strconv.Itoa(id), "provet_id": s.cfg.ProvetID, "provet_url": base})
	}
}

// enqueue queues one delivery. The caller holds mu.
func (s *Sim) enqueue(h *row, trigger int, payload map[string]string) {
	col := s.tables["webhook"].res.col
	d := &delivery{
		url: h.text(col("url")), json: h.int(col("content_type")) == contentTypeJSON,
		due: time.Now(),
	}
	d.body = s.encodePayload(payload, d.json)
	shown, err := json.Marshal(payload)
	if err != nil { // never for a map of strings
		shown = []byte("{}")
	}
	f := s.WebhookFaults()
	lost := f.Drop > 0 && s.chance() < f.Drop
	state := deliveryPending
	if lost {
		state = deliveryFailed
	}
	d.queueID = s.add("queue", s.now(), record{
		"webhook": h.id, "trigger": trigger, "status": state, "attempts": 0, "payload": string(shown),
	})
	q := s.tables["queue"]
	for len(q.byID) > maxQueue {
		q.remove(q.byID[0].id)
	}
	if lost {
		return
	}
	d.due = d.due.Add(f.Delay)
	if f.Reorder > 0 {
		d.due = d.due.Add(time.Duration(s.chance() * float64(f.Reorder)))
	}
	s.hooks.push(d)
	copies := max(f.Copies-1, 0)
	if f.Double > 0 && s.chance() < f.Double {
		copies++
	}
	for range copies {
		again := *d
		s.hooks.push(&again)
	}
}

func (s *Sim) encodePayload(payload map[string]string, asJSON bool) []byte {
	if !asJSON {
		form := url.Values{}
		for k, v := range payload {
			form.Set(k, v)
		}
		return []byte(form.Encode())
	}
	m := map[string]any{}
	for k, v := range payload {
		m[k] = v
		if n, err := strconv.Atoi(v); err == nil && s.cfg.Delivery.JSONNumbers {
			m[k] = n
		}
	}
	b, err := json.Marshal(m)
	if err != nil { // never for these values
		return []byte("{}")
	}
	return b
}

// DeliveryState is one webhook in the delivery queue.
type DeliveryState struct {
	ID       int       `json:"id"`
	Webhook  int       `json:"webhook"`
	Trigger  int       `json:"trigger"`
	Status   int       `json:"status"` // 0 pending, 1 delivered, 2 failed or lost
	Attempts int       `json:"attempts"`
	Response int       `json:"response"` // HTTP status of the last attempt; 0: none came
	Payload  string    `json:"payload"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
}

// Deliveries returns the latest webhooks, oldest first.
func (s *Sim) Deliveries() []DeliveryState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tables["queue"]
	col := t.res.col
	out := make([]DeliveryState, len(t.byID))
	for i, r := range t.byID {
		out[i] = DeliveryState{
			ID: r.id, Webhook: r.int(col("webhook")), Trigger: r.int(col("trigger")), Status: r.int(col("status")),
			Attempts: r.int(col("attempts")), Response: r.int(col("response_status")), Payload: r.text(col("payload")),
			Created: r.time(col("created")), Modified: r.modified,
		}
	}
	return out
}

// delivered notes the outcome of an attempt.
func (s *Sim) delivered(d *delivery, status, state int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables["queue"]
	r := t.rows[d.queueID]
	if r == nil {
		return
	}
	rec := record{"attempts": r.int(t.res.col("attempts")) + 1, "status": state, "response_status": orNull(status)}
	t.put(t.changed(r, s.now(), rec))
}

// Webhooks returns the hooks of the tenant in the order of their numbers.
func (s *Sim) Webhooks() []Webhook {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tables["webhook"]
	out := make([]Webhook, len(t.byID))
	for i, r := range t.byID {
		out[i] = webhookOf(t, r)
	}
	return out
}

func webhookOf(t *table, r *row) Webhook {
	col := t.res.col
	return Webhook{
		Trigger: r.int(col("trigger")), URL: r.text(col("url")), ContentType: r.int(col("content_type")),
		Name: r.text(col("name")), Department: r.int(col("department")), Inactive: !r.bool(col("active")),
	}
}

// UpdateWebhook changes a hook, as a person would in the settings.
func (s *Sim) UpdateWebhook(id int, change func(*Webhook)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables["webhook"]
	r := t.rows[id]
	if r == nil {
		return false
	}
	w := webhookOf(t, r)
	change(&w)
	t.put(t.changed(r, s.now(), record{
		"name": w.Name, "trigger": w.Trigger, "url": w.URL, "content_type": w.ContentType, "active": !w.Inactive, "department": orNull(w.Department),
	}))
	return true
}
