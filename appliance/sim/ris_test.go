package sim

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// paper is an output that several goroutines write and a test reads.
type paper struct {
	mu sync.Mutex
	b  strings.Builder
}

func (p *paper) Write(b []byte) (int, error) { p.mu.Lock(); defer p.mu.Unlock(); return p.b.Write(b) }

func (p *paper) String() string { p.mu.Lock(); defer p.mu.Unlock(); return p.b.String() }

// find waits, bounded, for a pattern and returns its group.
func (p *paper) find(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if m := re.FindStringSubmatch(p.String()); m != nil {
			return m[len(m)-1]
		}
		if time.Now().After(limit) {
			t.Fatalf("no %s in\n%s", pattern, p)
		}
	}
}

func run(t *testing.T, o RISOptions) (*paper, string) {
	t.Helper()
	out := &paper{}
	o.Listen, o.Out = "127.0.0.1:0", out
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- RIS(ctx, o) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), "anomalies.") || strings.Contains(out.String(), "Bella") {
			t.Errorf("output\n%s", out)
		}
	})
	return out, out.find(t, `takes orders at (127\.0\.0\.1:\d+)`)
}

func TestRIS(t *testing.T) {
	upper, to := run(t, RISOptions{Application: "UPPER"})
	lower, addr := run(t, RISOptions{
		Application: "LOWER", SendTo: to, Auto: true, Number: true, PDF: true, Tries: 1, Faults: []string{"answer-orr:1", "two-in-one:1"},
	})
	c := mllp.NewClient(mllp.ClientConfig{Address: addr})
	defer c.Close()
	order := "MSH|^~\\&|TEST|Clinic|LOWER|Clinic|20261124||ORM^O01|T1|P|2.3.1\rPID|1||1001||Miller^Bella\rORC|NW|A\x1b1\rOBR|1|A\x1b1\r"
	if a, err := c.Send(t.Context(), []byte(order), nil); err != nil || !strings.Contains(string(a), "ORR^O02") {
		t.Fatalf("%q %v", a, err)
	}
	lower.find(t, `got  ORM\^O01 NW A\?1: AA \(answer-orr\)\n`)
	lower.find(t, `sent ORM\^O01 SN A.*1: AE \(two-in-one\)\n`) // the other one knows no numbers
	upper.find(t, `got  ORM\^O01 SN .*: AE, The order control code is not known here\n`)
}

func TestRISMisused(t *testing.T) {
	for _, o := range []RISOptions{{SendTo: "nowhere"}, {Message: "ADT"}, {Charset: "Klingon"}, {Version: "3"}, {Faults: []string{"x"}}} {
		o.Listen, o.Out = "127.0.0.1:0", &paper{}
		if p := problem.Of(RIS(t.Context(), o)); p == nil || p.Code != problem.Usage {
			t.Errorf("%+v: %v", o, p)
		}
	}
}

// The page in the report is a PDF whose table of contents is right.
func TestEmptyPage(t *testing.T) {
	for n, at := range []int{0, 9, 58, 115} {
		if n > 0 && !strings.HasPrefix(emptyPage[at:], string(rune('0'+n))+" 0 obj") {
			t.Errorf("object %d is not at %d", n, at)
		}
	}
	if !strings.HasPrefix(emptyPage[186:], "xref\n") {
		t.Error("startxref")
	}
}
