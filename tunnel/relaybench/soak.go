package relaybench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
)

// Soak runs a relay and real agents for a long time, cuts connections and ends the
// relay again and again, and looks whether every webhook that was answered with 200
// arrives and whether memory stays.
type Soak struct {
	For      time.Duration
	Agents   int
	Rate     int           // webhooks a second
	Cut      time.Duration // about how often a connection is cut
	Restart  time.Duration // how often the relay ends, in turns softly and by kill -9; 0: never
	MaxBytes int           // of a body; sizes are random
}

const (
	soakPoints = 12               // of the figures over time
	soakSettle = 90 * time.Second // until the last event, with agents in their longest wait
)

// scene is a soak that runs.
type scene struct {
	o       Soak
	say     Say
	set     setting
	clinics []*clinic
	ledger  ledger
	inboxes []*inbox
	clients []*client.Client
	wires   []*wires
	next    atomic.Int64

	mu       sync.Mutex // of the relay's process
	relay    *process
	restarts int
	kills    int
	cuts     atomic.Int64
}

// Run soaks.
func (o Soak) Run(ctx context.Context, say Say, r *Report) (err error) {
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	s := &scene{o: o, say: say, ledger: ledger{open: map[int64]fate{}}}
	if s.clinics, err = populate(ctx, dir, o.Agents); err != nil {
		return err
	}
	s.set = setting{Dir: dir, Listen: "127.0.0.1:0", Seal: true, Rate: unlimited}
	if s.relay, err = start(ctx, s.set); err != nil {
		return err
	}
	s.set.Listen = s.relay.address // it comes back where it was
	defer func() { err = errors.Join(err, s.relay.stop()) }()
	inner, cancel := context.WithCancel(ctx)
	var agents sync.WaitGroup
	defer agents.Wait()
	defer cancel()
	if err := s.attach(inner, &agents); err != nil {
		return err
	}
	series, err := s.disturb(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.settle(ctx); err != nil {
		return err
	}
	s.report(r, series, time.Since(began))
	return nil
}

// attach starts the agents: the appliance's own client each.
func (s *scene) attach(ctx context.Context, g *sync.WaitGroup) error {
	for _, c := range s.clinics {
		in, w := &inbox{c: c, ledger: &s.ledger}, &wires{}
		a, err := client.New(client.Config{
			RelayURL: "ws://" + s.relay.address, Inbox: in, Dial: w.dial, ProxyURL: "none", Version: "bench",
			Credentials: client.Credentials{
				ClinicID: c.id, Token: c.token, Identity: c.identity, InstanceID: c.instance,
				SealingKeys: map[string][]byte{c.keyID: c.sealing}, SealingKeyID: c.keyID,
			},
		})
		if err != nil {
			return err
		}
		s.inboxes, s.clients, s.wires = append(s.inboxes, in), append(s.clients, a), append(s.wires, w)
		g.Go(func() { _ = a.Run(ctx) }) // ends with ctx only
	}
	return nil
}

// point is what was seen at one moment.
type point struct {
	at         time.Duration
	memory     float64 // of the relay, bytes
	goroutines int     // of the relay
	agents     int     // goroutines of the agents and senders
	backlog    int     // answered and not yet delivered
}

// disturb sends, cuts and restarts for as long as asked, and returns figures over time.
func (s *scene) disturb(ctx context.Context) (series []point, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.For)
	defer cancel()
	var g sync.WaitGroup
	senders := min(16, max(2, s.o.Rate/10))
	for range senders {
		g.Go(func() { s.send(ctx, time.Second*time.Duration(senders)/time.Duration(s.o.Rate)) })
	}
	g.Go(func() {
		for s.o.Cut > 0 && pause(ctx, rand.N(2*s.o.Cut)) == nil {
			if s.wires[rand.IntN(len(s.wires))].cut() {
				s.cuts.Add(1)
			}
		}
	})
	failed := make(chan error, 1)
	g.Go(func() {
		for s.o.Restart > 0 && pause(ctx, s.o.Restart) == nil {
			if err := s.restart(context.WithoutCancel(ctx)); err != nil {
				failed <- err
				return
			}
		}
	})
	began, every := time.Now(), s.o.For/soakPoints
	for pause(ctx, every) == nil {
		p, err := s.look(time.Since(began))
		if err != nil {
			cancel()
			g.Wait()
			return nil, err
		}
		series = append(series, p)
		s.say("  %s: %.1f MB, %d goroutines, %d on their way", p.at.Round(time.Second), p.memory/1e6, p.goroutines, p.backlog)
	}
	g.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return series, nil
	}
}

