package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
)

// RISOptions describe a simulated RIS.
type RISOptions struct {
	Listen       string // host:port for orders
	SendTo       string // host:port of the listener for status and reports; may be empty
	Application  string // MSH-3 of what it sends
	Message      string // type of its status messages
	Version      string
	Charset      string
	AnswerOrders bool
	Strict       bool

	Auto                          bool // work by itself
	Number                        bool
	Schedule, Start, Exam, Report time.Duration // negative: never
	PDF                           bool

	Faults []string // as [hl7sim.ParseFault] reads them
	Tries  int
	Seed   uint64
	Out    io.Writer
}

// RISFaults lists what a RIS can be told to do wrong: name, side and what it does.
func RISFaults() [][]string {
	var out [][]string
	for _, k := range hl7sim.Kinds() {
		out = append(out, []string{string(k.Kind), string(k.Side), k.Text})
	}
	return out
}

// RIS runs a simulated RIS until ctx ends. It prints a line for each message.
func RIS(ctx context.Context, o RISOptions) error {
	p := &printer{w: o.Out}
	cfg := hl7sim.Config{
		Application: o.Application, SendTo: o.SendTo, Message: o.Message, Version: o.Version, Charset: o.Charset, AnswerOrders: o.AnswerOrders,
		Strict: o.Strict, Tries: o.Tries, Seed: o.Seed,
		Progress: func(e hl7sim.Event) { p.printf("%s  %s\n", e.At.Local().Format("15:04:05"), messageText(e)) },
	}
	if o.Auto {
		cfg.Auto = &hl7sim.Auto{Number: o.Number, Schedule: o.Schedule, Start: o.Start, Exam: o.Exam, Report: o.Report}
		if o.PDF {
			cfg.Auto.PDF = []byte(emptyPage)
		}
	}
	r, err := hl7sim.New(cfg)
	if err != nil {
		return misused(err)
	}
	for _, text := range o.Faults {
		f, err := hl7sim.ParseFault(text)
		if err == nil {
			_, err = r.Inject(f)
		}
		if err != nil {
			return misused(err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return problem.New(problem.PagePort, problem.Args{"address": o.Listen, "reason": reasonOf(err)}, err)
	}
	p.printf("%s takes orders at %s", printable(o.Application), l.Addr())
	if o.SendTo != "" {
		p.printf(" and sends to %s", o.SendTo)
	}
	p.printf(". Settings that fit it:\n\n[[ris]]\nname = %q\naddress = %q\nversion = %q\n\n", o.Application, l.Addr().String(), first(o.Version, "2.3.1"))
	if err := r.Serve(ctx, l); err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	s := r.Snapshot()
	p.printf("%d orders, %d messages (%d came again), %d sent, %d anomalies.\n", len(s.Orders), len(s.Messages), s.Duplicates, len(s.Sent), len(s.Anomalies))
	return nil
}

func misused(err error) error {
	reason := strings.TrimPrefix(err.Error(), hl7sim.ErrConfig.Error()+": ")
	return problem.New(problem.Usage, problem.Args{"reason": strings.ToUpper(reason[:1]) + reason[1:] + "; --fault list shows the faults"}, err)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// messageText is one line about a message. The text of a peer's answer may name
// somebody and is left out.
func messageText(e hl7sim.Event) string {
	var b strings.Builder
	word := map[hl7sim.EventKind]string{hl7sim.Received: "got ", hl7sim.Answered: "sent"}[e.Kind]
	for _, part := range []string{word, e.Type, e.Control, e.AccessionNumber} {
		if part != "" {
			b.WriteString(printable(part) + " ")
		}
	}
	line := strings.TrimRight(b.String(), " ") + ": "
	switch {
	case errors.Is(e.Err, hl7sim.ErrNowhere):
		line += "not sent, no address"
	case e.Code != "":
		line += printable(e.Code)
	default:
		line += "no answer"
	}
	if e.Kind == hl7sim.Received && e.Text != "" {
		line += ", " + printable(strings.TrimRight(e.Text, "."))
	}
	if e.Duplicate {
		line += ", again"
	}
	if e.Fault != "" {
		line += " (" + string(e.Fault) + ")"
	}
	return line
}

// printable keeps what a peer wrote from steering the terminal, and short.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}

// emptyPage is a PDF with one empty page.
const emptyPage = `%PDF-1.4
1 0 obj
<< /Type /Catalog /Pages 2 0 R >>
endobj
2 0 obj
<< /Type /Pages /Kids [3 0 R] /Count 1 >>
endobj
3 0 obj
<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>
endobj
xref
0 4
0000000000 65535 f 
0000000009 00000 n 
0000000058 00000 n 
0000000115 00000 n 
trailer
<< /Size 4 /Root 1 0 R >>
startxref
186
%%EOF
`
