package command

import (
	"fmt"
	"strings"

	"github.com/rayhound/rayhound/ui"
)

type machinesCmd struct {
	List    machinesListCmd    `cmd:"" help:"List the machines of the settings and when they last called."`
	Pending machinesPendingCmd `cmd:"" help:"List callers that are in no [[modality]]."`
	Queries machinesQueriesCmd `cmd:"" help:"List the last worklist queries."`
}

type machinesListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (machinesListCmd) Help() string { return "Example:\n\n  rayhound machines list" }

// Run lists the machines.
func (c machinesListCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	all, err := client.Machines(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("The settings name no machine. Add a [[modality]].\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, m := range all {
		rows[i] = []string{m.Name, m.AETitle, m.Code, strings.Join(m.Serves, ", "), fmt.Sprint(m.Offered), clock(m.LastQueryAt), clock(m.LastMPPSAt)}
	}
	e.table([]string{"NAME", "AE TITLE", "CODE", "SERVES", "OFFERED", "LAST QUERY", "LAST MPPS"}, rows)
	return nil
}

type machinesPendingCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (machinesPendingCmd) Help() string { return "Example:\n\n  rayhound machines pending" }

// Run lists unknown callers.
func (c machinesPendingCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	all, err := client.PendingMachines(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("No unknown machine has called.\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, m := range all {
		rows[i] = []string{m.AETitle, m.Address, m.Called, fmt.Sprint(m.Count), clock(m.LastAt), m.Reason}
	}
	e.table([]string{"AE TITLE", "ADDRESS", "CALLED", "TIMES", "LAST", "REFUSED BECAUSE"}, rows)
	return nil
}

type machinesQueriesCmd struct {
	Machine string `help:"Only of this machine." placeholder:"NAME"`
	Limit   int    `help:"At most so many." default:"20" placeholder:"N"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (machinesQueriesCmd) Help() string {
	return "Example:\n\n  rayhound machines queries --machine \"X-ray room 1\""
}

// Run lists the queries.
func (c machinesQueriesCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	all, err := client.Queries(e.ctx, ui.QueryFilter{Machine: c.Machine, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("No machine has asked for its worklist.\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, q := range all {
		rows[i] = []string{clock(q.At), first(q.Machine, q.CallingAETitle), keyText(q.Keys), fmt.Sprint(q.Matches), fmt.Sprint(len(q.Excluded)), q.Status, q.End}
	}
	e.table([]string{"WHEN", "MACHINE", "ASKED", "ANSWERS", "LEFT OUT", "STATUS", "END"}, rows)
	return nil
}
