package appliance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	// loginTime bounds the check of credentials.
	loginTime = time.Minute
	// loginTries is how often credentials that cannot be checked are tried before a
	// person is asked.
	loginTries = 12
	// keyDropped remembers the credentials that a person dropped last.
	keyDropped = "provet.offer_dropped"
	// whoHookup is who acts when a credential post is taken.
	whoHookup = "hookup"
)

// hookup is the state of the credential intake.
type hookup struct {
	file  config.Provet // as the settings file has it
	again chan struct{} // size 1: start again

	mu    sync.Mutex // one decision at a time
	tries map[string]int
}

// offer is a set of credentials that waits for a person.
type offer struct {
	ID       string    `json:"id"` // of these very credentials
	ProvetID string    `json:"provet_id"`
	ClientID string    `json:"client_id"`
	BaseURL  string    `json:"base_url"`
	Secret   string    `json:"client_secret"`
	Reason   string    `json:"reason"` // why nobody but a person may decide
	At       time.Time `json:"at"`
}

func offerOf(h provet.Hookup, reason string, at time.Time) offer {
	sum := sha256.Sum256([]byte(h.BaseURL + "\x00" + h.ClientID + "\x00" + h.Secret))
	return offer{
		ID: hex.EncodeToString(sum[:6]), ProvetID: h.ProvetID, ClientID: h.ClientID, BaseURL: h.BaseURL, Secret: h.Secret,
		Reason: reason, At: at.UTC(),
	}
}

func (o offer) hookup() provet.Hookup {
	return provet.Hookup{ProvetID: o.ProvetID, ClientID: o.ClientID, BaseURL: o.BaseURL, Secret: o.Secret}
}

// takeCredentials takes Provet's automatic credential post. Whoever knows the
// address may send one, so it is used by itself only where it cannot displace
// anything: while Provet Cloud is not set up and the post names a host of Provet
// Cloud, or as a new secret of the same client at the same address. In either
// case Provet Cloud has to accept it first. All else waits for a person.
//
// The same post again does nothing. An error that wraps errCredentialsUnusable
// says that trying again is in vain.
func (a *Appliance) takeCredentials(ctx context.Context, r wire.Request) error {
	h, err := provet.ParseHookup(r.Header["content-type"], r.Body)
	if err != nil {
		return a.refuseCredentials(ctx, err)
	}
	a.hookup.mu.Lock()
	defer a.hookup.mu.Unlock()
	set, err := withConnection(a.cfg.Settings, a.secrets)
	if err != nil {
		return err
	}
	if h.BaseURL == "" {
		if h.BaseURL = set.Provet.BaseURL; h.BaseURL == "" || !provet.NamesTenant(h.BaseURL, h.ProvetID) {
			return a.refuseCredentials(ctx, provet.ErrHookupIncomplete)
		}
	}
	known, err := a.clientSecret(ctx)
	if err != nil && problem.Of(err) == nil {
		return err
	}
	switch verdict, reason := judge(h, set.Provet, known, a.cfg.NoCallBudget); verdict {
	case credentialsKnown:
		return nil
	case credentialsAsk:
		return a.offerCredentials(ctx, offerOf(h, reason, a.cfg.Now()))
	case credentialsTake:
	}
	o := offerOf(h, "", a.cfg.Now())
	if err := a.login(ctx, h); err != nil {
		var pe *provet.Error
		if errors.As(err, &pe) && pe.Class == provet.Auth {
			return a.refuseCredentials(ctx, err)
		}
		if a.hookup.tries == nil || len(a.hookup.tries) > 100 {
			a.hookup.tries = map[string]int{}
		}
		if a.hookup.tries[o.ID]++; a.hookup.tries[o.ID] < loginTries {
			return fmt.Errorf("appliance: checking the credentials: %w", err)
		}
		o.Reason = "Provet Cloud could not be asked whether they are right"
		return a.offerCredentials(ctx, o)
	}
	return a.useCredentials(ctx, o, whoHookup)
}

// credentialsVerdict says what may be done with a credential post.
type credentialsVerdict int

const (
	credentialsKnown credentialsVerdict = iota + 1 // they are in use
	credentialsTake                                // after Provet Cloud accepted them
	credentialsAsk                                 // a person decides
)

// judge compares a credential post with what is in use. local says that Provet
// Cloud may be a simulator on this computer.
func judge(h provet.Hookup, set config.Provet, known string, local bool) (v credentialsVerdict, reason string) {
	switch {
	case set.BaseURL != "" && !provet.SameBase(set.BaseURL, h.BaseURL):
		return credentialsAsk, "another address or organisation is in use"
	case set.ClientID != "" && set.ClientID != h.ClientID:
		return credentialsAsk, "another client id is in use"
	case set.BaseURL != "" && set.ClientID != "" && known == h.Secret:
		return credentialsKnown, ""
	case set.BaseURL == "" && !provet.IsProvetHost(h.BaseURL, local):
		return credentialsAsk, "the address is none of Provet Cloud's"
	}
	return credentialsTake, ""
}

