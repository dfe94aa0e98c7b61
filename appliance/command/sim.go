package command

import (
	"time"

	"github.com/rayhound/rayhound/appliance/sim"
)

type simCmd struct {
	Provet   simProvetCmd   `cmd:"" help:"A simulated Provet Cloud."`
	Modality simModalityCmd `cmd:"" help:"A simulated imaging machine."`
	RIS      simRISCmd      `cmd:"" name:"ris" help:"A simulated radiology information system."`
}

type simProvetCmd struct {
	Listen   string        `help:"Address, loopback unless you know why." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	ProvetID string        `name:"provet-id" help:"Number of the clinic." default:"4321" placeholder:"ID"`
	ClientID string        `name:"client-id" help:"Client id that is let in." default:"rayhound" placeholder:"ID"`
	Secret   string        `help:"Its secret; an invented one, for the simulator only." default:"secret" placeholder:"TEXT"`
	Orders   int           `help:"Orders that are there at the start." default:"3" placeholder:"N"`
	Every    time.Duration `help:"A new order every so often; 0: none." default:"0s" placeholder:"DURATION"`
	Seed     int64         `help:"Make the clinic repeatable." default:"1" placeholder:"N"`
	Rename   bool          `help:"Rename every field and value whose name is not publicly known."`
}

// Help shows an example.
func (simProvetCmd) Help() string {
	return "Prints the settings that fit it. Its admin surface is under /_sim/.\n\nExample:\n\n  rayhound sim provet --listen 127.0.0.1:8080 --orders 5"
}

// Run runs the simulator until it is interrupted.
func (c simProvetCmd) Run(e *env) error {
	if c.Orders < 0 || c.Orders > 1_000_000 {
		return usage("--orders must be from 0 to 1000000")
	}
	return sim.Provet(e.ctx, sim.ProvetOptions{
		Listen: c.Listen, ProvetID: c.ProvetID, ClientID: c.ClientID, ClientSecret: c.Secret, Orders: c.Orders, Every: c.Every, Seed: c.Seed,
		Rename: c.Rename, Out: e.Stdout,
	})
}

type simModalityCmd struct {
	Peer         string        `arg:"" name:"peer" help:"The worklist, AET@HOST:PORT."`
	AETitle      string        `name:"ae-title" help:"AE title of the machine." default:"DR1" placeholder:"AET"`
	Code         string        `help:"DICOM modality." default:"DX" placeholder:"CS"`
	Every        time.Duration `help:"How often it asks for its list." default:"5s" placeholder:"DURATION"`
	Exam         time.Duration `help:"How long an examination takes." default:"2s" placeholder:"DURATION"`
	Discontinue  bool          `help:"Give up every examination."`
	WithoutOrder bool          `name:"without-reference" help:"Report without naming the order."`
	Misbehave    string        `help:"Do one thing no machine should do, and end; list: show the names." placeholder:"KIND"`
}

// Help shows an example.
func (simModalityCmd) Help() string {
	return "Asks for its worklist, performs what it finds, reports it by MPPS.\n\nExample:\n\n  rayhound sim modality RAYHOUND@127.0.0.1:11112 --ae-title DR1"
}

// Run runs the simulator until it is interrupted.
func (c simModalityCmd) Run(e *env) error {
	if c.Misbehave == "list" {
		for _, k := range sim.Misbehaviours() {
			e.printf("%s\n", k)
		}
		return nil
	}
	t, err := e.target(c.Peer, c.AETitle)
	if err != nil {
		return err
	}
	return sim.Modality(e.ctx, sim.ModalityOptions{
		Address: t.Address, CalledAETitle: t.CalledAETitle, AETitle: c.AETitle, Code: c.Code, Every: c.Every, Exam: c.Exam,
		Discontinue: c.Discontinue, WithoutReference: c.WithoutOrder, Misbehave: c.Misbehave, Out: e.Stdout,
	})
}
