package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

type hl7Cmd struct {
	Send     hl7SendCmd     `cmd:"" help:"Send the messages of a file by MLLP and print the answers."`
	Received hl7ReceivedCmd `cmd:"" help:"List what the RIS sent, and what became of it."`
}

type hl7SendCmd struct {
	Peer    string        `arg:"" name:"peer" help:"Address, HOST:PORT."`
	File    string        `arg:"" name:"file" help:"File with one or more messages; -: standard input."`
	Timeout time.Duration `help:"How long to wait for each answer." default:"30s" placeholder:"DURATION"`
	TLS     bool          `name:"tls" help:"Connect with TLS."`
	CAFile  string        `name:"ca-file" help:"Roots (PEM) of the peer's certificate. Default: the system's." placeholder:"FILE"`
	JSON    bool          `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (hl7SendCmd) Help() string {
	return "Segments may end with CR, LF or CRLF, and each MSH begins a message. The text is sent in the character set of the file.\n" +
		"Exit code 0 means that every message was accepted (AA or CA).\n\nExample:\n\n  rayhound hl7 send 192.168.1.20:2575 order.hl7"
}

// hl7Answer is the outcome of one message as JSON shows it.
type hl7Answer struct {
	ControlID string   `json:"control_id"`
	Type      string   `json:"type"`
	Accepted  bool     `json:"accepted"`
	Code      string   `json:"code"`       // MSA-1
	ErrorCode string   `json:"error_code"` // ERR-3
	Where     string   `json:"where"`      // ERR-2
	Text      string   `json:"text"`       // MSA-3 or ERR-8, or why there is no answer
	Duration  float64  `json:"duration_ms"`
	Answer    []string `json:"answer"` // its segments
	Strays    int      `json:"foreign_answers"`

	unanswered bool
}

// Run sends the file.
func (c hl7SendCmd) Run(e *env) error {
	if _, _, err := net.SplitHostPort(c.Peer); err != nil {
		return usage("The address is HOST:PORT, such as 192.168.1.20:2575")
	}
	if c.Timeout <= 0 {
		return usage("--timeout must be more than 0")
	}
	config, err := c.tlsConfig()
	if err != nil {
		return err
	}
	messages, err := e.readMessages(c.File)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var strays [][]byte
	client := mllp.NewClient(mllp.ClientConfig{
		Address: c.Peer, TLS: config, Persistent: true, ConnectTimeout: min(c.Timeout, 10*time.Second), AnswerTimeout: c.Timeout, MaxAnswer: 32 << 20,
		OnStray: func(raw []byte, _ error) { mu.Lock(); defer mu.Unlock(); strays = append(strays, raw) },
	})
	out := []hl7Answer{}
	for _, m := range messages {
		a := c.exchange(e.ctx, client, m)
		mu.Lock()
		foreign := strays
		strays = nil
		mu.Unlock()
		a.Strays = len(foreign)
		out = append(out, a)
		if !c.JSON {
			e.printAnswer(a, foreign)
		}
		if a.unanswered {
			break
		}
	}
	_ = client.Close() // everything was said
	if c.JSON {
		if err := e.json(out); err != nil {
			return err
		}
	}
	return c.verdict(out, len(messages))
}

func (c hl7SendCmd) tlsConfig() (*tls.Config, error) {
	if !c.TLS {
		if c.CAFile != "" {
			return nil, usage("--ca-file goes with --tls")
		}
		return nil, nil //nolint:nilnil // no TLS is no configuration
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		b, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, unusable(c.CAFile, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, unusable(c.CAFile, errors.New("there is no certificate (PEM) in it"))
		}
	}
	return t, nil
}

// readMessages reads the messages of a file, or of standard input.
func (e *env) readMessages(path string) ([][]byte, error) {
	name, r := path, e.Stdin
	if path == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, unusable(path, err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxHL7File+1))
	if err != nil {
		return nil, unusable(name, err)
	}
	if len(b) > maxHL7File {
		return nil, unusable(name, errors.New("it is larger than 256 MiB"))
	}
	messages, err := splitHL7(b)
	if err != nil {
		return nil, unusable(name, err)
	}
	return messages, nil
}

// exchange sends one message. An answer counts when its MSA-2 is the message's
// MSH-10; to a message without one every answer counts.
func (c hl7SendCmd) exchange(ctx context.Context, client *mllp.Client, m []byte) hl7Answer {
	h := hl7.PeekHeader(m)
	out := hl7Answer{ControlID: h.ControlID, Type: h.Type, Answer: []string{}}
	begin := time.Now()
	raw, err := client.Send(ctx, m, func(answer []byte) (ours, final bool) {
		a, err := hl7.ParseAck(answer, hl7.Options{})
		return err == nil && (h.ControlID == "" || a.ControlID == h.ControlID), true
	})
	out.Duration = float64(time.Since(begin).Microseconds()) / 1000
	if err != nil {
		out.Text, out.unanswered = c.reason(err), true
		return out
	}
	out.Answer = segmentsOf(raw)
	a, err := hl7.ParseAck(raw, hl7.Options{})
	if err != nil { // the match above has read it
		out.Text, out.unanswered = "the answer cannot be read", true
		return out
	}
	out.Code, out.Text, out.Accepted = string(a.Code), a.Text, a.Code == hl7.AA || a.Code == hl7.CA
	if len(a.Errors) > 0 {
		out.ErrorCode, out.Where = a.Errors[0].Code, a.Errors[0].Where
		out.Text = first(out.Text, a.Errors[0].Text, hl7.CodeText(a.Errors[0].Code))
	}
	return out
}

// reason says why there is no answer.
func (c hl7SendCmd) reason(err error) string {
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return "the certificate is not trusted: " + cert.Err.Error()
	case errors.Is(err, mllp.ErrTimeout):
		return fmt.Sprintf("no answer within %s; whether the message was taken is not known", c.Timeout)
	case errors.Is(err, mllp.ErrPeerClosed):
		return "the peer closed the connection before it answered; whether the message was taken is not known"
	case errors.Is(err, mllp.ErrBadAnswer):
		return "the answer is no HL7 message"
	case errors.Is(err, mllp.ErrFrameCharacter):
		return "the message holds a character of the MLLP frame"
	case errors.Is(err, mllp.ErrConnect) && errors.As(err, &op):
		return "cannot connect: " + op.Err.Error()
	case errors.Is(err, mllp.ErrConnect):
		return strings.TrimPrefix(err.Error(), "mllp: ")
	}
	return strings.TrimPrefix(err.Error(), "mllp: ")
}

// summary is the verdict about one message.
func (a hl7Answer) summary() string {
	switch {
	case a.Accepted && a.Code == string(hl7.CA):
		return "accepted for later (CA)"
	case a.Accepted:
		return "accepted (" + a.Code + ")"
	case a.unanswered:
		return "not answered: " + a.Text
	}
	parts := []string{}
	for _, s := range []string{a.Code, a.ErrorCode, a.Where} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	s := "refused: " + strings.Join(parts, " ")
	if a.Text != "" {
		s += ", " + a.Text
	}
	return s
}

func (e *env) printAnswer(a hl7Answer, strays [][]byte) {
	for _, raw := range strays {
		e.printf("An answer that is not to this message:\n")
		for _, s := range segmentsOf(raw) {
			e.printf("  %s\n", s)
		}
	}
	for _, s := range a.Answer {
		e.printf("%s\n", s)
	}
	name := strings.TrimSpace(plain(first(a.Type, "A message without a type") + " " + a.ControlID))
	e.printf("%s: %s.\n\n", name, strings.TrimRight(plain(a.summary()), "."))
}

// verdict is nil when every message was accepted.
func (c hl7SendCmd) verdict(out []hl7Answer, total int) error {
	accepted := 0
	var worst *hl7Answer
	for i := range out {
		if out[i].Accepted {
			accepted++
		} else if worst == nil {
			worst = &out[i]
		}
	}
	if worst == nil {
		return nil
	}
	reason := strings.TrimRight(plain(worst.summary()), ".")
	if total > 1 {
		reason = fmt.Sprintf("%d of %d messages were accepted; the first that was not: %s", accepted, total, reason)
	}
	return problem.New(problem.RISPeer, problem.Args{"peer": c.Peer, "reason": reason}, nil)
}

// segmentsOf are the segments of an answer as people read them.
func segmentsOf(raw []byte) []string {
	text := string(raw)
	if !utf8.ValidString(text) {
		text, _ = charmap.Windows1252.NewDecoder().String(text) // it decodes every byte
	}
	var out []string
	for s := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		out = append(out, plain(s))
	}
	return out
}
