package relaybench

import (
	"context"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// ledger knows what became of each webhook. What was both answered and delivered is
// forgotten, so that it does not grow.
type ledger struct {
	mu        sync.Mutex
	open      map[int64]fate
	answered  int // with 200
	failed    int // anything else: Provet Cloud would send it again
	delivered int
	foreign   int // events that cannot be opened
	gaps      int
}

// fate of a webhook that is not yet settled.
type fate int

const (
	fateAnswered  fate = 1 // with 200, and not yet delivered
	fateDelivered fate = 2 // and the answer is not known
	fateFailed    fate = 3 // may be delivered or not
)

func (l *ledger) answer(n int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	came := l.open[n] == fateDelivered
	delete(l.open, n)
	switch {
	case ok && came:
		l.answered++
	case ok:
		l.answered++
		l.open[n] = fateAnswered
	default:
		l.failed++
		if !came {
			l.open[n] = fateFailed
		}
	}
}

func (l *ledger) deliver(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delivered++
	switch l.open[n] {
	case fateAnswered, fateFailed:
		delete(l.open, n)
	case fateDelivered: // an event comes once into an inbox
	default:
		l.open[n] = fateDelivered
	}
}

// missing counts what was answered with 200 and is not there.
func (l *ledger) missing() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.open {
		if f == fateAnswered {
			n++
		}
	}
	return n
}

// inbox is a client.Inbox that keeps its cursor in memory and tells the ledger.
type inbox struct {
	c      *clinic
	ledger *ledger

	mu      sync.Mutex
	cursor  client.Cursor
	repeats int
}

var _ client.Inbox = (*inbox)(nil)

// Cursor implements client.Inbox.
func (b *inbox) Cursor(context.Context) (client.Cursor, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cursor, nil
}

// Commit implements client.Inbox. Nobody here goes back, so what is not above the
// cursor has come before.
func (b *inbox) Commit(_ context.Context, epoch wire.StoreEpoch, events []wire.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range events {
		if epoch == b.cursor.Epoch && e.Seq <= b.cursor.Seq {
			b.repeats++
			continue
		}
		b.cursor.Epoch, b.cursor.Seq, b.cursor.ReceivedAt = epoch, e.Seq, e.ReceivedAt
		n := int64(-1)
		if rq, err := wire.Open(b.c.sealing, b.c.keyID, b.c.id, e); err == nil {
			n = bodyNumber(rq.Body)
		}
		if n < 0 {
			b.ledger.mu.Lock()
			b.ledger.foreign++
			b.ledger.mu.Unlock()
			continue
		}
		b.ledger.deliver(n)
	}
	return nil
}

// Gap implements client.Inbox.
func (b *inbox) Gap(_ context.Context, g wire.Gap) error {
	b.mu.Lock()
	b.cursor.Epoch, b.cursor.Seq, b.cursor.ReceivedAt = g.StoreEpoch, g.To, time.Time{}
	b.mu.Unlock()
	b.ledger.mu.Lock()
	defer b.ledger.mu.Unlock()
	b.ledger.gaps++
	return nil
}

// KeepWindow implements client.Inbox.
func (b *inbox) KeepWindow(_ context.Context, w time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursor.Window = w
	return nil
}
