package appliance

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/localdb"
)

// In enhanced mode a message is answered CA on its connection, and its
// application acknowledgement follows as a message of its own to the address of
// the RIS. It waits in the database until the RIS has it, or for a day.

const (
	// repliesAtOnce is how many acknowledgements are sent in one go; the RIS of
	// different names do not wait for each other.
	repliesAtOnce = 50
	// replyAnswer is how long an answer to an acknowledgement is waited for. None
	// is due: what was written counts as received.
	replyAnswer = 2 * time.Second
)

// sendReplies sends what is due until ctx ends.
func (c *core) sendReplies(ctx context.Context) error {
	for {
		var due []localdb.HL7Reply
		var next time.Time
		err := c.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
			due, next, err = s.HL7RepliesDue(ctx, c.now(), repliesAtOnce)
			return err
		})
		if err != nil {
			return err
		}
		if len(due) > 0 {
			if err := c.sendDue(ctx, due); err != nil {
				return err
			}
			continue
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(c.now()), 0))
		}
		if err := sleepOr(ctx, wait, c.inbound.wakeReply); err != nil {
			return err
		}
	}
}

// sendDue sends to each RIS what it is owed, one after the other.
func (c *core) sendDue(ctx context.Context, due []localdb.HL7Reply) error {
	byRIS := map[string][]localdb.HL7Reply{}
	for _, r := range due {
		byRIS[r.RIS] = append(byRIS[r.RIS], r)
	}
	var wg sync.WaitGroup
	errs := make(chan error, len(byRIS))
	for name, list := range byRIS {
		wg.Go(func() { errs <- c.repliesTo(ctx, name, list) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (c *core) repliesTo(ctx context.Context, name string, list []localdb.HL7Reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.LogAttrs(ctx, slog.LevelError, "sending an acknowledgement panicked", panicAttr(p))
			err = errPanic
		}
	}()
	p := c.routes.peer(name)
	if p == nil { // not in the settings any more
		return c.db.Write(ctx, func(tx *localdb.Tx) error {
			for _, r := range list {
				if err := tx.DeleteHL7Reply(ctx, r.ID); err != nil {
					return err
				}
			}
			return nil
		})
	}
	client := mllp.NewClient(mllp.ClientConfig{
		Address: p.profile.Address, TLS: p.tls, Persistent: !p.profile.CloseAfterEach, MinGap: p.profile.MinGap, AnswerTimeout: replyAnswer,
	})
	defer client.Close() //nolint:errcheck // what was sent is sent
	for i, r := range list {
		_, sendErr := client.Send(ctx, r.Payload, nil)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		reason := replyFailed(sendErr)
		if reason != "" { // the others would fail as well
			return c.replyPutOff(ctx, list[i:], reason)
		}
		if err := c.db.Write(ctx, func(tx *localdb.Tx) error { return tx.DeleteHL7Reply(ctx, r.ID) }); err != nil {
			return err
		}
		c.board.Clear(problem.RISReply, name)
	}
	return nil
}

// replyFailed says why an acknowledgement did not arrive; empty: it did, as far
// as can be known.
func replyFailed(err error) string {
	var se *mllp.SendError
	switch {
	case err == nil, errors.As(err, &se) && se.Sent:
		return ""
	case errors.Is(err, mllp.ErrConnect):
		return "cannot connect"
	}
	return "it could not be sent"
}

// replyPutOff tries again later, or gives up and tells a person.
func (c *core) replyPutOff(ctx context.Context, list []localdb.HL7Reply, reason string) error {
	now := c.now()
	gaveUp := false
	err := c.db.Write(ctx, func(tx *localdb.Tx) error {
		for _, r := range list {
			next := now.Add(delay(r.Attempts))
			if next.After(r.GiveUpAt) {
				gaveUp = true
				if err := tx.DeleteHL7Reply(ctx, r.ID); err != nil {
					return err
				}
				continue
			}
			if err := tx.RetryHL7Reply(ctx, r.ID, next, reason); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && gaveUp {
		c.board.Raise(problem.RISReply, list[0].RIS, problem.Args{"ris": list[0].RIS, "reason": reason})
	}
	return err
}
