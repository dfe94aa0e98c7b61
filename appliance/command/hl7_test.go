package command

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/hl7sim"
)

func TestSplitHL7(t *testing.T) {
	const a, b = `MSH|^~\&|A`, "MSH*^~\\&*B"
	for in, want := range map[string][]string{
		a + "\rPID|1\r":              {a + "\rPID|1\r"},
		a + "\nPID|1":                {a + "\rPID|1\r"},
		a + "\r\nPID|1\r\n\r\n":      {a + "\rPID|1\r"},
		"\xef\xbb\xbf" + a:           {a + "\r"},
		"\n  \n" + a:                 {a + "\r"},
		a + "\nPID|1\n\n" + b + "\n": {a + "\rPID|1\r", b + "\r"},
		"\v" + a + "\r\x1c\r\v" + b + "\rZZZ|1\r\x1c\r":          {a + "\r", b + "\rZZZ|1\r"},
		"FHS|^~\\&\rBHS|^~\\&\r" + a + "\rPID|1\rBTS|1\rFTS|1\r": {a + "\rPID|1\r"},
		a + "\rPID|||||M\xfcller^Bella\r":                        {a + "\rPID|||||M\xfcller^Bella\r"},
		a + "\rNTE|1||MSHA is no header\rMSH is none either\r":   {a + "\rNTE|1||MSHA is no header\rMSH is none either\r"},
		"": nil, "hello": nil, "MSH": nil, "MSHA^~": nil, "PID|1\r" + a: nil, "\xff\xfeM\x00S\x00H\x00|\x00": nil, "BHS|\rPID|1\r": nil,
	} {
		got, err := splitHL7([]byte(in))
		if (err != nil) != (want == nil) || len(got) != len(want) {
			t.Errorf("%q: %q %v", in, got, err)
			continue
		}
		for i := range want {
			if string(got[i]) != want[i] {
				t.Errorf("%q: message %d is %q, want %q", in, i, got[i], want[i])
			}
		}
	}
}

func FuzzSplitHL7(f *testing.F) {
	f.Add([]byte("MSH|^~\\&|A\nPID|1\n\nMSH|^~\\&|B\r\n"))
	f.Add([]byte("\vMSH|^~\\&\r\x1c\r"))
	f.Add([]byte("FHS|\rBHS|\rMSH|M\xfc\rBTS|\r"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := splitHL7(in)
		if err != nil {
			return
		}
		for _, m := range got {
			if !bytes.HasPrefix(m, []byte("MSH")) || m[len(m)-1] != '\r' || bytes.ContainsAny(m, "\n\v\x1c") {
				t.Fatalf("%q", m)
			}
		}
		again, err := splitHL7(bytes.Join(got, nil))
		if err != nil || len(again) != len(got) {
			t.Fatalf("%q: %q, again %q %v", in, got, again, err)
		}
	})
}

// risOn runs a RIS on loopback, with TLS when config is not nil.
func risOn(t *testing.T, c hl7sim.Config, config *tls.Config) (*hl7sim.RIS, string) {
	t.Helper()
	r, err := hl7sim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r, addr
}

const hl7Order = "MSH|^~\\&|TEST|Clinic|RIS|Clinic|20261124||ORM^O01|T1|P|2.3.1\rPID|1||1001||M\xfcller^Bella\rORC|NW|A1\r"

func TestHL7Send(t *testing.T) {
	ris, addr := risOn(t, hl7sim.Config{}, nil)
	d := newDesk(t)
	file := filepath.Join(t.TempDir(), "order.hl7")
	if err := os.WriteFile(file, []byte(hl7Order), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(t, 0, []string{"MSA|AA|T1\n", "ORM^O01 T1: accepted (AA).\n"}, "hl7", "send", addr, file)
	if m := ris.Messages(); len(m) != 1 || string(m[0].Raw) != hl7Order {
		t.Errorf("the bytes were changed: %q", m[0].Raw)
	}
	for _, c := range []struct {
		fault hl7sim.FaultKind
		code  int
		texts []string
	}{
		{hl7sim.Error101, 1, []string{"refused: AE 101 ORC-1, A required field is missing", "RH-410"}},
		{hl7sim.RejectPlain, 1, []string{"T1: refused: AR.\n"}},
		{hl7sim.CommitSame, 0, []string{"accepted for later (CA)"}},
		{hl7sim.CloseAfterRead, 1, []string{"closed the connection before it answered; whether the message was taken is not known"}},
		{hl7sim.NeverAck, 1, []string{"no answer within 50ms"}},
		{hl7sim.GarbageAck, 1, []string{"the answer is no HL7 message"}},
		{hl7sim.OldAckFirst, 0, []string{"An answer that is not to this message:\n  MSH|", "accepted (AA)"}},
	} {
		if _, err := ris.Inject(hl7sim.Fault{Kind: c.fault, Count: 1}); err != nil {
			t.Fatal(err)
		}
		timeout := "20s"
		if c.fault == hl7sim.NeverAck {
			timeout = "50ms"
		}
		d.want(t, c.code, c.texts, "hl7", "send", addr, file, "--timeout", timeout)
	}
	d.stdin = strings.ReplaceAll(hl7Order, "\r", "\n") + strings.Replace(hl7Order, "|T1|", "||", 1)
	out := d.want(t, 1, []string{"1 of 2 messages were accepted"}, "hl7", "send", addr, "-", "--json")
	var all []hl7Answer
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 2 {
		t.Fatalf("%v %s", err, out)
	}
	if !all[0].Accepted || all[0].Code != string(hl7.AA) || len(all[0].Answer) != 2 || all[1].Accepted || all[1].ErrorCode != "101" || all[1].Where != "MSH-10" {
		t.Errorf("%+v", all)
	}
	d.want(t, 2, []string{"HOST:PORT"}, "hl7", "send", "here", file)
	d.want(t, 2, []string{"--timeout"}, "hl7", "send", addr, file, "--timeout", "0s")
	d.want(t, 1, []string{"RH-513"}, "hl7", "send", addr, file+"x")
}

func TestHL7SendTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	_, addr := risOn(t, hl7sim.Config{}, &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	d := newDesk(t)
	d.stdin = hl7Order
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	d.want(t, 0, []string{"accepted (AA)"}, "hl7", "send", addr, "-", "--tls", "--ca-file", ca)
	d.want(t, 1, []string{"the certificate is not trusted"}, "hl7", "send", addr, "-", "--tls")
	d.want(t, 2, []string{"goes with --tls"}, "hl7", "send", addr, "-", "--ca-file", ca)
}

func TestSimRIS(t *testing.T) {
	d := newDesk(t)
	d.want(t, 0, []string{"late-ack", "two-in-one", "answer", "send"}, "sim", "ris", "--fault", "list")
	d.want(t, 2, []string{"no fault \"x\""}, "sim", "ris", "--fault", "x")
	d.want(t, 2, []string{"not a number"}, "sim", "ris", "--fault", "late-ack=x")
	d.want(t, 2, []string{"share"}, "sim", "ris", "--fault", "late-ack:0%")
	d.want(t, 2, []string{"count"}, "sim", "ris", "--fault", "late-ack:0")
	d.want(t, 2, []string{"Message"}, "sim", "ris", "--message", "ADT")
	d.want(t, 2, []string{"--tries"}, "sim", "ris", "--tries", "0")
	d.want(t, 1, []string{"RH-511"}, "sim", "ris", "--listen", "256.0.0.1:1")
}
