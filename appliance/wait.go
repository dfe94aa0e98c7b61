package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// sleepOr waits for d, until wake is signalled (nil: never) or ctx ends; only
// then it returns an error.
func sleepOr(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
		return nil
	case <-t.C:
		return nil
	}
}

// levelOf is the level of a log line about err: what is on the board already is
// a warning, everything else an error.
func levelOf(err error) slog.Level {
	if errors.Is(err, context.Canceled) {
		return slog.LevelDebug
	}
	if practiceProblem(err) != nil {
		return slog.LevelWarn
	}
	return slog.LevelError
}

func errAttr(err error) slog.Attr { return slog.String("error", err.Error()) }

func provetIDAttr(id string) slog.Attr { return slog.String("provet_id", id) }

// errPanic stands for a panic that was caught.
var errPanic = errors.New("appliance: a panic was caught")

// panicAttr describes a caught panic by its type and place, never by its value,
// which may hold personal data.
func panicAttr(p any) slog.Attr {
	return slog.String("panic", fmt.Sprintf("%T", p)+"\n"+string(debug.Stack()))
}
