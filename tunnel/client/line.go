package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// line takes what one connection brings into the inbox and acknowledges it. A reader
// queues frames; the caller of run commits them in their order.
type line struct {
	c       *Client
	car     carrier
	drained chan *wire.Drain

	mu      sync.Mutex
	queue   []wire.Frame
	msgs    int // received and not acknowledged
	bytes   int
	sizes   []int // of the events among them, oldest first
	lost    error // why reading ended
	arrived chan struct{}
	gone    chan struct{} // closed when reading has ended
	closing chan struct{} // closed when reading is to end
	freed   chan struct{} // something was acknowledged

	// Of the committing goroutine alone:
	epoch   wire.Epoch      // of the session
	store   wire.StoreEpoch // of the relay
	known   wire.StoreEpoch // of the inbox
	last    wire.Seq        // in the inbox
	unacked int             // events committed, not yet told
	moved   bool            // the cursor moved by a gap, not yet told
	due     *time.Timer
	armed   bool
}

// The most a relay may send beyond what was acknowledged: far above the window, which
// is the relay's duty, and low enough to bound our memory.
const (
	mostMsgs  = 4 * wire.WindowMsgs
	mostBytes = 4*wire.WindowBytes + wire.MaxFrame
)

func newLine(c *Client, car carrier, w *wire.Welcome, cur Cursor) *line {
	l := &line{
		c: c, car: car, drained: make(chan *wire.Drain, 1), arrived: make(chan struct{}, 1), gone: make(chan struct{}),
		closing: make(chan struct{}), freed: make(chan struct{}, 1),
		epoch: w.Epoch, store: w.StoreEpoch, known: cur.Epoch, last: cur.Seq, due: time.NewTimer(time.Hour),
	}
	l.due.Stop()
	return l
}

// run works until the connection is lost or ctx ends. It closes the carrier.
func (l *line) run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() {
		err := l.c.survive("reader", l.read)
		l.mu.Lock()
		l.lost = err
		l.mu.Unlock()
		close(l.gone)
		l.tell()
	})
	err := l.commit(ctx)
	code := ourCode(err)
	if ctx.Err() != nil {
		code = wire.CloseNormal
	}
	close(l.closing)
	l.car.close(code, "")
	wg.Wait()
	return err
}

func (l *line) tell() {
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// read queues frames until the connection is lost.
func (l *line) read() error {
	for {
		if l.car.transport() == LongPoll {
			l.room()
		}
		f, n, err := l.car.receive()
		if err != nil {
			return err
		}
		switch c := f.Control.(type) {
		case nil:
			if !l.admit(n) {
				return protocolError(StepOpen, "more events than the window allows")
			}
		case *wire.Gap, *wire.Rotate:
		case *wire.Welcome:
			if l.car.transport() != LongPoll {
				return protocolError(StepOpen, "a second welcome")
			}
		case *wire.Drain:
			select {
			case l.drained <- c:
			default:
			}
			continue
		case *wire.Notice:
			l.c.noticed(c.Text)
			continue
		case *wire.Unknown:
			l.c.change(func(s *Status) { s.UnknownFrames++ })
			continue
		default:
			return protocolError(StepOpen, "a frame for the other end: "+c.Type())
		}
		l.mu.Lock()
		if len(l.queue) >= 2*mostMsgs {
			l.mu.Unlock()
			return protocolError(StepOpen, "too many frames")
		}
		l.queue = append(l.queue, f)
		l.mu.Unlock()
		l.tell()
	}
}

// room waits until the window has room. A relay keeps no account of what a long-poll
// has not acknowledged, so the agent asks for no more than it can hold.
func (l *line) room() {
	for {
		l.mu.Lock()
		full := l.msgs >= wire.WindowMsgs || l.bytes >= wire.WindowBytes
		l.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-l.freed:
		case <-l.closing:
			return
		}
	}
}

// admit counts an event of n bytes against what the window allows.
func (l *line) admit(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.msgs++
	l.bytes += n
	l.sizes = append(l.sizes, n)
	return l.msgs <= mostMsgs && l.bytes <= mostBytes
}

