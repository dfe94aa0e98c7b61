package relay

import (
	"context"
	"errors"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// rotateIfDue sends a new token when the present one is 90 days old or a new one was asked for.
//
// A lost frame loses nothing: what was sent stays valid, the old token dies at the first use of a newer one or 7 days after the
// agent said that it stored it, and until then each session offers again.
func (s *session) rotateIfDue(ctx context.Context) {
	r := s.r
	now := r.cfg.Now().UTC()
	s.mu.Lock()
	due := s.rotating == "" && !s.ended && (now.Sub(s.tokenBorn) >= wire.RotateEvery || r.dir.state(s.clinic).Rotate)
	s.mu.Unlock()
	if !due {
		return
	}
	text, t, err := r.offer(ctx, s.clinic)
	if err != nil {
		r.log.Warn("a new token was not stored", "clinic", string(s.clinic), "error", err)
		return
	}
	s.mu.Lock()
	s.rotating = t.KID
	s.mu.Unlock()
	if err := s.send(&wire.Rotate{Token: text}); err != nil {
		s.failed(errors.Join(errWrite, err))
	}
}

// offer makes a new token and stores its hash.
func (r *Relay) offer(ctx context.Context, c wire.ClinicID) (string, Token, error) {
	for range 3 {
		text, kid := wire.NewToken()
		t := Token{KID: kid, Clinic: c, Hash: wire.HashToken(text), CreatedAt: r.cfg.Now().UTC()}
		err := r.cfg.Registry.OfferToken(ctx, t)
		if errors.Is(err, ErrTaken) {
			continue
		}
		if err == nil {
			r.audit(ctx, c, "rotate", "a new token was offered")
		}
		return text, t, err
	}
	return "", Token{}, ErrTaken
}

// rotated takes the agent's word that it stored a token.
func (s *session) rotated(ctx context.Context, c *wire.Rotated) {
	if !s.r.confirm(ctx, s.clinic, c.KID) {
		return
	}
	s.mu.Lock()
	s.kid, s.rotating = c.KID, "" // the old one may die while this session lives
	s.tokenBorn = s.r.cfg.Now()
	s.mu.Unlock()
}

// confirm records that an agent stored a token, if it is one of its own clinic.
func (r *Relay) confirm(ctx context.Context, c wire.ClinicID, kid string) bool {
	now := r.cfg.Now().UTC()
	t, err := r.cfg.Registry.Token(ctx, kid, now)
	if err != nil || t.Clinic != c {
		return false
	}
	if err := r.cfg.Registry.ConfirmToken(ctx, kid, now, now.Add(wire.OldTokenLife)); err != nil {
		r.log.Warn("a stored token was not recorded", "clinic", string(c), "error", err)
		return false
	}
	return true
}

// newKey takes a new sealing key of an agent. Its other nodes hear of it by the registry's revision.
func (r *Relay) newKey(ctx context.Context, c wire.ClinicID, k *wire.Key) {
	if r.dir.state(c).Sealing.KeyID == k.KeyID {
		return
	}
	err := r.cfg.Registry.AddSealingKey(ctx, c, SealingKey{KeyID: k.KeyID, Public: k.Public, AddedAt: r.cfg.Now().UTC()})
	if err != nil {
		r.log.Warn("a sealing key was not stored", "clinic", string(c), "error", err)
		return
	}
	r.changed(ctx, c)
}

// changed brings this node up to date after a change of its own and tells the others.
func (r *Relay) changed(ctx context.Context, c wire.ClinicID) {
	if err := r.dir.refresh(ctx); err != nil {
		r.log.Warn("the clinics were not read", "error", err)
	}
	r.cfg.Store.Wake(c, 0)
}
