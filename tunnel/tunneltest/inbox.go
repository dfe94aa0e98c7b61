package tunneltest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Inbox is a client.Inbox in memory.
type Inbox struct {
	mu      sync.Mutex
	cursor  client.Cursor
	events  map[wire.StoreEpoch]map[wire.Seq]wire.Event
	order   []arrival
	repeats int
	gaps    []wire.Gap
	fail    error
	onEvent func(wire.Event)
}

// arrival is an event in the order of coming.
type arrival struct {
	epoch wire.StoreEpoch
	seq   wire.Seq
}

// NewInbox returns an inbox that was never connected.
func NewInbox() *Inbox { return &Inbox{events: map[wire.StoreEpoch]map[wire.Seq]wire.Event{}} }

// Fail makes Commit and Gap fail with err, until it is nil again.
func (b *Inbox) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = err
}

// OnEvent makes f hear of every event committed, also those that come again.
func (b *Inbox) OnEvent(f func(wire.Event)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.onEvent = f
}

// SetCursor moves the cursor, as restoring a backup does.
func (b *Inbox) SetCursor(c client.Cursor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursor = c
}

// Cursor implements client.Inbox.
func (b *Inbox) Cursor(context.Context) (client.Cursor, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cursor, nil
}

// Commit implements client.Inbox.
func (b *Inbox) Commit(_ context.Context, epoch wire.StoreEpoch, events []wire.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	if b.events[epoch] == nil {
		b.events[epoch] = map[wire.Seq]wire.Event{}
	}
	for _, e := range events {
		if b.onEvent != nil {
			b.onEvent(e)
		}
		if old, ok := b.events[epoch][e.Seq]; ok && old.ReceivedAt.Equal(e.ReceivedAt) {
			b.repeats++
			continue
		}
		e.Header, e.Body = slices.Clone(e.Header), slices.Clone(e.Body)
		b.events[epoch][e.Seq] = e
		b.order = append(b.order, arrival{epoch, e.Seq})
		if e.Seq > b.cursor.Seq || epoch != b.cursor.Epoch {
			b.cursor.Epoch, b.cursor.Seq, b.cursor.ReceivedAt = epoch, e.Seq, e.ReceivedAt
		}
	}
	return nil
}

// Gap implements client.Inbox.
func (b *Inbox) Gap(_ context.Context, g wire.Gap) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.gaps = append(b.gaps, g)
	b.cursor.Epoch, b.cursor.Seq, b.cursor.ReceivedAt = g.StoreEpoch, g.To, time.Time{}
	return nil
}

// KeepWindow implements client.Inbox.
func (b *Inbox) KeepWindow(_ context.Context, w time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursor.Window = w
	return nil
}

// Seqs returns the numbers in the order in which they came first.
func (b *Inbox) Seqs() []wire.Seq {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]wire.Seq, 0, len(b.order))
	for _, a := range b.order {
		out = append(out, a.seq)
	}
	return out
}

// Events returns what was committed of one epoch, or of all when it is empty, in the order in which it came first.
func (b *Inbox) Events(epoch wire.StoreEpoch) []wire.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []wire.Event
	for _, a := range b.order {
		if epoch == "" || a.epoch == epoch {
			out = append(out, b.events[a.epoch][a.seq])
		}
	}
	return out
}

// Repeats counts events that came again.
func (b *Inbox) Repeats() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.repeats
}

// Gaps returns the holes recorded.
func (b *Inbox) Gaps() []wire.Gap {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.gaps)
}

// Event returns an event or false.
func (b *Inbox) Event(epoch wire.StoreEpoch, seq wire.Seq) (wire.Event, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.events[epoch][seq]
	return e, ok
}
