package command

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
)

// Exit codes.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitStopped = 3
	exitDenied  = 4
)

// Program is what the command line needs of the program around it. Every field
// but Run and Demo has a default.
type Program struct {
	Version string
	Stdout  io.Writer
	Stderr  io.Writer
	Stdin   io.Reader
	Getenv  func(string) string

	// Run runs the appliance until ctx ends.
	Run func(ctx context.Context, o RunOptions) error
	// Demo runs a whole clinic until ctx ends, or once.
	Demo func(ctx context.Context, o DemoOptions) error
}

// RunOptions say what to run.
type RunOptions struct {
	Version        string
	Config         *config.File
	ConfigPath     string        // where it was read
	DataDir        string        // made by Run when missing
	ClientSecret   secret.Secret // overrides the sealed one when not empty
	CredentialsDir string        // of systemd; may be empty
	JSON           bool          // log JSON on standard error
	Stdout, Stderr io.Writer
}

// DemoOptions say how to run the demo.
type DemoOptions struct {
	Version        string
	Once           bool
	Orders         int   // 0: 1 with Once, else the demo's own pace
	Seed           int64 // 0: a random one
	DataDir        string
	Stdout, Stderr io.Writer
}

// cli is the whole command line.
type cli struct {
	Config string `help:"Settings file. Default: the platform's place, or $$RAYHOUND_CONFIG." placeholder:"FILE"`
	Data   string `help:"Data folder. Default: the platform's place, or $$RAYHOUND_DATA." placeholder:"DIR"`

	Run         runCmd         `cmd:"" help:"Run the appliance in the foreground."`
	Demo        demoCmd        `cmd:"" help:"Run a whole invented clinic in one process."`
	ConfigGroup configCmd      `cmd:"" name:"config" help:"Write, check and show the settings."`
	Secret      secretCmd      `cmd:"" help:"Set and list secrets."`
	Pair        pairCmd        `cmd:"" help:"Join a relay, so that changed orders arrive at once."`
	Doctor      doctorCmd      `cmd:"" help:"Check everything and say what is wrong."`
	Orders      ordersCmd      `cmd:"" help:"Look at orders and act on them."`
	Arrivals    arrivalsCmd    `cmd:"" help:"Imaging that belongs to no order yet."`
	Outbox      outboxCmd      `cmd:"" help:"What we still owe others."`
	Machines    machinesCmd    `cmd:"" help:"Imaging machines, known and unknown."`
	DICOM       dicomCmd       `cmd:"" name:"dicom" help:"Ask another DICOM application."`
	HL7         hl7Cmd         `cmd:"" name:"hl7" help:"Send HL7 messages."`
	Provet      provetCmd      `cmd:"" help:"Find out what Provet Cloud offers."`
	Relay       relayCmd       `cmd:"" help:"The public relay that takes webhooks for clinics."`
	Sim         simCmd         `cmd:"" help:"One simulator alone, for certification and training."`
	Backup      backupCmd      `cmd:"" help:"Copies of the database."`
	SupportFile supportFileCmd `cmd:"" help:"Write a bundle for support, without names and secrets."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

// exitRequest ends Main from inside the command-line library.
type exitRequest int

// Main runs a command and returns the exit code.
func (p *Program) Main(ctx context.Context, args []string) (code int) {
	p.defaults()
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exitRequest:
			code = int(r)
		default:
			panic(r)
		}
	}()
	var c cli
	parser, err := kong.New(&c,
		kong.Name("rayhound"),
		kong.Description("Brings imaging orders from Provet Cloud to the machines of a veterinary clinic, and their results back."),
		kong.Writers(p.Stdout, p.Stderr),
		kong.Exit(func(code int) { panic(exitRequest(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		return p.fail(usage(sentence(err.Error())))
	}
	e := &env{Program: p, ctx: ctx, command: commandName(parsed.Command()), configFlag: c.Config, dataFlag: c.Data}
	e.places(c.Config, c.Data)
	return p.fail(parsed.Run(e))
}

func (p *Program) defaults() {
	if p.Stdout == nil {
		p.Stdout = os.Stdout
	}
	if p.Stderr == nil {
		p.Stderr = os.Stderr
	}
	if p.Stdin == nil {
		p.Stdin = os.Stdin
	}
	if p.Getenv == nil {
		p.Getenv = os.Getenv
	}
	if p.Version == "" {
		p.Version = "dev"
	}
}

// commandName strips the arguments: "orders show <accession>" is "orders show".
func commandName(path string) string {
	var words []string
	for w := range strings.FieldsSeq(path) {
		if !strings.HasPrefix(w, "<") {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// usage is the problem of a command that cannot be meant.
func usage(reason string) error {
	return problem.New(problem.Usage, problem.Args{"reason": reason}, nil)
}

// unusable is the problem of a file that cannot be read or written.
func unusable(path string, err error) error {
	reason := err.Error()
	var pe *os.PathError
	if errors.As(err, &pe) {
		reason = pe.Err.Error()
	}
	return problem.New(problem.FileUnusable, problem.Args{"path": path, "reason": reason}, err)
}

// sentence makes a sentence of an error text: a capital first, no full stop.
func sentence(s string) string {
	s = strings.TrimRight(strings.TrimSpace(s), ".?")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
