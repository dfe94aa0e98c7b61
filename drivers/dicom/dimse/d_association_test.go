package dimse

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// connect opens a scripted connection to a server on a loopback port.
func connect(tb testing.TB, addr string) *dicomtest.ScriptedPeer {
	tb.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return dicomtest.NewPeer(tb, conn)
}

// startPipes serves over net.Pipe; for use within a synctest bubble. stop ends
// the server and waits for it.
func startPipes(t *testing.T, cfg ServerConfig) (l *dicomtest.PipeListener, s *Server, stop func()) {
	t.Helper()
	l = dicomtest.NewPipeListener()
	s = NewServer(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	return l, s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func pipe(t *testing.T, l *dicomtest.PipeListener) *dicomtest.ScriptedPeer {
	t.Helper()
	conn, err := l.Dial()
	if err != nil {
		t.Fatal(err)
	}
	return dicomtest.NewPeer(t, conn)
}

// onlyDR1 knows one machine.
func onlyDR1(_ context.Context, info AssociateInfo) (Grant, *Reject) {
	switch {
	case !strings.EqualFold(info.CalledAETitle, "RAYHOUND"):
		return Grant{}, &ul.RejectCalledAETitle
	case info.CallingAETitle != "DR1":
		return Grant{}, &ul.RejectCallingAETitle
	}
	return Grant{Key: "DR1"}, nil
}

func TestD1TitlesPaddedAndInLowerCase(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Authorize: onlyDR1})
	for _, called := range []string{"RAYHOUND        ", "rayhound\x00\x00\x00\x00\x00\x00\x00\x00", "  RayHound"} {
		rq := dicomtest.Request(VerificationSOPClassUID)
		rq.SetTitles(called, "DR1\x00")
		copy(rq.Titles[32:], "reserved, sent back as it came")
		p := connect(t, addr)
		if ac := p.Associate(rq); ac.Titles != rq.Titles {
			t.Errorf("%q became %q", rq.Titles, ac.Titles)
		}
		p.Release()
	}
}

func TestD2D3D4D5D6D9D12Rejects(t *testing.T) {
	tests := []struct {
		name                   string
		edit                   func(*pdu.AssociateRQ)
		result, source, reason byte
	}{
		{"D2 called title", func(p *pdu.AssociateRQ) { p.SetTitles("NOSUCH", "DR1") }, 1, 1, 7},
		{"D3 no calling title", func(p *pdu.AssociateRQ) { p.SetTitles("RAYHOUND", "") }, 1, 1, 3},
		{"D3 unknown calling title", func(p *pdu.AssociateRQ) { p.SetTitles("RAYHOUND", "DR2") }, 1, 1, 3},
		{"D4 path", func(p *pdu.AssociateRQ) { p.SetTitles("RAYHOUND", "../x") }, 1, 1, 3},
		{"D4 format", func(p *pdu.AssociateRQ) { p.SetTitles("RAYHOUND", "%s%n") }, 1, 1, 3},
		{"D4 quotes", func(p *pdu.AssociateRQ) { p.SetTitles(`"';--`, "DR1") }, 1, 1, 7},
		{"D4 control", func(p *pdu.AssociateRQ) { p.SetTitles("RAYHOUND", "DR1\x1b[2J") }, 1, 1, 3},
		{"D4 FF", func(p *pdu.AssociateRQ) { p.SetTitles(strings.Repeat("\xff", 16), "DR1") }, 1, 1, 7},
		{"D5 version 0", func(p *pdu.AssociateRQ) { p.ProtocolVersion = 0 }, 1, 2, 2},
		{"D5 version 2", func(p *pdu.AssociateRQ) { p.ProtocolVersion = 2 }, 1, 2, 2},
		{"D6", func(p *pdu.AssociateRQ) { p.ApplicationContext = "1.2.3" }, 1, 1, 2},
		{"D9 no context", func(p *pdu.AssociateRQ) { p.Contexts = nil }, 1, 1, 1},
		{"D12 maximum 1", func(p *pdu.AssociateRQ) { p.User.MaximumLength = 1 }, 1, 1, 1},
		{"D12 maximum 7", func(p *pdu.AssociateRQ) { p.User.MaximumLength = 7 }, 1, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused := make(chan AssociateInfo, 1)
			_, addr := startServer(t, ServerConfig{Authorize: onlyDR1, OnRefused: func(info AssociateInfo, r Reject) {
				if r != (Reject{Result: tt.result, Source: tt.source, Reason: tt.reason}) {
					t.Error(r)
				}
				refused <- info
			}})
			rq := dicomtest.Request(VerificationSOPClassUID)
			tt.edit(rq)
			p := connect(t, addr)
			p.Send(rq)
			p.ExpectReject(tt.result, tt.source, tt.reason)
			_ = p.Conn.Close()
			info := <-refused
			if strings.ContainsFunc(info.CalledAETitle+info.CallingAETitle, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q", info)
			}
		})
	}
}

