package command

import (
	"log/slog"

	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/ui"
)

type relayDoctorCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (relayDoctorCmd) Help() string {
	return "Measures how fast the disk makes a webhook durable, and asks the relay under its public address. Exits 0 only if nothing failed.\n\n" +
		"Example:\n\n  rayhound relay doctor"
}

// Run runs the checks.
func (c relayDoctorCmd) Run(e *env) error {
	set, dataDir, err := e.relaySettings()
	if err != nil {
		return err
	}
	found := relayd.Check(e.ctx, relayOf(set, dataDir, e.Version, slog.New(slog.DiscardHandler)))
	bad := false
	checks := make([]ui.Check, len(found))
	for i, f := range found {
		checks[i] = ui.Check{Area: "relay", Name: f.Name, Result: f.Result, Detail: f.Detail, Help: f.Help}
		bad = bad || f.Result == "fail"
	}
	if c.JSON {
		if err := e.json(checks); err != nil {
			return err
		}
	} else {
		e.showChecks(checks)
	}
	if bad {
		return errReported
	}
	return nil
}
