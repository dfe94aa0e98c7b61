package relay

import "context"

// TellDue delivers what is due now.
func (r *Relay) TellDue(ctx context.Context) error { return r.tellDue(ctx) }

// Look reads all clinics now and tells of those that are silent.
func (r *Relay) Look(ctx context.Context) error {
	s, err := r.look(ctx)
	if err == nil {
		r.tellOffline(ctx, s.list)
	}
	return err
}

// FlushNotes writes what was noted.
func (r *Relay) FlushNotes(ctx context.Context) error { return r.flushNotes(ctx, true) }

// Watch reads the store's health now.
func (r *Relay) Watch(ctx context.Context) error {
	h, err := r.cfg.Store.Health(ctx)
	r.health.Store(&h)
	return err
}
