package appliance

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// risLease is how many messages are leased for a RIS at a time. After a crash so
// many at most are sent a second time, the same bytes with the same control id.
const risLease = 8

// toRIS carries messages to one RIS, over one connection.
type toRIS struct {
	c      *core
	p      *risPeer
	sender *orders.Sender
}

func (d *toRIS) dest() string           { return d.p.dest() }
func (d *toRIS) woken() <-chan struct{} { return d.p.wake }
func (d *toRIS) most() int              { return risLease }

// lease covers every message of a lease running into its time-outs: connect 10 s,
// write 30 s, and the answer.
func (d *toRIS) lease() time.Duration {
	return risLease * (d.p.profile.Timeout + d.p.profile.MinGap + 2*time.Minute)
}

func (d *toRIS) parcel(_ context.Context, _ *localdb.Tx, e *localdb.OutboxEntry) (parcel, error) {
	return &messageParcel{d: d, e: e}, nil
}

// deliverToRIS sends what we owe a RIS until ctx ends.
func (c *core) deliverToRIS(ctx context.Context, p *risPeer) error {
	d := c.carrierTo(ctx, p)
	defer func() { _ = d.sender.Close() }() // there is nothing left to lose
	return c.deliverTo(ctx, d)
}

// carrierTo returns a carrier with a sender of its own, to be closed.
func (c *core) carrierTo(ctx context.Context, p *risPeer) *toRIS {
	return &toRIS{c: c, p: p, sender: orders.NewSender(orders.SenderConfig{
		Profile: p.profile, TLS: p.tls,
		OnStray: func(_ []byte, ack *hl7.Ack, reason error) {
			if ack == nil {
				c.log.LogAttrs(ctx, levelOf(reason), "a RIS sent something that is no answer", destAttr(p.dest()))
				return
			}
			p.heardAt.Store(c.now().UnixMilli())
			go c.strayAck(context.WithoutCancel(ctx), p, ack.ControlID, orders.Classify(&p.profile, *ack))
		},
	})}
}

// messageParcel is a message on its way to a RIS.
type messageParcel struct {
	d *toRIS
	e *localdb.OutboxEntry

	at      time.Time
	took    time.Duration
	res     orders.Result
	err     error
	outcome string
}

func (m *messageParcel) entry() *localdb.OutboxEntry { return m.e }

func (m *messageParcel) send(ctx context.Context) {
	m.at = m.d.c.now()
	start := time.Now()
	m.res, m.err = m.d.sender.Send(ctx, m.e.Payload)
	m.took = time.Since(start)
	if m.res.AckCode != "" {
		m.d.p.heardAt.Store(m.d.c.now().UnixMilli())
	}
}

// silent reports whether no answer came: the RIS itself is in trouble, not the
// message.
func (m *messageParcel) silent() bool {
	return m.res.AckCode == "" && !errors.Is(m.err, orders.ErrControlID)
}

func (m *messageParcel) stop() bool { return m.silent() }

// settle stores what became of a message that was sent.
func (m *messageParcel) settle(b *batch) error {
	e, r := m.e, m.res
	o := b.touched[e.OrderID]
	if o == nil {
		var err error
		if o, err = b.tx.OrderByID(b.ctx, e.OrderID); err != nil {
			return err
		}
	}
	a := localdb.Attempt{At: m.at, Duration: m.took, Outcome: string(r.Class), Code: string(r.AckCode), Text: resultText(r)}
	if r.Unknown {
		if err := b.tx.MarkUnsure(b.ctx, e.ID); err != nil {
			return err
		}
	}
	if m.silent() {
		if err := m.hold(b); err != nil {
			return err
		}
	} else if err := m.answered(b); err != nil {
		return err
	}
	switch r.Class {
	case orders.Delivered, orders.Pending:
		m.outcome = "delivered"
		return m.finish(b, o, a)
	case orders.Retry:
		if r.MaxTries == 0 || e.Attempts < r.MaxTries {
			return m.retry(b, a)
		}
	case orders.Destination:
		return m.retry(b, a)
	case orders.Park:
	}
	m.outcome = "parked"
	return m.park(b, o, a)
}

// hold makes everything for the RIS wait: one probe at a time.
func (m *messageParcel) hold(b *batch) error {
	d, err := b.tx.Destination(b.ctx, m.d.dest())
	if err != nil {
		return err
	}
	return b.tx.Hold(b.ctx, m.d.dest(), b.now.Add(delay(d.Failures)), d.Failures+1)
}

// answered ends the back-off of a RIS that answers again: what failed because of
// it is due at once.
func (m *messageParcel) answered(b *batch) error {
	d, err := b.tx.Destination(b.ctx, m.d.dest())
	if err != nil || d.Failures == 0 {
		return err
	}
	_, err = b.tx.DestDue(b.ctx, m.d.dest(), b.now)
	return err
}

func (m *messageParcel) retry(b *batch, a localdb.Attempt) error {
	m.outcome = "retry"
	wait := delay(m.e.Attempts - 1)
	_, err := b.tx.Retry(b.ctx, m.e.ID, m.e.LeaseToken, a, b.now.Add(wait))
	return err
}

