package relaybench

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"
)

// fleet is a number of agents that are connected.
type fleet struct {
	mu     sync.Mutex
	agents []*agent
	closed bool
	lost   error // the first that ended by itself
	g      sync.WaitGroup
}

// connectAll connects an agent for each clinic, some at a time.
func connectAll(ctx context.Context, t attach, clinics []*clinic, atOnce int) (*fleet, error) {
	f := &fleet{}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, c := range clinics {
		g.Go(func() error {
			a, err := t.connect(ctx, i, c)
			if err != nil {
				return fmt.Errorf("relaybench: agent %d: %w", i, err)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			f.agents = append(f.agents, a)
			f.g.Go(func() { f.ended(a.run()) })
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *fleet) ended(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && f.lost == nil {
		f.lost = errors.Join(errors.New("relaybench: an agent lost its connection"), err)
	}
}

// fault returns why an agent ended although nobody asked it to.
func (f *fleet) fault() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// close ends all of them.
func (f *fleet) close() {
	f.mu.Lock()
	f.closed = true
	for _, a := range f.agents {
		_ = a.conn.Close()
	}
	f.mu.Unlock()
	f.g.Wait()
}
