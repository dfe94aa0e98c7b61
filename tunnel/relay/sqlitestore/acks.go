package sqlitestore

import (
	"context"
	"errors"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// flush writes all acks that are put off.
func (s *Store) flush(ctx context.Context) error {
	for range 400 { // a hundred thousand acks; more than that are written as they come
		if s.Acks.Idle() {
			break
		}
		s.Acks.Due()
		if err := s.w.do(ctx, func(context.Context, *conn) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}

// Expire implements relay.Store.
func (s *Store) Expire(ctx context.Context, now time.Time, l relay.Limits) (relay.Expired, error) {
	if err := s.flush(ctx); err != nil && !errors.Is(err, relay.ErrBusy) {
		return relay.Expired{}, err
	}
	x, err := s.Records.Expire(ctx, now, l)
	if err == nil && !x.More {
		err = s.giveBack(ctx)
	}
	return x, err
}

// Status implements relay.Registry.
func (s *Store) Status(ctx context.Context) ([]relay.Status, error) {
	if err := s.flush(ctx); err != nil {
		s.cfg.Log.Debug("acks were not written before the status was read", "error", err)
	}
	return s.Records.Status(ctx)
}
