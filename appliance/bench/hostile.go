package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
)

// hostileCmd measures a good machine among hostile peers.
type hostileCmd struct {
	Peers int           `help:"Hostile peers at the same time." default:"64"`
	For   time.Duration `help:"How long the attack lasts." default:"20s"`
	Items int           `help:"Steps on the worklist." default:"1000"`
	Every time.Duration `help:"Pause between the good machine's queries." default:"20ms"`
}

// Help shows an example.
func (hostileCmd) Help() string {
	return "A whole appliance. Hostile peers, a process of their own at 127.0.0.1, go through every misbehaviour of\n" +
		"package dicomsim without pause, as configured machines too; then again without those that shut the door\n" +
		"to their address. A good machine at 127.0.0.2 asks for its\n" +
		"list of today all the while. All of it shares this computer's processors.\n\nExample:\n\n  bench hostile --peers 64 --for 20s"
}

// Validate answers kong.
func (c hostileCmd) Validate() error {
	if c.Peers < 1 || c.Peers > 512 || c.For < time.Second || c.For > time.Hour || c.Items < rooms*days || c.Items > 10_000 || c.Every < 0 {
		return fmt.Errorf("--peers must be 1 to 512, --for 1s to 1h, --items %d to 10000", rooms*days)
	}
	return nil
}

// Run measures.
func (c hostileCmd) Run(ctx context.Context, b *bench, r *report) error {
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	s, err := startScene(ctx, b, filepath.Join(dir, "data"), c.Items, 0)
	if err != nil {
		return err
	}
	defer s.stop()
	good := target{name: "good machine", title: ourTitle, address: s.ready.Address, from: net.IPv4(127, 0, 0, 2)}
	today := cells(c.Items)[1]
	ask := today.ask
	today.ask = func(int) (string, []byte) { return ask(0) } // DR0; the hostile ones are the others
	if _, _, err := c.poll(ctx, good, today, 50*c.Every); err != nil {
		return err
	}
	b.say("alone")
	alone, _, err := c.poll(ctx, good, today, c.For/2)
	if err != nil {
		return err
	}
	r.add(alone.row("good machine", "alone", "p99", 0.99),
		row{Subject: "Rayhound", Measure: "RSS before", Value: memory(s.pid(), "VmRSS") / megabyte, Unit: "MB"})
	for _, insiders := range []bool{false, true} {
		if err := c.wave(ctx, b, r, s, good, today, alone, insiders); err != nil {
			return err
		}
	}
	after, _, err := c.poll(ctx, good, today, c.For/2)
	r.add(after.row("good machine", "afterwards", "p99", 0.99),
		row{Subject: "Rayhound", Measure: "RSS afterwards", Value: memory(s.pid(), "VmRSS") / megabyte, Unit: "MB"})
	return err
}

// wave is one attack.
func (c hostileCmd) wave(ctx context.Context, b *bench, r *report, s *scene, good target, today cell, alone samples, insiders bool) error {
	who := "hostile peers"
	if insiders {
		who = "hostile peers that are let in"
	}
	b.say("with %d %s", c.Peers, who)
	attack, err := c.attack(ctx, s.ready.Address, insiders)
	if err != nil {
		return err
	}
	if err := pause(ctx, time.Second); err != nil {
		return errors.Join(err, attack.stop())
	}
	top := peak(ctx, s.pid())
	cpu, began := cpuTime(s.pid()), time.Now()
	under, failed, err := c.poll(ctx, good, today, c.For)
	if err != nil {
		return errors.Join(err, attack.stop())
	}
	cpu, took := cpuTime(s.pid())-cpu, time.Since(began)
	highest := top()
	if err := attack.stop(); err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	x := under.row("good machine", fmt.Sprintf("among %d %s", c.Peers, who), "p99", 0.99)
	x = x.atMost(3 * millis(alone.at(0.5)))
	x.Target = "≤ 3 x alone"
	x.Detail = fmt.Sprintf("%.1f x", x.Value/millis(alone.at(0.5)))
	lost := row{Subject: "good machine", Measure: "queries that failed", Value: float64(failed), Unit: "queries"}.atMost(0)
	r.add(x, lost,
		row{Subject: "Rayhound", Measure: "RSS, highest under attack", Value: highest / megabyte, Unit: "MB"}.atMost(200),
		row{Subject: "Rayhound", Measure: "share of one core under attack", Value: 100 * cpu.Seconds() / took.Seconds(), Unit: "%"})
	var told []string
	for _, kind := range slices.Sorted(maps.Keys(attack.heard)) {
		var answers []string
		for _, a := range slices.Sorted(maps.Keys(attack.heard[kind])) {
			answers = append(answers, fmt.Sprintf("%s (%d)", a, attack.heard[kind][a]))
		}
		told = append(told, "  "+kind+": "+strings.Join(answers, ", "))
	}
	r.note("What %s heard, and how often:\n%s", who, strings.Join(told, "\n"))
	return nil
}

