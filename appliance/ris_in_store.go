package appliance

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// replyFor is how long an application acknowledgement is tried.
const replyFor = 24 * time.Hour

// risStore answers orders.Store: what a RIS sends is kept with its answer and all
// that follows from it, in one transaction, before it is acknowledged.
type risStore struct{ c *core }

// Receive keeps one message. A message that is known by its key gets the answer
// that it got then, and changes nothing.
func (s risStore) Receive(ctx context.Context, r *orders.Received) ([]byte, error) {
	if err := s.c.db.DiskLow(ctx); err != nil {
		return nil, errors.Join(orders.ErrNoSpace, err)
	}
	var answer []byte
	err := s.c.commit(ctx, func(b *batch) error {
		answer = r.Answer
		known, err := b.knownMessage(r)
		if err != nil {
			return err
		}
		if known != nil {
			answer = known.Answer
			return nil
		}
		return b.received(r)
	})
	if p := problem.Of(err); p != nil && p.Code == problem.DiskLow {
		err = errors.Join(orders.ErrNoSpace, err)
	}
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// knownMessage returns the message that came before with that key, or nil.
// Answers are not recognised by their control id: some peers use one for all.
func (b *batch) knownMessage(r *orders.Received) (*localdb.HL7In, error) {
	if r.Refused != "" {
		return nil, nil
	}
	m, err := b.tx.HL7InByKey(b.ctx, keyOf(r))
	if errors.Is(err, localdb.ErrNotFound) {
		return nil, nil
	}
	return &m, err
}

func keyOf(r *orders.Received) localdb.HL7Key {
	return localdb.HL7Key{
		SendingApplication: r.Key.SendingApplication, SendingFacility: r.Key.SendingFacility, ControlID: r.Key.ControlID, Hash: r.Key.Hash,
	}
}

// received keeps a new message and does what follows from it.
func (b *batch) received(r *orders.Received) error {
	m := &localdb.HL7In{
		Peer: r.Peer.Addr().Unmap().String(), At: b.now, Type: r.Type, Key: keyOf(r), Refused: r.Refused, Answer: r.Answer, Outcome: localdb.HL7Applied,
	}
	if r.Profile != nil {
		m.RIS = r.Profile.Name
	}
	switch {
	case r.Refused != "":
		m.Outcome = localdb.HL7Refused
	case r.Test:
		m.Outcome = localdb.HL7Test
	case r.Ignored:
		m.Outcome = localdb.HL7Ignored
	case r.Ack != nil:
		m.Outcome = localdb.HL7Answer
	}
	if err := b.tx.AddHL7In(b.ctx, m, r.Raw); err != nil {
		return err
	}
	if r.Later != nil && m.RIS != "" {
		reply := localdb.HL7Reply{RIS: m.RIS, Payload: r.Later, NextAt: b.now, GiveUpAt: b.now.Add(replyFor)}
		if err := b.tx.AddHL7Reply(b.ctx, m.ID, reply); err != nil {
			return err
		}
		b.after = append(b.after, func() { signal(b.c.inbound.wakeReply) })
	}
	b.heardFrom = m.RIS
	s := said{ris: m.RIS, controlID: r.Key.ControlID, inID: m.ID, message: r.Message}
	switch m.Outcome {
	case localdb.HL7Refused:
		b.raiseRefused(m)
		return nil
	case localdb.HL7Test, localdb.HL7Ignored:
		return nil
	case localdb.HL7Answer:
		return b.answered(s, r)
	}
	return b.hear(s, m, r.Reports)
}

// hear applies the reports of a message, or keeps them for a person.
func (b *batch) hear(s said, m *localdb.HL7In, reports []orders.Report) error {
	unmatched := false
	for i := range reports {
		rep := &reports[i]
		if rep.Test {
			continue
		}
		found, err := b.findReported(s, rep)
		if err != nil {
			return err
		}
		if len(found.targets) == 0 {
			unmatched = true
			if err := b.risArrival(s, rep, found); err != nil {
				return err
			}
			continue
		}
		for _, t := range found.targets {
			if err := b.risSaid(s, t, rep); err != nil {
				return err
			}
		}
	}
	if unmatched {
		return b.tx.SetHL7Outcome(b.ctx, m.ID, localdb.HL7Unmatched)
	}
	return nil
}

// raiseRefused tells a person that a message was not accepted.
func (b *batch) raiseRefused(m *localdb.HL7In) {
	who, reason := m.RIS, m.Refused
	if who == "" {
		who = m.Peer
	}
	b.after = append(b.after, func() {
		b.c.inbound.refused.Store(who, b.now)
		b.c.board.Raise(problem.RISMessage, who, problem.Args{"ris": who, "reason": reason})
	})
}

// answered deals with an application acknowledgement to a message of ours that
// was answered CA at first. What it says of orders counts as if it had come on
// its own.
func (b *batch) answered(s said, r *orders.Received) error {
	settled := false
	if p := b.c.routes.peer(s.ris); p != nil {
		var err error
		if settled, err = b.applicationAck(p, r.Ack.ControlID, r.AckClass); err != nil {
			return err
		}
	}
	for i := range r.Reports {
		rep := &r.Reports[i]
		if settled && rep.Meaning == orders.Refused { // said with the acknowledgement
			continue
		}
		found, err := b.findReported(s, rep)
		if err != nil {
			return err
		}
		for _, t := range found.targets {
			if err := b.risSaid(s, t, rep); err != nil {
				return err
			}
		}
	}
	return nil
}
