package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
)

type relayClinicCmd struct {
	Add    relayClinicAddCmd    `cmd:"" help:"Add a clinic."`
	List   relayClinicListCmd   `cmd:"" help:"List the clinics: when each was last heard, and what waits for it."`
	Pair   relayClinicPairCmd   `cmd:"" help:"Print a one-time code with which a computer joins."`
	Rotate relayClinicRotateCmd `cmd:"" help:"Give the clinic's computer a new token."`
	Hookup relayClinicHookupCmd `cmd:"" help:"Open an address for Provet Cloud's automatic credential post."`
	Revoke relayClinicRevokeCmd `cmd:"" help:"End a clinic: its tunnel is closed and its addresses answer 404."`
}

type relayClinicAddCmd struct {
	Name string `arg:"" help:"Name of the clinic, for lists."`
}

// Help shows an example.
func (relayClinicAddCmd) Help() string {
	return "Works beside a running relay.\n\nExample:\n\n  rayhound relay clinic add \"Riverside Veterinary Clinic\""
}

// Run adds the clinic.
func (c relayClinicAddCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		if _, err := a.AddClinic(e.ctx, c.Name); err != nil {
			return relayProblem(c.Name, err)
		}
		e.printf("Added. Next, for its computer: rayhound relay clinic pair %q\n", plain(c.Name))
		return nil
	})
}

type relayClinicListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (relayClinicListCmd) Help() string { return "Example:\n\n  rayhound relay clinic list" }

// relayClinic is a clinic as JSON shows it.
type relayClinic struct {
	ID             string           `json:"id"`
	Name           string           `json:"name"`
	State          string           `json:"state"` // connected, offline, not paired, frozen, revoked
	LastHeard      time.Time        `json:"last_heard,omitzero"`
	ConnectedSince time.Time        `json:"connected_since,omitzero"`
	Transport      string           `json:"transport,omitempty"`
	Version        string           `json:"version,omitempty"`
	Backlog        int              `json:"backlog"`
	BacklogBytes   int64            `json:"backlog_bytes"`
	Oldest         time.Time        `json:"oldest,omitzero"`
	Gaps           int64            `json:"gaps"`
	Takeovers      int64            `json:"takeovers"`
	URLs           []relayClinicURL `json:"urls"`
}

type relayClinicURL struct {
	Kind     string    `json:"kind"`
	Label    string    `json:"label"`
	Uses     int64     `json:"uses"`
	LastUsed time.Time `json:"last_used,omitzero"`
}

func relayClinicOf(s relay.Status) relayClinic {
	c := relayClinic{
		ID: string(s.Clinic.ID), Name: s.Clinic.Name, LastHeard: s.LastHeard, ConnectedSince: s.ConnectedSince,
		Transport: s.Transport, Version: s.Version, Backlog: s.Backlog, BacklogBytes: s.BacklogBytes, Oldest: s.Oldest,
		Gaps: s.Counts.Gaps, Takeovers: s.Counts.Takeovers, URLs: []relayClinicURL{},
	}
	switch {
	case !s.Clinic.RevokedAt.IsZero():
		c.State = "revoked"
	case !s.Frozen.IsZero():
		c.State = "frozen"
	case s.Paired.IsZero():
		c.State = "not paired"
	case !s.ConnectedSince.IsZero():
		c.State = "connected"
	default:
		c.State = "offline"
	}
	for _, u := range s.URLs {
		c.URLs = append(c.URLs, relayClinicURL{u.Kind, u.Label, u.Uses, u.LastUsed})
	}
	return c
}

// Run lists the clinics.
func (c relayClinicListCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		all, err := a.ListClinics(e.ctx)
		if err != nil {
			return relayProblem("", err)
		}
		list := make([]relayClinic, 0, len(all))
		for _, s := range all {
			list = append(list, relayClinicOf(s))
		}
		if c.JSON {
			return e.json(list)
		}
		if len(list) == 0 {
			e.printf("There is no clinic yet. rayhound relay clinic add NAME\n")
			return nil
		}
		rows := make([][]string, len(list))
		for i, x := range list {
			waits := "-"
			if x.Backlog > 0 {
				waits = fmt.Sprintf("%d, since %s", x.Backlog, ago(x.Oldest))
			}
			used := slices.MaxFunc(append(x.URLs, relayClinicURL{}), func(a, b relayClinicURL) int { return a.LastUsed.Compare(b.LastUsed) })
			rows[i] = []string{
				x.Name, x.State, ago(x.LastHeard), first(x.Transport, "-"), first(x.Version, "-"), waits, ago(used.LastUsed),
				fmt.Sprint(x.Gaps), fmt.Sprint(x.Takeovers),
			}
		}
		e.table([]string{"CLINIC", "STATE", "LAST HEARD", "BY", "VERSION", "WAITING", "LAST WEBHOOK", "GAPS", "TAKEOVERS"}, rows)
		return nil
	})
}

