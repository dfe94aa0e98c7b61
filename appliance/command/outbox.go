package command

import (
	"fmt"

	"github.com/rayhound/rayhound/ui"
)

type outboxCmd struct {
	List   outboxListCmd   `cmd:"" help:"List what we still owe others."`
	Retry  outboxRetryCmd  `cmd:"" help:"Try again now, also what was parked."`
	Pause  outboxPauseCmd  `cmd:"" help:"Stop sending to a destination."`
	Resume outboxResumeCmd `cmd:"" help:"Go on sending to a destination."`
}

type outboxListCmd struct {
	Destination string `help:"Only this destination: provet, or ris:NAME." placeholder:"DEST"`
	State       string `help:"Only this state: ready, leased, parked, delivered, dropped." placeholder:"STATE"`
	All         bool   `help:"Also what is delivered."`
	Limit       int    `help:"At most so many." default:"200" placeholder:"N"`
	JSON        bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (outboxListCmd) Help() string { return "Example:\n\n  rayhound outbox list --state parked" }

// Run lists the messages.
func (c outboxListCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	all, err := client.Outbox(e.ctx, ui.OutboxFilter{Destination: c.Destination, State: c.State, All: c.All, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("We owe nobody anything.\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, m := range all {
		rows[i] = []string{
			fmt.Sprint(m.ID), m.Destination, m.AccessionNumber, m.Kind, clock(m.CreatedAt), fmt.Sprint(m.AttemptCount), messageState(m),
		}
	}
	e.table([]string{"ID", "TO", "ACCESSION", "WHAT", "SINCE", "TRIES", "STATE"}, rows)
	return nil
}

type outboxRetryCmd struct {
	ID          []int64 `arg:"" optional:"" help:"Numbers of the list; none means all."`
	Destination string  `help:"Only this destination." placeholder:"DEST"`
}

// Help shows an example.
func (outboxRetryCmd) Help() string { return "Example:\n\n  rayhound outbox retry 17" }

// Run tries again.
func (c outboxRetryCmd) Run(e *env) error {
	if len(c.ID) > 0 && c.Destination != "" {
		return usage("Give numbers or --destination, not both")
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	if len(c.ID) == 0 {
		n, err := client.RetryOutbox(e.ctx, c.Destination)
		if err != nil {
			return err
		}
		e.printf("Trying %s again.\n", count(n, "message"))
		return nil
	}
	for _, id := range c.ID {
		if err := client.RetryMessage(e.ctx, id); err != nil {
			return err
		}
	}
	e.printf("Trying %s again.\n", count(len(c.ID), "message"))
	return nil
}

type outboxPauseCmd struct {
	Destination string `arg:"" help:"provet, or ris:NAME."`
	Reason      string `help:"Why, for the others." placeholder:"TEXT"`
}

// Help shows an example.
func (outboxPauseCmd) Help() string {
	return "Nothing is lost while a destination is paused.\n\nExample:\n\n  rayhound outbox pause provet --reason \"maintenance\""
}

// Run pauses the destination.
func (c outboxPauseCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if err := client.PauseDestination(e.ctx, c.Destination, c.Reason); err != nil {
		return err
	}
	e.printf("Sending to %s is paused.\n", plain(c.Destination))
	return nil
}

type outboxResumeCmd struct {
	Destination string `arg:"" help:"provet, or ris:NAME."`
}

// Help shows an example.
func (outboxResumeCmd) Help() string { return "Example:\n\n  rayhound outbox resume provet" }

// Run goes on.
func (c outboxResumeCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if err := client.ResumeDestination(e.ctx, c.Destination); err != nil {
		return err
	}
	e.printf("Sending to %s goes on.\n", plain(c.Destination))
	return nil
}
