package provetsim

import (
	"bytes"
	"container/heap"
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// delivery is one webhook on its way.
type delivery struct {
	url      string
	json     bool
	body     []byte
	queueID  int
	due      time.Time
	seq      uint64 // keeps the order of those due at the same time
	attempts int
}

// byDue is a heap of deliveries.
type byDue []*delivery

func (h byDue) Len() int { return len(h) }
func (h byDue) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	return h[i].seq < h[j].seq
}
func (h byDue) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(x any)   { *h = append(*h, x.(*delivery)) }
func (h *byDue) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return d
}

// dispatcher delivers webhooks: one goroutine that waits, some that send. They
// start with the first webhook and end with close.
type dispatcher struct {
	sim    *Sim
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wakeup chan struct{}
	work   chan *delivery

	mu      sync.Mutex
	faults  WebhookFaults
	queue   byDue
	held    []*delivery // by WebhookFaults.Hold
	seq     uint64
	pending int           // queued or being sent
	changed chan struct{} // closed and replaced when pending falls to zero
	started bool
	closed  bool
}

func (d *dispatcher) init(s *Sim) {
	d.sim = s
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.wakeup, d.work, d.changed = make(chan struct{}, 1), make(chan *delivery), make(chan struct{})
	transport := s.cfg.Delivery.Transport
	if transport == nil {
		transport = &http.Transport{MaxIdleConnsPerHost: s.cfg.Delivery.Concurrency, IdleConnTimeout: 30 * time.Second}
	}
	d.client = &http.Client{
		Transport: transport, Timeout: s.cfg.Delivery.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (d *dispatcher) push(x *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if !d.started {
		d.started = true
		d.wg.Go(d.run)
		for range d.sim.cfg.Delivery.Concurrency {
			d.wg.Go(d.send)
		}
	}
	d.seq++
	x.seq = d.seq
	d.pending++
	if d.faults.Hold {
		d.held = append(d.held, x)
		return
	}
	heap.Push(&d.queue, x)
	d.wake()
}

// release queues what was held. The caller holds mu.
func (d *dispatcher) release(reverse bool) {
	if reverse {
		slices.Reverse(d.held)
	}
	now := time.Now()
	for i, x := range d.held {
		d.seq++
		x.seq, x.due = d.seq, now
		if reverse { // far enough apart that workers keep the order
			x.due = now.Add(time.Duration(i) * 20 * time.Millisecond)
		}
		heap.Push(&d.queue, x)
	}
	d.held = nil
	d.wake()
}

func (d *dispatcher) wake() {
	select {
	case d.wakeup <- struct{}{}:
	default:
	}
}

func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.cancel()
	d.wg.Wait()
	if d.sim.cfg.Delivery.Transport == nil {
		d.client.CloseIdleConnections()
	}
}

// next returns a delivery that is due, or how long to wait for one.
func (d *dispatcher) next() (*delivery, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(d.queue[0].due); wait > 0 {
		return nil, wait
	}
	return heap.Pop(&d.queue).(*delivery), 0
}

func (d *dispatcher) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		x, wait := d.next()
		if x != nil {
			select {
			case d.work <- x:
				continue
			case <-d.ctx.Done():
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-d.wakeup:
		case <-timer.C:
		case <-d.ctx.Done():
			return
		}
	}
}

func (d *dispatcher) send() {
	for {
		select {
		case x := <-d.work:
			d.attempt(x)
		case <-d.ctx.Done():
			return
		}
	}
}

// attempt sends x once. Only the answer 200 counts; all else is tried again.
func (d *dispatcher) attempt(x *delivery) {
	status := d.post(x)
	if d.ctx.Err() != nil {
		return
	}
	x.attempts++
	state := deliveryPending
	switch {
	case status == http.StatusOK:
		state = deliveryDelivered
	case x.attempts > max(d.sim.cfg.Delivery.Retries, 0):
		state = deliveryFailed
	}
	d.sim.cfg.Log.Debug("webhook", "attempt", x.attempts, "status", status)
	d.sim.delivered(x, status, state)
	d.mu.Lock()
	defer d.mu.Unlock()
	if state == deliveryPending {
		x.due = time.Now().Add(d.sim.cfg.Delivery.Interval)
		heap.Push(&d.queue, x)
		d.wake()
		return
	}
	d.pending--
	if d.pending == 0 {
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

func (d *dispatcher) post(x *delivery) int {
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, x.url, bytes.NewReader(x.body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if x.json {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // only to reuse the connection
	return resp.StatusCode
}

// WaitWebhooks waits until no webhook is on its way, or until ctx ends.
func (s *Sim) WaitWebhooks(ctx context.Context) error {
	for {
		s.hooks.mu.Lock()
		pending, changed := s.hooks.pending, s.hooks.changed
		s.hooks.mu.Unlock()
		if pending == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
