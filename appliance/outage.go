package appliance

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
)

// outageCodes are the problems of Provet Cloud that make everything wait: each
// hint and each report has a pause of its own, up to a quarter of an hour.
var outageCodes = []problem.Code{problem.ProvetAuth, problem.ProvetUnreachable, problem.ProvetAnswer}

// outageFrom is how long an outage must have lasted: the first pauses are short.
const outageFrom = 30 * time.Second

// outageEvery is the least time between two ends of the pauses: an order that
// alone cannot be read must not be asked for with every poll.
const outageEvery = 5 * time.Minute

// outage remembers when the pauses were ended last.
type outage struct{ endedAt atomic.Int64 } // unix ms

// outageEnded reports whether an outage is on the board, now that something
// worked.
func (c *core) outageEnded() bool {
	return slices.ContainsFunc(c.board.All(), func(p problem.Problem) bool {
		return p.Subject == destProvet && slices.Contains(outageCodes, p.Code) && c.now().Sub(p.Since) >= outageFrom
	})
}

// endBackOff makes due what waits because Provet Cloud could not be used.
func (c *core) endBackOff() {
	now, last := c.now(), unixMilli(c.outage.endedAt.Load())
	if !last.IsZero() && now.Sub(last).Abs() < outageEvery {
		return
	}
	c.outage.endedAt.Store(now.UnixMilli())
	ctx := context.Background()
	err := c.db.Write(ctx, func(tx *localdb.Tx) error {
		if _, err := tx.HintsDue(ctx, now); err != nil {
			return err
		}
		_, err := tx.DestDue(ctx, destProvet, now)
		return err
	})
	if err != nil { // they are due later, each by itself
		c.log.LogAttrs(ctx, levelOf(err), "ending the pauses after an outage failed", errAttr(err))
		return
	}
	signal(c.wakeHints)
	signal(c.wakeProvet)
}