func TestD3Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		l, s, stop := startPipes(t, ServerConfig{Authorize: func(context.Context, AssociateInfo) (Grant, *Reject) {
			asked++
			return Grant{}, &ul.RejectCallingAETitle
		}})
		defer stop()
		const calls = 10000
		for range calls {
			conn, err := l.Dial()
			if err != nil {
				t.Fatal(err)
			}
			p := dicomtest.NewPeer(t, conn)
			_, _ = conn.Write(dicomtest.Request(VerificationSOPClassUID).AppendTo(nil))
			_, _, _ = p.Receive() // the answer, or the end
			_ = conn.Close()
		}
		synctest.Wait()
		if asked != 5 || s.Stats().Refused != calls-5 {
			t.Errorf("asked %d times, refused %d", asked, s.Stats().Refused)
		}
		time.Sleep(11 * time.Second)
		p := pipe(t, l)
		p.Send(dicomtest.Request(VerificationSOPClassUID))
		p.ExpectReject(1, 1, 3)
		_ = p.Conn.Close()
	})
}

func TestD5VersionBits(t *testing.T) {
	_, addr := startServer(t, ServerConfig{})
	rq := dicomtest.Request(VerificationSOPClassUID)
	rq.ProtocolVersion = 3
	p := connect(t, addr)
	p.Associate(rq)
	p.Release()
}

func TestD7D9D10Contexts(t *testing.T) {
	const (
		implicit, explicit = ImplicitVRLittleEndian, ExplicitVRLittleEndian
		big, jpeg          = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"
	)
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: matches(1)}})
	rq := dicomtest.Request()
	rq.Contexts = []pdu.ProposedContext{
		{ID: 1, AbstractSyntax: mwlClass, TransferSyntaxes: []string{implicit, explicit}},
		{ID: 3, AbstractSyntax: "1.2.840.10008.5.1.4.1.2.2.1", TransferSyntaxes: []string{implicit}},
		{ID: 5, AbstractSyntax: "1.2.3", TransferSyntaxes: []string{big}},
		{ID: 7, AbstractSyntax: mwlClass, TransferSyntaxes: []string{jpeg}},
		{ID: 8, AbstractSyntax: mwlClass, TransferSyntaxes: []string{implicit}}, // an even id
		{ID: 9, AbstractSyntax: mwlClass, TransferSyntaxes: []string{big, explicit}},
		{ID: 11, AbstractSyntax: VerificationSOPClassUID, TransferSyntaxes: []string{big}},
		{ID: 13, AbstractSyntax: VerificationSOPClassUID},
	}
	p := connect(t, addr)
	got := p.Associate(rq).Contexts
	want := []pdu.ContextResult{{ID: 1, Result: 0, TransferSyntax: explicit}, {ID: 3, Result: 3, TransferSyntax: ""}, {ID: 5, Result: 3, TransferSyntax: ""}, {ID: 7, Result: 4, TransferSyntax: ""}, {ID: 8, Result: 0, TransferSyntax: implicit}, {ID: 9, Result: 0, TransferSyntax: explicit}, {ID: 11, Result: 4, TransferSyntax: ""}, {ID: 13, Result: 4, TransferSyntax: ""}}
	if len(got) != len(want) {
		t.Fatal(got)
	}
	for i, w := range want {
		if g := got[i]; g.ID != w.ID || g.Result != w.Result || w.Result == 0 && g.TransferSyntax != w.TransferSyntax {
			t.Errorf("%v, want %v", g, w)
		}
	}
	p.Release()
}

func TestD10PreferImplicit(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Authorize: func(context.Context, AssociateInfo) (Grant, *Reject) {
		return Grant{Key: "x", PreferImplicit: true}, nil
	}, Services: map[string]any{mwlClass: matches(1)}})
	c := dial(t, addr)
	if ts := c.TransferSyntax(mwlClass); ts != ImplicitVRLittleEndian {
		t.Error(ts)
	}
	release(t, c)
}

