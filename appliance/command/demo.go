package command

import "errors"

type demoCmd struct {
	Once   bool  `help:"Bring orders through the whole loop, print their timelines, and end."`
	Orders int   `help:"How many orders (with --once: default 1)." placeholder:"N"`
	Seed   int64 `help:"Make the clinic repeatable." placeholder:"N"`
}

// Help shows an example.
func (demoCmd) Help() string {
	return "A simulated Provet Cloud, machines and RIS, a real relay and one real appliance, on loopback, with a data folder of its own. " +
		"With --once it exits 0 only if every order reached Provet Cloud as completed.\n\n" +
		"Example:\n\n  rayhound demo --once --orders 3 --seed 1"
}

// Run runs the demo.
func (c demoCmd) Run(e *env) error {
	if c.Orders < 0 || c.Orders > 1_000_000 {
		return usage("--orders must be from 1 to 1000000")
	}
	if e.Demo == nil {
		return errors.New("this build has no demo")
	}
	return e.Demo(e.ctx, DemoOptions{
		Version: e.Version, Once: c.Once, Orders: c.Orders, Seed: c.Seed, Stdout: e.Stdout, Stderr: e.Stderr,
	})
}
