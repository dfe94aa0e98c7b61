package appliance

import (
	"context"
	"errors"
)

// ErrAgain is returned by Run after new credentials of Provet Cloud were taken:
// everything is closed, and New with the same Config starts with them.
var ErrAgain = errors.New("appliance: start again with the new credentials")

// renewable returns a context that startAgain ends too.
func (a *Appliance) renewable(ctx context.Context) (_ context.Context, stop func()) {
	ctx, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-a.hookup.again:
			end(ErrAgain)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		end(nil)
		<-done
	}
}

// startAgain ends Run with ErrAgain.
func (a *Appliance) startAgain() { signal(a.hookup.again) }