// login asks Provet Cloud whether it accepts the credentials.
func (a *Appliance) login(ctx context.Context, h provet.Hookup) error {
	c := provetOf(a.cfg.Settings)
	c.BaseURL, c.ClientID = h.BaseURL, h.ClientID
	c.Secret = func(context.Context) (string, error) { return h.Secret, nil }
	c.UserAgent, c.Log, c.Now = "Rayhound/"+a.cfg.Version, a.log, a.cfg.Now
	client, err := provet.New(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	return client.Login(ctx)
}

// useCredentials seals credentials and starts to work with them.
func (a *Appliance) useCredentials(ctx context.Context, o offer, who string) error {
	if err := a.secrets.Seal(secretProvet, secret.New(o.Secret)); err != nil {
		return err
	}
	fresh := a.provet == nil
	if set := a.cfg.Settings.Provet; set.ClientID != o.ClientID || !provet.SameBase(set.BaseURL, o.BaseURL) {
		fresh = true
		err := sealJSON(a.secrets, secretConnection, connection{BaseURL: o.BaseURL, ClientID: o.ClientID, ProvetID: o.ProvetID, At: a.cfg.Now().UTC()})
		if err != nil {
			return err
		}
	}
	if err := a.dropOffer(ctx, "", who, "credentials taken", o); err != nil {
		return err
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "credentials of Provet Cloud were taken", slog.String("provet_org", o.ProvetID), slog.Bool("start_again", fresh))
	if fresh {
		a.startAgain()
		return nil
	}
	a.board.Clear(problem.ProvetUnconfigured, destProvet)
	signal(a.pollNow)
	signal(a.webhooks.wake)
	return nil
}

// offerCredentials keeps credentials for a person to decide on. The newest ones
// replace earlier ones; what a person dropped does not come back.
func (a *Appliance) offerCredentials(ctx context.Context, o offer) error {
	var dropped string
	err := a.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
		dropped, _, err = s.State(ctx, keyDropped)
		return err
	})
	if err != nil || dropped == o.ID {
		return err
	}
	old, ok, err := openJSON[offer](a.secrets, secretOffer)
	if err == nil && ok && old.ID == o.ID {
		return nil
	}
	if err := sealJSON(a.secrets, secretOffer, o); err != nil {
		return err
	}
	a.showOffer(o)
	return a.audit(ctx, whoHookup, "credentials wait for a person", o)
}

// showOffer puts waiting credentials on the board.
func (a *Appliance) showOffer(o offer) {
	a.board.RaiseSince(problem.ProvetCredentials, "", problem.Args{"provet_id": printable(o.ProvetID), "host": hostOf(o.BaseURL), "reason": o.Reason}, o.At)
}

// restoreOffer shows what waited when the last run ended.
func (a *Appliance) restoreOffer() error {
	o, ok, err := openJSON[offer](a.secrets, secretOffer)
	if ok {
		a.showOffer(o)
	}
	return err
}

// refuseCredentials notes a post that cannot be used.
func (a *Appliance) refuseCredentials(ctx context.Context, cause error) error {
	a.log.LogAttrs(ctx, slog.LevelWarn, "a credential post could not be used", errAttr(cause))
	return errors.Join(errCredentialsUnusable, cause, a.audit(ctx, whoHookup, "credentials refused", offer{}))
}

// dropOffer forgets waiting credentials, with a line in the audit. id is that of
// credentials which shall not come back.
func (a *Appliance) dropOffer(ctx context.Context, id, who, what string, o offer) error {
	err := a.db.Write(ctx, func(tx *localdb.Tx) error {
		if id != "" {
			if err := tx.SetState(ctx, keyDropped, id); err != nil {
				return err
			}
		}
		return tx.AddAudit(ctx, o.audit(a.cfg.Now(), who, what))
	})
	if err != nil {
		return err
	}
	a.board.Clear(problem.ProvetCredentials, "")
	return a.secrets.Delete(secretOffer)
}

func (a *Appliance) audit(ctx context.Context, who, what string, o offer) error {
	return a.db.Write(ctx, func(tx *localdb.Tx) error { return tx.AddAudit(ctx, o.audit(a.cfg.Now(), who, what)) })
}

// audit is the line about credentials: which ones, never the secret.
func (o offer) audit(at time.Time, who, what string) localdb.Audit {
	detail := ""
	if o.ID != "" {
		detail = fmt.Sprintf("organisation %s at %s, client id %s, credentials %s", printable(o.ProvetID), hostOf(o.BaseURL), printable(o.ClientID), o.ID)
	}
	return localdb.Audit{At: at, Who: who, What: what, Detail: detail}
}

// hostOf returns the host of a URL for people.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return printable(u.Host)
}
