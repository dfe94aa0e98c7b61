package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

// options are the command line.
type options struct {
	rounds  int
	bin     string
	seed    int64
	timeout time.Duration
	settle  time.Duration
	answer  time.Duration
	every   time.Duration
	sweep   bool
	rename  bool
	keep    bool
	ris     bool
	relay   bool
}

func main() { os.Exit(main1()) }

func main1() int {
	var o options
	flag.IntVar(&o.rounds, "rounds", 25, "how often the program is killed")
	flag.StringVar(&o.bin, "bin", "", "the rayhound program; empty: build it from the module in the current folder")
	flag.Int64Var(&o.seed, "seed", 0, "of load, faults and moments; 0: from the clock")
	flag.DurationVar(&o.timeout, "timeout", 15*time.Minute, "bounds the whole run")
	flag.DurationVar(&o.settle, "settle", 2*time.Minute, "how long it may take until everything agrees after the last start")
	flag.DurationVar(&o.answer, "answer", 3*time.Second, "how soon after a start a worklist query must be answered")
	flag.DurationVar(&o.every, "every", 15*time.Millisecond, "mean time between two things people do in Provet Cloud")
	flag.BoolVar(&o.sweep, "sweep", false, "lose webhooks of deletions too, which only the sweep finds (a minute more); on from 100 rounds")
	flag.BoolVar(&o.rename, "rename", false, "a tenant whose fields, values and relations all differ from the usual ones")
	flag.BoolVar(&o.ris, "ris", true, "with two RIS that lose answers, send statuses and reports")
	flag.BoolVar(&o.relay, "relay", true, "with a relay that is killed too; webhooks come through the tunnel, and polling is off")
	flag.BoolVar(&o.keep, "keep", false, "keep the data folder")
	flag.Parse()
	if o.seed == 0 {
		o.seed = time.Now().UnixNano()
	}
	o.sweep = o.sweep || o.rounds >= 100
	if flag.NArg() > 0 || o.rounds < 1 || o.every <= 0 {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "killtest:", err)
		return 1
	}
	return 0
}

// run makes the clinic, plays the rounds and prints the verdict.
func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "rayhound-killtest-*")
	if err != nil {
		return err
	}
	fmt.Printf("killtest: seed %d, %d rounds, folder %s\n", o.seed, o.rounds, dir)
	t, err := newTrial(ctx, o, dir)
	if err == nil {
		err = t.play(ctx)
		t.close()
	}
	switch {
	case err == nil && !o.keep:
		return os.RemoveAll(dir)
	case err != nil:
		return fmt.Errorf("%w\nseed %d; everything is kept in %s", err, o.seed, dir)
	}
	return nil
}

// program returns the path of the program to kill.
func program(ctx context.Context, o options, dir string) (string, error) {
	if o.bin != "" {
		return filepath.Abs(o.bin)
	}
	path := filepath.Join(dir, "rayhound")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/rayhound/rayhound")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	return path, nil
}

// errViolated is the verdict against the program.
var errViolated = errors.New("the program did not keep its promises")
