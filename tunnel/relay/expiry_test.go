package relay_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
)

type countedExpiry struct {
	*memory
	calls atomic.Int64
}

func (c *countedExpiry) Expire(ctx context.Context, now time.Time, l relay.Limits) (relay.Expired, error) {
	c.calls.Add(1)
	return c.memory.Expire(ctx, now, l)
}

// A relay that is restarted every half minute cleans up all the same.
func TestExpireSoonAfterTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &countedExpiry{memory: newMemory()}
		r, err := relay.New(relay.Config{Store: st, Registry: st, PublicURL: "https://relay.example.com"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		for _, x := range []struct {
			after time.Duration
			want  int64
		}{{time.Second, 0}, {5 * time.Second, 1}, {time.Minute, 2}} {
			time.Sleep(x.after)
			synctest.Wait()
			if n := st.calls.Load(); n != x.want {
				t.Errorf("%d after another %s, want %d", n, x.after, x.want)
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
