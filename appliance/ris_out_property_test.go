package appliance

import (
	"bytes"
	"context"

	"pgregory.net/rapid"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// risBook is a strict RIS that outlives power failures: what it holds, and every
// message by its control id.
type risBook struct {
	t        *rapid.T
	messages map[string][]byte
	holds    map[string]string // accession number -> PID-5 of the latest message
	fail     []risFault
}

type risFault int

const (
	risTakes risFault = iota
	risLosesAnswer
	risUnreachable
	risPowerFails // it takes the message, and our power fails before we know
	risFaults
)

// take receives the bytes of a message as a RIS would that knows its messages.
func (r *risBook) take(payload []byte) {
	h := hl7.PeekHeader(payload)
	if known, ok := r.messages[h.ControlID]; ok {
		if !bytes.Equal(known, payload) {
			r.t.Fatalf("control id %s came with other bytes", h.ControlID)
		}
		return
	}
	r.messages[h.ControlID] = bytes.Clone(payload)
	m, err := hl7.Parse(payload, hl7.Options{})
	if err != nil {
		r.t.Fatalf("unreadable message: %v", err)
	}
	accession, control := m.Get("OBR-18"), m.Get("ORC-1")
	_, held := r.holds[accession]
	if held != (control != "NW") {
		r.t.Fatalf("%s for order %s, which it holds: %v", control, accession, held)
	}
	switch control {
	case "NW", "XO":
		r.holds[accession] = m.Get("PID-5.2")
	default:
		delete(r.holds, accession)
	}
}

// bookCarrier carries messages into the book.
type bookCarrier struct {
	*toRIS
	w *world
}

func (b *bookCarrier) parcel(_ context.Context, _ *localdb.Tx, e *localdb.OutboxEntry) (parcel, error) {
	return &bookParcel{&messageParcel{d: b.toRIS, e: e}, b.w}, nil
}

type bookParcel struct {
	*messageParcel
	w *world
}

func (p *bookParcel) send(context.Context) {
	fault, book := risTakes, p.w.book
	if len(book.fail) > 0 {
		fault, book.fail = book.fail[0], book.fail[1:]
	}
	p.at = p.d.c.now()
	switch fault {
	case risUnreachable:
		p.res = orders.Result{Class: orders.Destination, Text: "cannot connect"}
		return
	case risLosesAnswer:
		p.res = orders.Result{Class: orders.Retry, Unknown: true, MaxTries: 1000, Text: "no answer in time"}
	case risPowerFails:
		p.w.cloud.die()
	case risTakes, risFaults:
		p.res = taken
	}
	book.take(p.e.Payload)
}

// sendRIS sends what is due to the RIS, with or without a fault.
func (w *world) sendRIS(*rapid.T) {
	w.book.fail = nil
	for range rapid.IntRange(0, 3).Draw(w.t, "messages") {
		w.book.fail = append(w.book.fail, risFault(rapid.IntRange(0, int(risFaults)-1).Draw(w.t, "fault of the RIS")))
	}
	w.exchange()
	w.book.fail = nil
}

func (w *world) exchange() bool {
	p := w.core.routes.ris[0]
	sent, err := w.core.deliverSome(w.ctx, &bookCarrier{&toRIS{c: w.core, p: p}, w})
	if w.ctx.Err() != nil {
		w.crash()
		return true
	}
	w.ok(err)
	return sent
}

// judgeRIS compares what the RIS holds with what is stored: every order that
// waits, as it is now, and none that was given up.
func (w *world) judgeRIS() {
	for id, o := range w.stored() {
		name, held := w.book.holds[o.AccessionNumber]
		switch o.State {
		case order.Scheduled, order.InProgress:
			if want := o.Content.Patient.Name; !held || name != want {
				w.t.Fatalf("order %s is %s, the RIS holds it: %v, as %q instead of %q", id, o.State, held, name, want)
			}
		case order.Cancelled, order.Discontinued:
			if held {
				w.t.Fatalf("order %s is %s, and the RIS holds it still", id, o.State)
			}
		case order.Received, order.Held, order.Completed:
		}
	}
	unsent := 0
	err := w.core.db.Read(context.Background(), func(s *localdb.Snapshot) error {
		list, err := s.Outbox(context.Background(), localdb.OutboxFilter{Dest: w.core.routes.ris[0].dest()})
		unsent = len(list)
		return err
	})
	if err != nil || unsent > 0 {
		w.t.Fatalf("the RIS is owed %d messages (%v)", unsent, err)
	}
}

// newBook returns an empty book.
func newBook(t *rapid.T) *risBook {
	return &risBook{t: t, messages: map[string][]byte{}, holds: map[string]string{}}
}

// bookPeer is the RIS of the world.
func bookPeer() *risPeer { return newPeer(orders.Profile{Name: "book", Resend: true}) }
