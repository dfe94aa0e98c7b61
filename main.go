// Command rayhound brings imaging orders from Provet Cloud to the machines of a
// veterinary clinic, and tells Provet Cloud when the imaging is done.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	_ "time/tzdata" // clinics name their zone, and Windows has no zone files

	"github.com/rayhound/rayhound/appliance"
	"github.com/rayhound/rayhound/appliance/command"
	"github.com/rayhound/rayhound/appliance/demo"
	"github.com/rayhound/rayhound/appliance/logging"
)

// version is set by the release builder.
var version = "dev"

func main() { os.Exit(main1()) }

// main1 is main without the exit, so that end-to-end scripts can call it.
func main1() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := &command.Program{Version: version, Run: run, Demo: runDemo}
	return p.Main(ctx, os.Args[1:])
}

// run is the appliance in the foreground.
func run(ctx context.Context, o command.RunOptions) error {
	log, err := logging.Open(logging.Config{Dir: filepath.Join(o.DataDir, "logs"), Console: o.Stderr, JSON: o.JSON, Level: o.Config.Log.Level})
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // nothing is left to tell it to
	for {
		a, err := appliance.New(ctx, appliance.Config{
			Settings: o.Config, SettingsPath: o.ConfigPath, DataDir: o.DataDir, Version: o.Version,
			ClientSecret: o.ClientSecret, CredentialsDir: o.CredentialsDir, Log: log.Logger, LogFile: log.Path(), SpareMemory: true,
		})
		if err != nil {
			return err
		}
		if err := a.Run(ctx); !errors.Is(err, appliance.ErrAgain) {
			return err
		}
		if ctx.Err() != nil { // it was to end anyway
			return nil
		}
	}
}

// runDemo is a whole clinic in one process.
func runDemo(ctx context.Context, o command.DemoOptions) error {
	return demo.Run(ctx, demo.Options{Version: o.Version, Once: o.Once, Orders: o.Orders, Seed: o.Seed, DataDir: o.DataDir, Out: o.Stdout})
}