func TestD8ManyContextsAndUserItems(t *testing.T) {
	_, addr := startServer(t, ServerConfig{})
	rq := dicomtest.Request()
	for i := range 128 {
		rq.Contexts = append(rq.Contexts, pdu.ProposedContext{
			ID: byte(2*i + 1), AbstractSyntax: VerificationSOPClassUID + "\x00", TransferSyntaxes: []string{ImplicitVRLittleEndian + "\x00"},
		})
	}
	b := rq.AppendTo(nil)
	items := []byte{0x53, 0, 0, 4, 0, 0, 0, 0, 0x54, 0, 0, 6, 0, 2, '1', '2', 1, 0, 0x56, 0, 0, 3, 0, 1, '1', 0x58, 0, 0, 2, 1, 0, 0x7F, 0, 0, 0}
	at := bytes.LastIndex(b, []byte{0x50, 0, 0})
	b[at+3] += byte(len(items))
	b = append(b, items...)
	n := len(b) - pdu.HeaderSize
	b[4], b[5] = byte(n>>8), byte(n)
	p := connect(t, addr)
	p.SendBytes(b)
	var ac pdu.AssociateAC
	if err := ac.Decode(p.Expect(pdu.TypeAssociateAC)); err != nil || len(ac.Contexts) != 128 {
		t.Fatal(err, len(ac.Contexts))
	}
	for _, c := range ac.Contexts {
		if c.Result != 0 {
			t.Error(c)
		}
	}
	p.Release()
}

func TestD9DuplicateContext(t *testing.T) {
	_, addr := startServer(t, ServerConfig{})
	rq := dicomtest.Request(VerificationSOPClassUID, VerificationSOPClassUID)
	rq.Contexts[1].ID = 1
	p := connect(t, addr)
	p.Send(rq)
	p.ExpectAbort(2, 6)
	_ = p.Conn.Close()
}

func TestD11MaximumLength(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: matches(200)}})
	for _, limit := range []uint32{0, 8, 16, 128, 512, 16000, 65542, 4294967295} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			rq := dicomtest.Request(mwlClass)
			rq.User.MaximumLength = limit
			p := connect(t, addr)
			p.Associate(rq)
			find := CFindRQ{MessageID: 1, AffectedSOPClassUID: mwlClass}.Command()
			p.Send(dicomtest.Message(1, find.AppendTo(nil), []byte{}))
			most := limit
			if limit == 0 || limit > 65536 {
				most = 65536
			}
			for answers, command := 0, (Command{}); ; {
				var parts [2][]byte
				for part := 0; part < 2; {
					body := p.Expect(pdu.TypePDataTF)
					if uint32(len(body)) > most {
						t.Fatalf("body of %d bytes", len(body))
					}
					v, rest, err := pdu.NextPDV(body)
					if err != nil || len(rest) > 0 || len(v.Data)%2 == 1 {
						t.Fatal(v, err)
					}
					parts[part] = append(parts[part], v.Data...)
					if !v.Last {
						continue
					}
					if part++; part == 1 {
						if err := command.Decode(parts[0]); err != nil {
							t.Fatal(err)
						}
						if !command.HasDataSet() {
							break
						}
					}
				}
				if command.Status == Success {
					if answers != 200 {
						t.Fatal(answers)
					}
					break
				}
				if answers++; len(parts[1]) != 400 {
					t.Fatal(len(parts[1]))
				}
			}
			p.Release()
		})
	}
}

func TestD13HostileBytes(t *testing.T) {
	bad := dicomtest.Request(VerificationSOPClassUID).AppendTo(nil)
	bad[pdu.HeaderSize+68+2] = 0xFF // the first item passes the end
	tests := []struct {
		name   string
		bytes  []byte
		reason byte
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 1},
		{"TLS hello", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 1},
		{"4 GiB", []byte{1, 0, 0xFF, 0xFF, 0xFF, 0xFF}, 6},
		{"P-DATA first", pdu.AppendFragments(nil, 1, true, make([]byte, 10), 100), 2},
		{"RELEASE first", pdu.ReleaseRQ{}.AppendTo(nil), 2},
		{"item past the end", bad, 6},
	}
	_, addr := startServer(t, ServerConfig{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			p := connect(t, addr)
			runtime.ReadMemStats(&before)
			p.SendBytes(tt.bytes)
			p.ExpectAbort(2, tt.reason)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
				t.Errorf("%d bytes allocated", n)
			}
			_ = p.Conn.Close()
		})
	}
}

