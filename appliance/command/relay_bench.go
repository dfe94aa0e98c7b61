package command

import (
	"context"
	"fmt"
	"time"

	"github.com/rayhound/rayhound/tunnel/relaybench"
)

// relayBenchCmd is hidden: it is for whoever builds or sizes a relay.
type relayBenchCmd struct {
	JSON bool `name:"json" help:"Print JSON."`

	Ingest    relayBenchIngestCmd    `cmd:"" help:"How many webhooks a relay takes."`
	Latency   relayBenchLatencyCmd   `cmd:"" help:"How soon a webhook is with the agent."`
	Agents    relayBenchAgentsCmd    `cmd:"" help:"What an idle agent costs."`
	Reconnect relayBenchReconnectCmd `cmd:"" help:"How a fleet comes back after an outage (simulated)."`
	Soak      relayBenchSoakCmd      `cmd:"" help:"Whether anything is lost over a long time with disturbances."`
	Serve     relayBenchServeCmd     `cmd:"" hidden:"" help:"The relay's process, started by the others."`
}

// bench is one of the benches.
type bench interface {
	Run(ctx context.Context, say relaybench.Say, r *relaybench.Report) error
}

// run runs a bench. Progress goes to standard error.
func (b *relayBenchCmd) run(e *env, name string, m bench) error {
	r := relaybench.NewReport("relay bench " + name)
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(e.Stderr, format+"\n", args...) } // see printf
	if err := m.Run(e.ctx, say, r); err != nil {
		return err
	}
	return r.Print(e.Stdout, b.JSON)
}

const benchRelayHelp = "The relay runs in a process of its own, on loopback, with a database in a temporary folder. " +
	"A target that is missed is shown and is no failure of the command.\n\nExample:\n\n  rayhound relay bench "

func between[T int | time.Duration](name string, v, from, to T) error {
	if v < from || v > to {
		return usage(fmt.Sprintf("--%s must be %v to %v", name, from, to))
	}
	return nil
}

// firstOf returns the first error.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

type relayBenchIngestCmd struct {
	For     time.Duration `help:"Duration of each row." default:"10s"`
	Rounds  int           `help:"Rounds; the best is reported." default:"3"`
	Clients int           `help:"Senders at once." default:"64"`
	Agents  int           `help:"Clinics, each with an agent." default:"100"`
	Size    int           `help:"Bytes of a body." default:"1024"`
	Profile string        `help:"Folder for CPU profiles of the relay." placeholder:"DIR" type:"existingdir"`
}

// Help shows an example.
func (relayBenchIngestCmd) Help() string { return benchRelayHelp + "ingest --for 10s" }

// Run measures.
func (c relayBenchIngestCmd) Run(e *env, b *relayBenchCmd) error {
	if err := firstOf(between("for", c.For, 100*time.Millisecond, time.Hour), between("rounds", c.Rounds, 1, 20),
		between("clients", c.Clients, 1, 2000), between("agents", c.Agents, 1, 5000), between("size", c.Size, 30, 60_000)); err != nil {
		return err
	}
	return b.run(e, "ingest", relaybench.Ingest{
		For: c.For, Rounds: c.Rounds, Clients: c.Clients, Agents: c.Agents, Size: c.Size, Profile: c.Profile,
	})
}

type relayBenchLatencyCmd struct {
	For     time.Duration `help:"Duration of each row." default:"20s"`
	Rounds  int           `help:"Rounds; the best is reported." default:"3"`
	Rate    int           `help:"Webhooks a second." default:"200"`
	Clinics []int         `help:"Clinics they go to; a row for each." default:"1,100"`
	Size    int           `help:"Bytes of a body." default:"1024"`
}

// Help shows an example.
func (relayBenchLatencyCmd) Help() string { return benchRelayHelp + "latency --rate 200" }

// Run measures.
func (c relayBenchLatencyCmd) Run(e *env, b *relayBenchCmd) error {
	err := firstOf(between("for", c.For, 100*time.Millisecond, time.Hour), between("rounds", c.Rounds, 1, 20),
		between("rate", c.Rate, 1, 10_000), between("size", c.Size, 30, 60_000))
	for _, n := range c.Clinics {
		err = firstOf(err, between("clinics", n, 1, 5000))
	}
	if err != nil {
		return err
	}
	return b.run(e, "latency", relaybench.Latency{For: c.For, Rounds: c.Rounds, Rate: c.Rate, Clinics: c.Clinics, Size: c.Size})
}

