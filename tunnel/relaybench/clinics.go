package relaybench

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// clinic is a paired clinic with the secrets of its appliance.
type clinic struct {
	id       wire.ClinicID
	instance wire.InstanceID
	token    string
	identity ed25519.PrivateKey
	sealing  []byte // private
	keyID    string
	path     string // of its inbound URL
}

// populate writes n paired clinics into a new database, several at a time, so that
// the store joins them in its commits.
func populate(ctx context.Context, dir string, n int) (list []*clinic, err error) {
	store, err := relayd.OpenStore(ctx, storeName, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	list = make([]*clinic, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range list {
		g.Go(func() (err error) {
			list[i], err = pair(ctx, store, fmt.Sprint("clinic ", i))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("relaybench: clinics: %w", err)
	}
	return list, nil
}

func pair(ctx context.Context, reg relay.Registry, name string) (*clinic, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	pub, identity, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	c := &clinic{id: wire.ClinicID(wire.NewID()), instance: wire.InstanceID(wire.NewID()), identity: identity}
	var sealing []byte
	if c.sealing, sealing, c.keyID, err = wire.NewSealingKey(); err != nil {
		return nil, err
	}
	if err := reg.AddClinic(ctx, relay.Clinic{ID: c.id, Name: name, CreatedAt: now}); err != nil {
		return nil, err
	}
	group, err := openPairing(ctx, reg, c.id, now)
	if err != nil {
		return nil, err
	}
	var kid string
	c.token, kid = wire.NewToken()
	secret := wire.NewSecret()
	c.path = "/in/" + secret
	_, err = reg.CompletePairing(ctx, relay.Paired{
		Group: group, Clinic: c.id, At: now, Sealing: relay.SealingKey{KeyID: c.keyID, Public: sealing, AddedAt: now},
		Agent: relay.Agent{Clinic: c.id, Identity: pub, Instance: c.instance, Version: "bench", PairedAt: now},
		Token: relay.Token{KID: kid, Clinic: c.id, Hash: wire.HashToken(c.token), CreatedAt: now, ConfirmedAt: now},
		URLs:  []relay.InboundURL{{Hash: wire.HashSecret(secret), Clinic: c.id, Kind: wire.KindCreated, Label: wire.KindCreated, CreatedAt: now}},
	})
	return c, err
}

// openPairing opens a pairing under a group that is free.
func openPairing(ctx context.Context, reg relay.Registry, id wire.ClinicID, now time.Time) (group string, err error) {
	for range 20 {
		code, err := wire.NewCode()
		if err != nil {
			return "", err
		}
		group, secret, err := wire.SplitCode(code)
		if err != nil {
			return "", err
		}
		err = reg.AddPairing(ctx, relay.Pairing{Group: group, Clinic: id, Hash: wire.HashSecret(secret), CreatedAt: now, ExpiresAt: now.Add(wire.CodeLife)})
		if !errors.Is(err, relay.ErrTaken) {
			return group, err
		}
	}
	return "", relay.ErrTaken
}
