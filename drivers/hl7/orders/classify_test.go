package orders

import (
	"errors"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  []string
		class   Class
		code    string
		control string
		refused bool
	}{
		{"AA", []string{"MSA|AA|1"}, Delivered, "", "", false},
		{"AA with ERR", []string{"MSA|AA|1", "ERR||OBR^1^4|103|W"}, Delivered, "103", "", false},
		{"AA with ERR 0", []string{"MSA|AA|1", "ERR|||0|I"}, Delivered, "", "", false},
		{"AA with UA", []string{"MSA|AA|1", "ORC|UA|A|F"}, Delivered, "", "UA", true},
		{"AA with UX", []string{"MSA|AA|1", "ORC|UX|A"}, Delivered, "", "UX", true},
		{"AA with OK", []string{"MSA|AA|1", "ORC|OK|A|F-1"}, Delivered, "", "OK", false},
		{"CA", []string{"MSA|CA|1"}, Pending, "", "", false},
		{"AE", []string{"MSA|AE|1|try later"}, Retry, "", "", false},
		{"AE 101", []string{"MSA|AE|1", "ERR||ORC^1|101|E"}, Park, "101", "", false},
		{"AE 101 in the old form", []string{"MSA|AE|1", "ERR|PID^1^5^101"}, Park, "101", "", false},
		{"AE 207 and 102", []string{"MSA|AE|1", "ERR|||207|E", "ERR|||102|E"}, Park, "102", "", false},
		{"CE", []string{"MSA|CE|1"}, Retry, "", "", false},
		{"CE 100", []string{"MSA|CE|1", "ERR|||100|E"}, Park, "100", "", false},
		{"AR", []string{"MSA|AR|1"}, Park, "", "", false},
		{"AR 207", []string{"MSA|AR|1", "ERR|||207|E"}, Retry, "207", "", false},
		{"CR", []string{"MSA|CR|1"}, Park, "", "", false},
		{"CR 207", []string{"MSA|CR|1", "ERR|||207|E"}, Retry, "207", "", false},
		{"AR 204 with UC", []string{"MSA|AR|1", "ERR|||204|E", "ORC|UC|A"}, Park, "204", "UC", true},
		{"another word", []string{"MSA|OK|1"}, Retry, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := strings.Join(append([]string{`MSH|^~\&|RIS|||||` + "|ORR^O02|9|P|2.5.1"}, c.answer...), "\r")
			a, err := hl7.ParseAck([]byte(raw), hl7.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r := Classify(&Profile{}, a)
			if r.Class != c.class || r.Code != c.code || r.OrderControl != c.control || r.Refused != c.refused {
				t.Errorf("%+v", r)
			}
			if (r.MaxTries > 0) != (r.Class == Retry) {
				t.Errorf("a ceiling of %d for %s", r.MaxTries, r.Class)
			}
			p := r.Problem("RIS", "A")
			if (p != nil) != (r.Class == Park || r.Refused) {
				t.Errorf("problem %v", p)
			}
		})
	}
}

func TestClassifyError(t *testing.T) {
	send := func(kind error, sent bool) error { return &mllp.SendError{Kind: kind, Sent: sent} }
	fail, resend := &Profile{}, &Profile{Resend: true, MaxTries: 3}
	for _, c := range []struct {
		name    string
		p       *Profile
		err     error
		class   Class
		tries   int
		unknown bool
	}{
		{"no connection", fail, send(mllp.ErrConnect, false), Destination, 0, false},
		{"not written", fail, send(mllp.ErrWrite, true), Retry, 0, true},
		{"frame character", resend, send(mllp.ErrFrameCharacter, false), Park, 0, false},
		{"timeout", fail, send(mllp.ErrTimeout, true), Park, 0, true},
		{"timeout, resend", resend, send(mllp.ErrTimeout, true), Retry, 3, true},
		{"closed by the peer", resend, send(mllp.ErrPeerClosed, true), Retry, 3, true},
		{"no message", fail, send(mllp.ErrBadAnswer, true), Park, 0, true},
		{"given up before", fail, send(mllp.ErrCancelled, false), Retry, 0, false},
		{"given up after", fail, send(mllp.ErrCancelled, true), Retry, 0, true},
		{"anything", fail, errors.New("?"), Park, 0, true},
	} {
		r := ClassifyError(c.p, c.err)
		if r.Class != c.class || r.MaxTries != c.tries || r.Unknown != c.unknown || r.Text == "" {
			t.Errorf("%s: %+v", c.name, r)
		}
		if p := r.Problem("RIS", "A"); c.class == Destination && p.Code != problem.RISUnreachable {
			t.Errorf("%s: %v", c.name, p)
		}
	}
}