// finish ends an entry that the RIS took.
func (m *messageParcel) finish(b *batch, o *order.Order, a localdb.Attempt) error {
	e, p := m.e, m.d.p
	if _, err := b.tx.Finish(b.ctx, e.ID, e.LeaseToken, a, b.now); err != nil {
		return err
	}
	text := p.Name + " was sent " + kindText(e.Kind)
	if m.res.Class == orders.Pending {
		if err := b.tx.AwaitAck(b.ctx, hl7.PeekHeader(e.Payload).ControlID, e.ID, b.now.Add(p.ackWithin)); err != nil {
			return err
		}
		text += "; it has not said yet whether it can use it"
	}
	if err := b.say(o, "told", order.HL7, "", text); err != nil {
		return err
	}
	if err := b.learnFiller(o, e.Unit, p.Name, m.res.FillerOrderNumber); err != nil {
		return err
	}
	if m.res.Refused {
		return b.refusedBy(p, o, m.res)
	}
	return b.forget(o, p, problem.RISRefused, problem.RISUnsure)
}

// refusedBy asks a person about something that the RIS does not do.
func (b *batch) refusedBy(p *risPeer, o *order.Order, r orders.Result) error {
	reason := strings.TrimSpace(r.OrderControl + " " + resultText(r))
	b.notice(o, problem.RISRefused, problem.Args{"ris": p.Name, "accession": o.AccessionNumber, "reason": reason})
	if err := b.keep(o); err != nil {
		return err
	}
	return b.say(o, "told", order.HL7, problem.RISRefused, p.Name+" does not do what it was asked: "+reason)
}

// park keeps an entry for a person and says so on the order. What the RIS
// certainly did not take, and what came after it, is made anew when the order
// has changed since.
func (m *messageParcel) park(b *batch, o *order.Order, a localdb.Attempt) error {
	e, p, code := m.e, m.d.p, problem.RISRefused
	if _, err := b.tx.Park(b.ctx, e.ID, e.LeaseToken, a); err != nil {
		return err
	}
	unsure := e.Unsure || m.res.Unknown
	if !unsure && !isADT(e.Kind) {
		again, err := b.unitOvertaken(e)
		if err != nil {
			return err
		}
		if again {
			return b.anew(p, o, e.Unit)
		}
	}
	line := p.Name + " refused " + kindText(e.Kind) + ": " + a.Text
	if unsure {
		code, line = problem.RISUnsure, p.Name+" may have taken "+kindText(e.Kind)+": "+a.Text
	}
	b.notice(o, code, problem.Args{"ris": p.Name, "accession": o.AccessionNumber, "reason": a.Text})
	if err := b.keep(o); err != nil {
		return err
	}
	return b.say(o, "told", order.HL7, code, line)
}

// unitOvertaken reports whether a later message about the same unit waits.
func (b *batch) unitOvertaken(e *localdb.OutboxEntry) (bool, error) {
	unsent, err := b.tx.Outbox(b.ctx, localdb.OutboxFilter{Dest: e.Dest, OrderID: e.OrderID})
	for _, x := range unsent {
		if x.ID > e.ID && x.Unit == e.Unit && x.Kind != e.Kind && !isADT(x.Kind) {
			return true, err
		}
	}
	return false, err
}

// anew takes back what waits about a unit; the end of the transaction compares
// the order with what was told before.
func (b *batch) anew(p *risPeer, o *order.Order, stepID string) error {
	told, err := b.tx.ToldOf(b.ctx, o.ID)
	if err != nil {
		return err
	}
	t := localdb.Told{OrderID: o.ID, RIS: p.Name, StepID: stepID}
	for _, x := range told {
		if x.RIS == p.Name && x.StepID == stepID {
			t = x
		}
	}
	if _, err := b.takeBack(p, o, &t); err != nil {
		return err
	}
	b.touched[o.ID] = o
	return b.tx.SetTold(b.ctx, t)
}

func (m *messageParcel) settled() {
	c, p := m.d.c, m.d.p
	c.metrics.Attempted(p.dest(), m.outcome)
	level := slog.LevelDebug
	switch m.outcome {
	case "parked":
		level = slog.LevelWarn
	case "retry":
		level = slog.LevelInfo
	}
	c.log.LogAttrs(context.Background(), level, "HL7 message sent", slog.String("ris", p.Name), slog.String("kind", m.e.Kind),
		slog.String("control_id", hl7.PeekHeader(m.e.Payload).ControlID), slog.String("answer", string(m.res.AckCode)),
		slog.String("outcome", m.outcome), slog.Int("bytes", len(m.e.Payload)), slog.Duration("took", m.took))
	if m.outcome == "delivered" {
		c.metrics.Delivered(p.dest(), c.now().Sub(m.e.CreatedAt))
	}
	if m.silent() {
		c.board.Raise(problem.RISUnreachable, p.Name, problem.Args{"ris": p.Name, "reason": resultText(m.res)})
		return
	}
	c.board.Clear(problem.RISUnreachable, p.Name)
}

// resultText is what an answer says, for people.
func resultText(r orders.Result) string {
	var parts []string
	for _, s := range []string{string(r.AckCode), r.Code, r.Where, r.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	text := []rune(strings.Join(parts, " "))
	return string(text[:min(len(text), 200)])
}

// kindText names a message for people.
func kindText(kind string) string {
	switch orders.Kind(kind) {
	case orders.NW:
		return "the new order (NW)"
	case orders.XO:
		return "the changed order (XO)"
	case orders.CA:
		return "the cancel (CA)"
	case orders.DC:
		return "the discontinuation (DC)"
	case orders.RP:
		return "the replaced order (RP)"
	case orders.A04:
		return "the animal (A04)"
	case orders.A08:
		return "the changed animal (A08)"
	case orders.A40:
		return "the merged animal (A40)"
	}
	return kind
}