func TestD16Limits(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Authorize: func(_ context.Context, info AssociateInfo) (Grant, *Reject) {
		if info.CallingAETitle == "UNKNOWN" {
			return Grant{}, nil
		}
		return Grant{Key: info.CallingAETitle}, nil
	}})
	open := func(calling string) *dicomtest.ScriptedPeer {
		p := connect(t, addr)
		rq := dicomtest.Request(VerificationSOPClassUID)
		rq.SetTitles("RAYHOUND", calling)
		p.Send(rq)
		return p
	}
	accepted := func(calling string) *dicomtest.ScriptedPeer {
		p := open(calling)
		p.Expect(pdu.TypeAssociateAC)
		return p
	}
	for range 4 {
		accepted("UNKNOWN")
	}
	open("UNKNOWN").ExpectReject(2, 3, 2)
	var first *dicomtest.ScriptedPeer
	for _, calling := range []string{"A", "B", "C"} {
		for range 16 {
			first = accepted(calling)
		}
		open(calling).ExpectReject(2, 3, 2)
	}
	for range 12 {
		accepted("D")
	}
	open("D").ExpectReject(2, 3, 2) // the 65th of all
	first.Release()
	accepted("D")
}

func TestD17NeverReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10000
		l, s, stop := startPipes(t, ServerConfig{Limits: Limits{
			Associations: n, PerMachine: n, Connections: n, ConnectionsPerAddress: n,
		}})
		defer stop()
		synctest.Wait()
		base := runtime.NumGoroutine()
		var peers sync.WaitGroup
		for range n {
			p := pipe(t, l)
			p.Associate(dicomtest.Request(VerificationSOPClassUID))
			peers.Go(p.Drain)
		}
		if open := s.Stats().Open; open != n {
			t.Fatal(open)
		}
		time.Sleep(126 * time.Second)
		peers.Wait()
		synctest.Wait()
		if st := s.Stats(); st.Open != 0 || st.Connections != 0 || runtime.NumGoroutine() > base {
			t.Errorf("%+v, %d goroutines, %d before", st, runtime.NumGoroutine(), base)
		}
	})
}

func TestD21OneWritePerMessage(t *testing.T) {
	records := make(chan *dicomtest.Recorder, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	s := NewServer(ServerConfig{Services: map[string]any{mwlClass: matches(1)}})
	go func() { done <- s.Serve(ctx, recordingListener{ln, records}) }()
	c := dial(t, ln.Addr().String())
	r := <-records
	raw, err := r.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	nodelay := 0
	if err := raw.Control(func(fd uintptr) { nodelay, err = noDelay(fd) }); err != nil || nodelay == 0 {
		t.Errorf("TCP_NODELAY is %d, %v", nodelay, err)
	}
	if err := c.Echo(t.Context()); err != nil || findAll(t, c) != 1 {
		t.Fatal(err)
	}
	release(t, c)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if w := r.Writes(); len(w) != 4 { // AC, echo, answer and final response, RP
		t.Errorf("%d writes", len(w))
	}
}

type recordingListener struct {
	net.Listener
	records chan<- *dicomtest.Recorder
}

func (l recordingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	r := dicomtest.NewRecorder(conn)
	l.records <- r
	return r, nil
}

func TestD18D23HonestAmongOthers(t *testing.T) {
	_, addr := startServer(t, ServerConfig{AETitle: "RAYHOUND", Services: map[string]any{mwlClass: matches(1)}})
	echo := CEchoRQ{MessageID: 1, AffectedSOPClassUID: VerificationSOPClassUID}.Command()
	rq := dicomtest.Request(VerificationSOPClassUID).AppendTo(nil)
	var half []*dicomtest.ScriptedPeer
	for i := range 50 {
		p := connect(t, addr)
		switch i % 5 {
		case 0: // silent
		case 1:
			p.SendBytes([]byte("GET / HTTP/1.1\r\n\r\n"))
		case 2:
			p.SendBytes(rq[:40])
		case 3:
			p.SendBytes([]byte{1, 0, 0, 3, 0xFF, 0})
		case 4:
			if i < 40 {
				p.SendBytes(rq)
				p.SendBytes(pdu.AppendFragments(nil, 1, true, echo.AppendTo(nil), 100)[:30])
			}
		}
		half = append(half, p)
	}
	for range 20 {
		c := dial(t, addr)
		if findAll(t, c) != 1 {
			t.Error("no answer")
		}
		release(t, c)
	}
	for _, p := range half {
		_ = p.Conn.Close()
	}
}
