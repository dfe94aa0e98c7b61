package sqlitestore

import (
	"context"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Wake implements relay.Store.
func (s *Store) Wake(c wire.ClinicID, seq wire.Seq) { s.hub.Wake(relay.Wakeup{Clinic: c, Seq: seq}) }

// Subscribe implements relay.Store. Only one process may: it runs the relay.
func (s *Store) Subscribe(ctx context.Context) (<-chan relay.Wakeup, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.lock.take(); err != nil {
		return nil, err
	}
	return s.hub.Subscribe(ctx), nil
}