type relayClinicPairCmd struct {
	Name string `arg:"" help:"Name of the clinic."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (relayClinicPairCmd) Help() string {
	return "The code is valid for an hour and once. Pairing again replaces the clinic's computer: the old one is let in no more. " +
		"It also lets a clinic in again that was frozen because two computers used its identity.\n\n" +
		"Example:\n\n  rayhound relay clinic pair \"Riverside Veterinary Clinic\""
}

// Run prints a code.
func (c relayClinicPairCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		code, ends, err := a.PairingCode(e.ctx, c.Name)
		if err != nil {
			return relayProblem(c.Name, err)
		}
		address := relayAddress(a.PublicURL)
		if c.JSON {
			return e.json(struct {
				Code     string    `json:"code"`
				RelayURL string    `json:"relay_url"`
				EndsAt   time.Time `json:"ends_at"`
			}{code, address, ends})
		}
		e.printf("%s\n\nValid until %s, once. On the clinic's computer:\n\n  rayhound pair %s %s\n", code, clock(ends), address, code)
		return nil
	})
}

// relayAddress is the address an appliance is given.
func relayAddress(public string) string {
	if rest, ok := strings.CutPrefix(public, "https://"); ok {
		return "wss://" + strings.TrimSuffix(rest, "/")
	}
	return "ws://" + strings.TrimSuffix(strings.TrimPrefix(public, "http://"), "/")
}

type relayClinicRotateCmd struct {
	Name string `arg:"" help:"Name of the clinic."`
}

// Help shows an example.
func (relayClinicRotateCmd) Help() string {
	return "The computer gets a new token now, or when it connects; the old one ends with the first use of the new one. Without being " +
		"asked this happens every 90 days.\n\nExample:\n\n  rayhound relay clinic rotate \"Riverside Veterinary Clinic\""
}

// Run asks for a new token.
func (c relayClinicRotateCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		if err := a.Rotate(e.ctx, c.Name); err != nil {
			return relayProblem(c.Name, err)
		}
		e.printf("%s gets a new token.\n", plain(c.Name))
		return nil
	})
}

type relayClinicHookupCmd struct {
	Name string        `arg:"" help:"Name of the clinic."`
	For  time.Duration `name:"for" default:"30m" help:"How long the address is open; at most 24h." placeholder:"DURATION"`
}

// Help shows an example.
func (relayClinicHookupCmd) Help() string {
	return "Provet Cloud can post a clinic's credentials to an address when the integration is added there. What arrives is encrypted to the " +
		"clinic's paired computer; the relay cannot read it back.\n\nExample:\n\n  rayhound relay clinic hookup \"Riverside Veterinary Clinic\" --for 1h"
}

// Run opens the address.
func (c relayClinicHookupCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		if c.For <= 0 || c.For > 24*time.Hour {
			return usage("An address for credentials is open for at most 24 hours")
		}
		address, ends, err := a.OpenHookup(e.ctx, c.Name, c.For)
		if err != nil {
			return relayProblem(c.Name, err)
		}
		e.printf("%s\n\nOpen until %s. Enter it in Provet Cloud as the address for credentials.\n", address, clock(ends))
		return nil
	})
}

type relayClinicRevokeCmd struct {
	Name string `arg:"" help:"Name of the clinic."`
}

// Help shows an example.
func (relayClinicRevokeCmd) Help() string {
	return "Ends within a second or two on every node.\n\nExample:\n\n  rayhound relay clinic revoke \"Riverside Veterinary Clinic\""
}

// Run revokes the clinic.
func (c relayClinicRevokeCmd) Run(e *env) error {
	return e.withRelay(func(a *relay.Admin) error {
		if err := a.Revoke(e.ctx, c.Name); err != nil {
			return relayProblem(c.Name, err)
		}
		e.printf("%s is revoked.\n", plain(c.Name))
		return nil
	})
}