// send sends webhooks of random sizes to random clinics until ctx ends.
func (s *scene) send(ctx context.Context, every time.Duration) {
	var p *poster
	for pause(ctx, rand.N(2*every)) == nil {
		n := s.next.Add(1)
		if p == nil {
			var err error
			if p, err = dialPoster(ctx, s.set.Listen); err != nil {
				p = nil
				s.ledger.answer(n, false)
				continue
			}
		}
		err := p.post(s.clinics[rand.IntN(len(s.clinics))].path, body(n, 30+rand.IntN(max(1, s.o.MaxBytes-30))))
		s.ledger.answer(n, err == nil)
		if err != nil {
			p.close()
			p = nil
		}
	}
	if p != nil {
		p.close()
	}
}

// restart ends the relay and starts it where it was.
func (s *scene) restart(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.restarts++; s.restarts%2 == 0 {
		if err := s.relay.stop(); err != nil {
			return fmt.Errorf("relaybench: the relay did not end in order: %w", err)
		}
	} else {
		s.kills++
		s.relay.kill()
	}
	p, err := start(ctx, s.set)
	if err != nil {
		return err
	}
	s.relay = p
	return nil
}

func (s *scene) look(at time.Duration) (point, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.relay.ask("stats")
	return point{
		at: at, memory: s.relay.memory(), goroutines: a.Goroutines, agents: runtime.NumGoroutine(), backlog: s.ledger.missing(),
	}, err
}

// settle waits until everything arrived, or as long as it may take.
func (s *scene) settle(ctx context.Context) error {
	for until := time.Now().Add(soakSettle); s.ledger.missing() > 0 && time.Now().Before(until); {
		for _, c := range s.clients {
			if c.Status().State != client.Connected {
				c.Wake() // as after a change of the network
			}
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) report(r *Report, series []point, settled time.Duration) {
	name := fmt.Sprintf("%s, %d agents, %d/s", s.o.For, s.o.Agents, s.o.Rate)
	lost := Row{Subject: name, Measure: "answered with 200 and lost", Value: float64(s.ledger.missing()), N: s.ledger.answered}
	lost.Detail = fmt.Sprintf("%d delivered, %d posts failed, %d gaps, %d not to be opened; all there after %s",
		s.ledger.delivered, s.ledger.failed, s.ledger.gaps, s.ledger.foreign, settled.Round(time.Millisecond))
	repeats := 0
	for _, in := range s.inboxes {
		repeats += in.repeats
	}
	memory := Row{Subject: name, Measure: "RSS of the relay over time", Unit: "MB"}
	routines := Row{Subject: name, Measure: "goroutines of the relay over time"}
	agents := Row{Subject: name, Measure: "goroutines of agents and senders over time"}
	for _, p := range series {
		memory.Value = p.memory / 1e6
		memory.Rounds = append(memory.Rounds, memory.Value)
		routines.Value = float64(p.goroutines)
		routines.Rounds = append(routines.Rounds, routines.Value)
		agents.Value = float64(p.agents)
		agents.Rounds = append(agents.Rounds, agents.Value)
	}
	r.add(lost.atMost(0), memory, routines, agents, Row{
		Subject: name, Measure: "disturbances", Value: float64(s.cuts.Load()) + float64(s.restarts),
		Detail: fmt.Sprintf("%d connections cut, %d soft restarts, %d kill -9, %d events came again",
			s.cuts.Load(), s.restarts-s.kills, s.kills, repeats),
	})
}
