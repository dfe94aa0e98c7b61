package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/provet"
)

// Names of the sealed secrets of the credential post.
const (
	secretConnection = config.ConnectionSecret
	secretOffer      = "provet.offer"
	secretWebhooks   = "provet.webhooks"
)

// connection says which tenant and client the credentials that Provet Cloud sent
// belong to. The client secret itself is sealed where a person would set it.
type connection struct {
	BaseURL  string    `json:"base_url"`
	ClientID string    `json:"client_id"`
	ProvetID string    `json:"provet_id"`
	At       time.Time `json:"at"`
}

// withConnection returns the settings with base_url and client_id filled in from
// what Provet Cloud sent, where the settings file leaves both empty. The file is
// its owner's: what it names is never replaced.
func withConnection(f *config.File, s *secret.Store) (*config.File, error) {
	c, ok, err := openJSON[connection](s, secretConnection)
	if err != nil || !ok {
		return f, err
	}
	if provet.SameBase(f.Provet.BaseURL, c.BaseURL) {
		c.BaseURL = f.Provet.BaseURL // as its owner writes it
	}
	return f.WithConnection(c.BaseURL, c.ClientID), nil
}

// wireConnection fills the settings in with what Provet Cloud sent, before any
// part is made from them.
func (a *Appliance) wireConnection() (err error) {
	a.hookup.file, a.hookup.again = a.cfg.Settings.Provet, make(chan struct{}, 1)
	a.webhooks.wake = make(chan struct{}, 1)
	filled, err := withConnection(a.cfg.Settings, a.secrets)
	p := problem.Of(err)
	if p == nil {
		a.cfg.Settings = filled
		return err
	}
	// Sealed on another computer: as if nothing had come, which RH-110 says.
	a.log.LogAttrs(context.Background(), slog.LevelWarn, "the connection that Provet Cloud sent cannot be opened", errAttr(err))
	return nil
}

// wireWebhooks joins the intake of credentials and the webhooks to the tunnel.
func (a *Appliance) wireWebhooks() {
	a.tunnel.credentials = a.takeCredentials
	a.tunnel.paired = a.webhookAddresses
	if err := a.restoreOffer(); err != nil {
		a.log.LogAttrs(context.Background(), levelOf(err), "the waiting credentials cannot be read", errAttr(err))
	}
}

// openJSON opens a secret that holds JSON; false when it was never set.
func openJSON[T any](s *secret.Store, name string) (v T, ok bool, err error) {
	sealed, err := s.Open(name)
	if errors.Is(err, secret.ErrMissing) {
		return v, false, nil
	}
	if err != nil {
		return v, false, err
	}
	if err := json.Unmarshal([]byte(sealed.Reveal()), &v); err != nil {
		return v, false, fmt.Errorf("appliance: the secret %s is damaged", name) // the decoder may quote it
	}
	return v, true, nil
}

func sealJSON(s *secret.Store, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.Seal(name, secret.New(string(b)))
}