// settle counts n events as acknowledged.
func (l *line) settle(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = min(n, len(l.sizes))
	for _, size := range l.sizes[:n] {
		l.bytes -= size
	}
	l.sizes = l.sizes[n:]
	l.msgs -= n
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// take returns everything that waits, and why nothing more will come.
func (l *line) take() ([]wire.Frame, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queue
	l.queue = nil
	return q, l.lost
}

// commit brings frames into the inbox and acknowledges them. What was received before
// the connection was lost is still committed.
func (l *line) commit(ctx context.Context) error {
	defer l.due.Stop()
	for {
		frames, lost := l.take()
		if len(frames) == 0 {
			if lost != nil {
				return lost
			}
			select {
			case <-ctx.Done():
				l.ack()
				return context.Cause(ctx)
			case <-l.arrived:
			case <-l.due.C:
				l.armed = false
				l.ack()
			}
			continue
		}
		for len(frames) > 0 {
			n := 0
			for n < len(frames) && n < wire.AckEvents && frames[n].Control == nil {
				n++
			}
			if n > 0 {
				if err := l.events(ctx, frames[:n]); err != nil {
					return err
				}
				frames = frames[n:]
				continue
			}
			if err := l.control(ctx, frames[0].Control); err != nil {
				return err
			}
			frames = frames[1:]
		}
	}
}

// events commits a run of events.
func (l *line) events(ctx context.Context, frames []wire.Frame) error {
	if l.known != "" && l.known != l.store {
		// The relay should have said so itself. Never skip silently.
		g := wire.Gap{From: l.last + 1, To: frames[0].Event.Seq - 1, Reason: wire.GapRollback, StoreEpoch: l.store}
		if err := l.gap(ctx, &g); err != nil {
			return err
		}
	}
	events := make([]wire.Event, len(frames))
	for i, f := range frames {
		events[i] = f.Event
	}
	err := l.insist(ctx, func() error { return l.c.cfg.Inbox.Commit(ctx, l.store, events) })
	if err != nil {
		return err
	}
	l.known = l.store
	for _, e := range events {
		l.last = max(l.last, e.Seq)
	}
	l.c.committed(l.store, l.last, events)
	l.later(len(events))
	return nil
}

// later acknowledges at once when enough has come together, or within AckDelay.
func (l *line) later(n int) {
	l.unacked += n
	if l.unacked >= wire.AckEvents {
		l.ack()
		return
	}
	l.arm(wire.AckDelay)
}

func (l *line) arm(d time.Duration) {
	if !l.armed {
		l.due.Reset(d)
		l.armed = true
	}
}

// ack acknowledges what the inbox holds. That it cannot be sent is found by the reader.
func (l *line) ack() {
	if l.unacked == 0 && !l.moved {
		return
	}
	if err := l.car.send(&wire.Ack{Seq: l.last, Epoch: l.epoch}); err != nil {
		l.c.log.Debug("the relay did not take an ack", "error", err)
		if l.car.transport() == LongPoll {
			// Polls go on by themselves, so try again.
			l.arm(time.Second)
			return
		}
	}
	l.settle(l.unacked)
	l.unacked, l.moved = 0, false
}

// control does what a queued control frame says.
func (l *line) control(ctx context.Context, c wire.Control) error {
	switch c := c.(type) {
	case *wire.Gap:
		return l.gap(ctx, c)
	case *wire.Welcome:
		l.epoch, l.store = c.Epoch, c.StoreEpoch
		l.c.welcomed(ctx, c)
	case *wire.Rotate:
		kid, err := l.c.rotated(ctx, c.Token)
		if err != nil {
			l.c.log.Warn("a new token could not be stored", "error", err)
			return nil
		}
		if err := l.car.send(&wire.Rotated{KID: kid}); err != nil {
			l.c.log.Debug("the relay did not hear of the stored token", "error", err)
		}
		l.car.use(c.Token)
	}
	return nil
}

func (l *line) gap(ctx context.Context, g *wire.Gap) error {
	if err := l.insist(ctx, func() error { return l.c.cfg.Inbox.Gap(ctx, *g) }); err != nil {
		return err
	}
	l.store, l.known, l.last = g.StoreEpoch, g.StoreEpoch, g.To
	l.c.missed(g)
	if g.To > 0 {
		l.moved = true
		l.arm(wire.AckDelay)
	}
	return nil
}

// insist does f until it works, the connection is lost or ctx ends. Meanwhile nothing
// is acknowledged, so the relay keeps what comes.
func (l *line) insist(ctx context.Context, f func() error) error {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := f()
		if err == nil {
			l.c.stored(nil)
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("client: %w", errors.Join(context.Cause(ctx), err))
		}
		l.c.stored(err)
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.gone:
		case <-t.C:
		}
		t.Stop()
		l.mu.Lock()
		lost := l.lost
		l.mu.Unlock()
		if lost != nil {
			return lost
		}
	}
}
