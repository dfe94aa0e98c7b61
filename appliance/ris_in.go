package appliance

import (
	"context"
	"log/slog"
	"sync"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
)

// inbound wakes what waits because of a message that came. The zero value is a
// clinic without a RIS.
type inbound struct {
	wakeQuiet chan struct{} // size 1: something waits for quiet
	wakeReply chan struct{} // size 1: an application acknowledgement is to be sent

	refused sync.Map // when a message was refused last, by the subject of RH-427
}

// said is one message of a RIS on its way into the orders.
type said struct {
	ris       string
	controlID string
	inID      int64        // the kept message; 0: it answered one of ours on the same connection
	message   *hl7.Message // for its patient ids; may be nil
	byPerson  bool         // a person said which order is meant
	own       bool         // it answers a message of ours: nobody looks for an order
}

// traceRIS hears of every message of a RIS, with what became of it.
func (c *core) traceRIS(x orders.Exchange) {
	level, outcome := slog.LevelDebug, "accepted"
	switch {
	case x.Err != nil:
		level, outcome = slog.LevelError, "failed"
	case x.Text != "":
		level, outcome = slog.LevelWarn, "refused"
	case x.Duplicate:
		outcome = "repeated"
	}
	c.metrics.HL7Received(outcome)
	attrs := []slog.Attr{
		slog.String("ris", x.Profile), slog.String("peer", x.Peer.String()), slog.String("type", printable(clipped(x.Type, 20))),
		slog.String("control_id", printable(clipped(x.ControlID, 40))), slog.String("answer", string(x.Code)), slog.String("outcome", outcome),
		slog.Int("bytes", x.Bytes), slog.Duration("took", x.Duration),
	}
	if x.Err != nil {
		attrs = append(attrs, errAttr(x.Err))
	}
	c.log.LogAttrs(context.Background(), level, "HL7 message received", attrs...)
}

// clipped cuts a text that anybody may have sent.
func clipped(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}
