// Command bench measures Rayhound end to end: worklist queries beside other
// servers, the way of an order from the signal to the worklist and back, a long
// history, an idle clinic, and hostile peers. It prints a table, or JSON.
//
// Everything runs on this computer, in processes and folders of its own, and is
// bounded in number and time. Timing decides no test; RESULTS.md holds figures
// with the machine they were measured on.
//
//	go run ./appliance/bench mwl --peers
//	go run ./appliance/bench signal --orders 200
//	go run ./appliance/bench history --finished 1000000
//	go run ./appliance/bench idle --for 60s
//	go run ./appliance/bench hostile
//	go run ./appliance/bench ris
//	go run ./appliance/bench tunnel --orders 200
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the clinic names its zone

	"github.com/alecthomas/kong"
)

// program is the command line.
type program struct {
	JSON bool `name:"json" help:"Print JSON instead of a table."`

	Mwl     mwlCmd     `cmd:"" help:"Worklist queries at 10,000 steps, whole associations, also beside other servers."`
	Signal  signalCmd  `cmd:"" help:"From a signal to the worklist, and from the last MPPS message to Provet Cloud."`
	History historyCmd `cmd:"" help:"The same with a million finished orders in the database, and the start."`
	Idle    idleCmd    `cmd:"" help:"What the real binary needs in a clinic without orders."`
	Hostile hostileCmd `cmd:"" help:"A good machine while 64 hostile peers do what they like."`
	RIS     risCmd     `cmd:"" name:"ris" help:"How fast a RIS that answers at once gets its messages."`
	Tunnel  tunnelCmd  `cmd:"" help:"From a webhook at the relay to the worklist of a clinic."`
	Serve   serveCmd   `cmd:"" hidden:"" help:"One appliance, started by the other commands."`
	Attack  attackCmd  `cmd:"" hidden:"" help:"Hostile peers, started by hostile."`
}

// bench is what a command works with.
type bench struct {
	out io.Writer
	log io.Writer // progress
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var p program
	k := kong.Parse(&p, kong.Name("bench"), kong.Description("Measures Rayhound on this computer."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	r := &report{Command: k.Command(), JSON: p.JSON}
	b := &bench{out: os.Stdout, log: os.Stderr}
	if err := k.Run(b, r); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	if len(r.Rows) == 0 {
		return 0 // a process of another command
	}
	if err := r.print(b.out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}