// poll lets the good machine ask for a time. Queries that fail are counted.
func (c hostileCmd) poll(ctx context.Context, t target, k cell, limit time.Duration) (s samples, failed int, err error) {
	for began := time.Now(); time.Since(began) < limit; {
		one, err := t.sample(ctx, k, 1, 1, time.Second)
		if ctx.Err() != nil {
			return s, failed, ctx.Err()
		}
		if err != nil {
			if failed++; failed == 1 {
				fmt.Fprintln(os.Stderr, "the good machine:", err)
			}
		}
		s = append(s, one...)
		if err := pause(ctx, c.Every); err != nil {
			return s, failed, err
		}
	}
	if len(s) == 0 {
		return s, failed, errors.New("the good machine got no answer at all")
	}
	return s, failed, nil
}

// attackers is a process of attackCmd.
type attackers struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
	heard map[string]map[string]int // misbehaviour: answer: how often
}

func (c hostileCmd) attack(ctx context.Context, address string, insiders bool) (*attackers, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, "attack", "--address="+address, fmt.Sprintf("--peers=%d", c.Peers), fmt.Sprintf("--insiders=%t", insiders))
	cmd.Stderr, cmd.WaitDelay = os.Stderr, 5*time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &attackers{cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout)}, cmd.Start()
}

// stop ends the attack and reads what was tried.
func (a *attackers) stop() error {
	_ = a.stdin.Close() // tells it to end
	return errors.Join(json.NewDecoder(a.out).Decode(&a.heard), a.cmd.Wait())
}

// attackCmd is the hostile peers, until standard input ends.
type attackCmd struct {
	Address  string        `required:""`
	Peers    int           `default:"64"`
	Patience time.Duration `default:"2s"`
	Insiders bool
}

// Run attacks.
func (c attackCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	var mu sync.Mutex
	tried := map[string]map[string]int{}
	var wg sync.WaitGroup
	kinds := dicomsim.Kinds()
	if c.Insiders { // whoever is refused again and again meets a closed door
		kinds = slices.DeleteFunc(kinds, func(k dicomsim.Kind) bool {
			return k == dicomsim.WrongCalledAE || k == dicomsim.UnknownCallingAE || k == dicomsim.Flood
		})
	}
	for i := range c.Peers {
		m, err := dicomsim.New(dicomsim.Config{AETitle: roomTitle(1 + i%(rooms-1)), Address: c.Address, Patience: c.Patience})
		if err != nil {
			return err
		}
		wg.Go(func() {
			for n := i; ctx.Err() == nil; n++ {
				kind := kinds[n%len(kinds)]
				heard, err := m.Misbehave(ctx, kind)
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					heard = "could not be tried"
				}
				mu.Lock()
				if tried[string(kind)] == nil {
					tried[string(kind)] = map[string]int{}
				}
				tried[string(kind)][heard]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return json.NewEncoder(os.Stdout).Encode(tried)
}
