package relaybench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"
)

// Agents measures what idle agents cost the relay's process.
type Agents struct {
	Count     int
	PingEvery time.Duration // shorter than shipped, so that two rounds are soon over
	Plain     bool          // without TLS
	Profile   string        // folder for a heap profile of the relay; empty: none

	calm time.Duration // 0: calmDown
}

// Times and targets of Agents.
const (
	calmDown     = 12 * time.Second // until the relay gives back what a storm of handshakes left
	goneWithin   = 90 * time.Second
	agentKB      = 16.0
	dialersAgent = 32
)

// Run measures.
func (o Agents) Run(ctx context.Context, say Say, r *Report) error {
	if limit := raiseFiles(uint64(o.Count) + 500); limit > 0 && uint64(o.Count)+200 > limit {
		r.note("This account may open %d files: %d agents instead of %d.", limit, limit-200, o.Count)
		o.Count = int(limit) - 200
	}
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	say("%d clinics", o.Count)
	clinics, err := populate(ctx, dir, o.Count)
	if err != nil {
		return err
	}
	var pings atomic.Int64
	set := setting{Dir: dir, Listen: "127.0.0.1:0", Seal: true, Rate: unlimited, PingEvery: o.PingEvery}
	t := attach{from: sources(), pings: &pings}
	name := fmt.Sprintf("%d idle agents", o.Count)
	if !o.Plain {
		name += ", TLS 1.3"
		if set.TLSCert, set.TLSKey, t.tls, err = certificate(dir); err != nil {
			return err
		}
	}
	p, err := start(ctx, set)
	if err != nil {
		return err
	}
	t.address = p.address
	return errors.Join(o.measure(ctx, say, r, p, t, clinics, name), p.stop())
}

func (o Agents) measure(ctx context.Context, say Say, r *Report, p *process, t attach, clinics []*clinic, name string) error {
	base, err := o.warm(ctx, p, t, clinics)
	if err != nil {
		return err
	}
	before, files := p.memory(), p.files()
	began := time.Now()
	f, err := connectAll(ctx, t, clinics, dialersAgent)
	if err != nil {
		return err
	}
	defer f.close()
	took := time.Since(began)
	say("connected in %s; two rounds of pings", took.Round(time.Millisecond))
	highest := p.memory()
	from, until := t.pings.Load(), time.Now().Add(cmp.Or(o.calm, calmDown))
	for t.pings.Load() < from+2*int64(o.Count) || time.Now().Before(until) {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		if err := f.fault(); err != nil {
			return err
		}
		highest = max(highest, p.memory())
		if time.Since(began) > took+4*o.PingEvery+2*time.Minute {
			return fmt.Errorf("relaybench: %d of %d pings came", t.pings.Load()-from, 2*o.Count)
		}
	}
	after, nowFiles := p.memory(), p.files()-files
	with, err := p.ask("stats")
	if err != nil {
		return err
	}
	if o.Profile != "" {
		if _, err := p.ask("heap " + filepath.Join(o.Profile, "agents.heap.pprof")); err != nil {
			return err
		}
	}
	say("closing them")
	f.close()
	gone := time.Now()
	last, err := o.settle(ctx, p, base.Goroutines)
	if err != nil {
		return err
	}
	n := float64(o.Count)
	each := Row{
		Subject: name, Measure: "RSS of the relay for each agent", Value: (after - before) / n / 1024, Unit: "KB", N: o.Count,
		Detail: fmt.Sprintf("%.1f MB before, %.1f MB after, highest %.1f MB; objects %.1f KB, stacks %.1f KB, spare heap %.1f KB, runtime %.1f KB, files %.1f KB each",
			before/1e6, after/1e6, highest/1e6, float64(with.Live-base.Live)/n/1024, float64(with.Stacks-base.Stacks)/n/1024,
			(float64(with.Spare)-float64(base.Spare))/n/1024, float64(with.Runtime-base.Runtime)/n/1024, nowFiles/n/1024),
	}
	left := Row{
		Subject: name, Measure: "goroutines left after closing", Value: float64(last.Goroutines - base.Goroutines), N: o.Count,
		Detail: fmt.Sprintf("%d before, %d with, %d after %s", base.Goroutines, with.Goroutines, last.Goroutines, time.Since(gone).Round(time.Second)),
	}
	r.add(each.atMost(agentKB), left.atMost(0), Row{
		Subject: name, Measure: "handshakes with 32 dialers", Value: n / took.Seconds(), Unit: "/s", N: o.Count, Detail: "agents on the same cores",
	})
	return nil
}

// warm lets a few agents come and go, so that everything that is built at first use
// counts as before, and waits until nothing changes.
func (o Agents) warm(ctx context.Context, p *process, t attach, clinics []*clinic) (a answer, err error) {
	f, err := connectAll(ctx, t, clinics[:min(len(clinics), 64)], 8)
	if err != nil {
		return a, err
	}
	f.close()
	for same, last := 0, -1; same < 10; same++ {
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return a, err
		}
		if a, err = p.ask("stats"); err != nil {
			return a, err
		}
		if a.Goroutines != last {
			same, last = 0, a.Goroutines
		}
	}
	return a, nil
}

// settle waits until the relay's goroutines are as many as before, or as long as it may take.
func (o Agents) settle(ctx context.Context, p *process, base int) (a answer, err error) {
	for until := time.Now().Add(goneWithin); ; {
		if a, err = p.ask("stats"); err != nil || a.Goroutines <= base || time.Now().After(until) {
			return a, err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return a, err
		}
	}
}

// sources spreads the agents over addresses of loopback, so that there are ports
// enough. Only Linux has more than one without being told.
func sources() func(i int) net.Addr {
	if runtime.GOOS != "linux" {
		return nil
	}
	return func(i int) net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%200))} }
}

// pause waits, or returns why not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
