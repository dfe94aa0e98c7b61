package relay

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Admin does the operator's work directly on the database, in the relay's process or in another one. Running relays notice by
// a wake-up or within a second.
type Admin struct {
	Store     Store
	Registry  Registry
	PublicURL string           // for OpenHookup
	Now       func() time.Time // nil: time.Now
}

// Admin returns the administration of this relay's database.
func (r *Relay) Admin() *Admin {
	return &Admin{Store: r.cfg.Store, Registry: r.cfg.Registry, PublicURL: r.public, Now: r.cfg.Now}
}

// ErrName is a name that a clinic can not have.
var ErrName = errors.New("relay: a clinic's name has 1 to 200 bytes, starts and ends with no space, and has no control characters")

func (a *Admin) now() time.Time {
	if a.Now != nil {
		return a.Now().UTC().Truncate(time.Microsecond)
	}
	return time.Now().UTC().Truncate(time.Microsecond)
}

func (a *Admin) audit(ctx context.Context, c wire.ClinicID, action, detail string) error {
	if err := a.Registry.Audit(ctx, AuditLine{At: a.now(), Clinic: c, Action: action, Detail: detail}); err != nil {
		return fmt.Errorf("relay: write the audit: %w", err)
	}
	return nil
}

// AddClinic creates a clinic. ErrName, ErrNameTaken.
func (a *Admin) AddClinic(ctx context.Context, name string) (Clinic, error) {
	if !validName(name) {
		return Clinic{}, ErrName
	}
	c := Clinic{ID: wire.ClinicID("c" + wire.NewID()), Name: name, CreatedAt: a.now()}
	if err := a.Registry.AddClinic(ctx, c); err != nil {
		return Clinic{}, err
	}
	a.Store.Wake(c.ID, 0)
	return c, a.audit(ctx, c.ID, "add", "")
}

func validName(s string) bool {
	return s != "" && len(s) <= 200 && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) })
}

// ListClinics returns all clinics with what is known about them, by name.
func (a *Admin) ListClinics(ctx context.Context) ([]Status, error) {
	list, err := a.Registry.Status(ctx)
	notePresent(list, a.now())
	return list, err
}

// presentFor is how long after it was last heard a clinic counts as connected: presence is written once a minute.
const presentFor = 3 * time.Minute

// notePresent corrects what a node that was killed, or an agent that stopped polling, left behind.
func notePresent(list []Status, now time.Time) {
	for i := range list {
		if now.Sub(list[i].LastHeard) > presentFor {
			list[i].ConnectedSince = time.Time{}
		}
	}
}

// live finds a clinic that is not revoked.
func (a *Admin) live(ctx context.Context, name string) (Clinic, error) {
	c, err := a.Registry.ClinicByName(ctx, name)
	if err == nil && !c.RevokedAt.IsZero() {
		err = fmt.Errorf("%w: %s is revoked", ErrUnknownClinic, name)
	}
	return c, err
}

// PairingCode opens a pairing and returns its code, valid for 60 minutes and once. An older open code of the clinic ends.
// It also ends a freeze. ErrUnknownClinic.
func (a *Admin) PairingCode(ctx context.Context, name string) (code string, ends time.Time, err error) {
	c, err := a.live(ctx, name)
	if err != nil {
		return "", time.Time{}, err
	}
	if err := a.unfreeze(ctx, c.ID); err != nil {
		return "", time.Time{}, err
	}
	now := a.now()
	for range 20 {
		if code, err = wire.NewCode(); err != nil {
			return "", time.Time{}, err
		}
		group, secret, err := wire.SplitCode(code)
		if err != nil {
			return "", time.Time{}, err
		}
		p := Pairing{Group: group, Clinic: c.ID, Hash: wire.HashSecret(secret), CreatedAt: now, ExpiresAt: now.Add(wire.CodeLife)}
		err = a.Registry.AddPairing(ctx, p)
		if errors.Is(err, ErrTaken) {
			continue
		}
		if err != nil {
			return "", time.Time{}, err
		}
		return code, p.ExpiresAt, a.audit(ctx, c.ID, "pair", "")
	}
	return "", time.Time{}, fmt.Errorf("relay: too many open pairings: %w", ErrTaken)
}

// unfreeze lets the clinic's computers in again.
func (a *Admin) unfreeze(ctx context.Context, c wire.ClinicID) error {
	for range 20 {
		h, err := a.Registry.History(ctx, c)
		if err != nil || h.Frozen.IsZero() {
			return err
		}
		h.Frozen, h.Takeovers = time.Time{}, nil
		err = a.Registry.SaveHistory(ctx, c, h)
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return ErrConflict
}

// Revoke ends a clinic: its agent is closed with 4403 and its addresses answer 404. ErrUnknownClinic.
func (a *Admin) Revoke(ctx context.Context, name string) error {
	c, err := a.live(ctx, name)
	if err != nil {
		return err
	}
	if err := a.Registry.Revoke(ctx, c.ID, a.now()); err != nil {
		return err
	}
	a.Store.Wake(c.ID, 0)
	return a.audit(ctx, c.ID, "revoke", "")
}

// Rotate asks for a new token: the agent gets one now if it is connected, else when it comes. ErrUnknownClinic.
func (a *Admin) Rotate(ctx context.Context, name string) error {
	c, err := a.live(ctx, name)
	if err != nil {
		return err
	}
	if err := a.Registry.RequestRotation(ctx, c.ID); err != nil {
		return err
	}
	a.Store.Wake(c.ID, 0)
	return a.audit(ctx, c.ID, "rotate", "asked for by the operator")
}

// Longest time that an address for credentials may be open.
const maxHookup = 24 * time.Hour

// OpenHookup opens an address that takes Provet Cloud's automatic credential post for a clinic, for a time of at most 24 h.
// What arrives is sealed to the paired appliance. ErrUnknownClinic, ErrNotPaired.
func (a *Admin) OpenHookup(ctx context.Context, name string, open time.Duration) (rawURL string, ends time.Time, err error) {
	if open <= 0 || open > maxHookup {
		return "", time.Time{}, fmt.Errorf("relay: an address for credentials is open for at most %s", maxHookup)
	}
	if u, err := url.Parse(a.PublicURL); err != nil || u.Host == "" {
		return "", time.Time{}, fmt.Errorf("relay: public URL %q is no address", a.PublicURL)
	}
	c, err := a.live(ctx, name)
	if err != nil {
		return "", time.Time{}, err
	}
	if _, err := a.Registry.Agent(ctx, c.ID); err != nil {
		return "", time.Time{}, err
	}
	now := a.now()
	secret := wire.NewSecret()
	u := InboundURL{
		Hash: wire.HashSecret(secret), Clinic: c.ID, Kind: wire.KindCredentials, Label: "credentials", CreatedAt: now, ExpiresAt: now.Add(open),
	}
	if err := a.Registry.AddURLs(ctx, []InboundURL{u}); err != nil {
		return "", time.Time{}, err
	}
	a.Store.Wake(c.ID, 0)
	return strings.TrimSuffix(a.PublicURL, "/") + hookupPath + secret, u.ExpiresAt, a.audit(ctx, c.ID, "hookup", "open for "+open.String())
}

// NewStoreEpochs makes every agent check what it holds: after a restore of the database or the promotion of a stale copy.
func (a *Admin) NewStoreEpochs(ctx context.Context) error {
	if err := a.Store.NewStoreEpochs(ctx); err != nil {
		return err
	}
	return a.audit(ctx, "", "epoch", "asked for by the operator")
}
