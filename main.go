// Rayhound brings imaging orders from Provet Cloud to the machines of a
// veterinary clinic, and tells Provet Cloud when the imaging is done.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // clinics name their zone, and Windows has no zone files

	"github.com/rayhound/rayhound/appliance/command"
)

// version is set by the release builder.
var version = "dev"

func main() { os.Exit(main1()) }

// main1 is main without the exit, so that end-to-end scripts can call it.
func main1() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &command.Program{Version: version}
	return p.Main(ctx, os.Args[1:])
}