type relayBenchAgentsCmd struct {
	Count int           `help:"Agents." default:"10000"`
	Ping  time.Duration `help:"Distance of the relay's pings; a shipped relay has 25s." default:"5s"`
	Plain bool          `help:"Without TLS."`

	Profile string `help:"Folder for a heap profile of the relay." placeholder:"DIR" type:"existingdir"`
}

// Help shows an example.
func (relayBenchAgentsCmd) Help() string { return benchRelayHelp + "agents --count 10000" }

// Run measures.
func (c relayBenchAgentsCmd) Run(e *env, b *relayBenchCmd) error {
	if err := firstOf(between("count", c.Count, 1, 100_000), between("ping", c.Ping, 100*time.Millisecond, 30*time.Second)); err != nil {
		return err
	}
	return b.run(e, "agents", relaybench.Agents{Count: c.Count, PingEvery: c.Ping, Plain: c.Plain, Profile: c.Profile})
}

type relayBenchReconnectCmd struct {
	Agents int             `help:"Agents." default:"50000"`
	Rate   int             `help:"Handshakes a second that all relays accept together." default:"1800"`
	Outage []time.Duration `help:"Outages." default:"2s,30s,300s"`
	Seed   uint64          `help:"Start of the random numbers." default:"1"`
}

// Help shows an example.
func (relayBenchReconnectCmd) Help() string {
	return "Simulated, with the back-off of the appliance and the accept bucket of the relay.\n\nExample:\n\n  rayhound relay bench reconnect"
}

// Run simulates.
func (c relayBenchReconnectCmd) Run(e *env, b *relayBenchCmd) error {
	err := firstOf(between("agents", c.Agents, 1, 1_000_000), between("rate", c.Rate, 1, 1_000_000))
	for _, d := range c.Outage {
		err = firstOf(err, between("outage", d, 0, 24*time.Hour))
	}
	if err != nil {
		return err
	}
	return b.run(e, "reconnect", relaybench.Reconnect{Agents: c.Agents, Rate: c.Rate, Outages: c.Outage, Seed: c.Seed})
}

type relayBenchSoakCmd struct {
	For     time.Duration `help:"Duration." default:"10m"`
	Agents  int           `help:"Clinics, each with the appliance's own client." default:"8"`
	Rate    int           `help:"Webhooks a second." default:"50"`
	Cut     time.Duration `help:"About how often a connection is cut; 0: never." default:"10s"`
	Restart time.Duration `help:"How often the relay ends, in turns by kill and softly; 0: never." default:"90s"`
	Size    int           `help:"Largest body in bytes." default:"20000"`
}

// Help shows an example.
func (relayBenchSoakCmd) Help() string { return benchRelayHelp + "soak --for 1h" }

// Run soaks.
func (c relayBenchSoakCmd) Run(e *env, b *relayBenchCmd) error {
	if err := firstOf(between("for", c.For, time.Second, 30*24*time.Hour), between("agents", c.Agents, 1, 1000),
		between("rate", c.Rate, 1, 5000), between("cut", c.Cut, 0, 24*time.Hour), between("restart", c.Restart, 0, 24*time.Hour),
		between("size", c.Size, 30, 60_000)); err != nil {
		return err
	}
	return b.run(e, "soak", relaybench.Soak{For: c.For, Agents: c.Agents, Rate: c.Rate, Cut: c.Cut, Restart: c.Restart, MaxBytes: c.Size})
}

type relayBenchServeCmd struct{}

// Help shows an example.
func (relayBenchServeCmd) Help() string {
	return "Started by the others.\n\nExample:\n\n  rayhound relay bench ingest"
}

// Run hosts a relay until standard input ends.
func (relayBenchServeCmd) Run(e *env) error { return relaybench.Serve(e.ctx, e.Stdin, e.Stdout) }
