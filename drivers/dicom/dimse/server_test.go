package dimse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	mwlClass  = ModalityWorklistSOPClassUID
	mppsClass = ModalityPerformedProcedureStepSOPClassUID
)

type finderFunc func(ctx context.Context, r *Request, answers *Answers) error

func (f finderFunc) Find(ctx context.Context, r *Request, answers *Answers) error {
	return f(ctx, r, answers)
}

// steps is a handler for MPPS in memory.
type steps struct {
	create func(ctx context.Context, r *Request) (Response, error)
	set    func(ctx context.Context, r *Request) (Response, error)
}

func (s steps) Create(ctx context.Context, r *Request) (Response, error) { return s.create(ctx, r) }
func (s steps) Set(ctx context.Context, r *Request) (Response, error)    { return s.set(ctx, r) }

func matches(n int) Finder {
	identifier := make([]byte, 400)
	return finderFunc(func(_ context.Context, _ *Request, answers *Answers) error {
		for range n {
			if err := answers.Send(identifier, Pending); err != nil {
				return err
			}
		}
		return nil
	})
}

// startServer serves on a loopback port until the test ends.
func startServer(tb testing.TB, cfg ServerConfig) (*Server, string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := NewServer(cfg)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return s, ln.Addr().String()
}

func clientConfig(addr string) ClientConfig {
	return ClientConfig{
		Address: addr, CallingAETitle: "DR1", CalledAETitle: "RAYHOUND",
		Contexts: []ProposedContext{
			{AbstractSyntax: VerificationSOPClassUID, TransferSyntaxes: []string{ImplicitVRLittleEndian}},
			{AbstractSyntax: mwlClass},
			{AbstractSyntax: mppsClass},
		},
	}
}

func dial(tb testing.TB, addr string) *Client {
	tb.Helper()
	c, err := Dial(tb.Context(), clientConfig(addr))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func release(tb testing.TB, c *Client) {
	tb.Helper()
	if err := c.Release(context.Background()); err != nil {
		tb.Error(err)
	}
}

func TestConversation(t *testing.T) {
	data := []byte("attributes")
	_, addr := startServer(t, ServerConfig{AETitle: "rayhound", Services: map[string]any{
		mwlClass: matches(300),
		mppsClass: steps{
			create: func(_ context.Context, r *Request) (Response, error) {
				if string(r.Data) != string(data) {
					return Response{}, fmt.Errorf("got %q", r.Data)
				}
				return Response{SOPInstanceUID: "2.25.1"}, nil
			},
			set: func(context.Context, *Request) (Response, error) {
				return Response{}, Status{Code: NoSuchSOPInstance, Comment: "née", ErrorID: 7, Offending: []uint32{0x00400252}}
			},
		},
	}})
	c := dial(t, addr)
	defer release(t, c)
	if err := c.Echo(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{0, 5, 0} {
		n := 0
		for a, err := range c.Find(t.Context(), mwlClass, data) {
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Data) != 400 || a.Status != Pending {
				t.Fatal(a)
			}
			if n++; n == stop {
				break
			}
		}
		if want := max(stop, 300*(1-min(stop, 1))); n != want {
			t.Fatal(n, want)
		}
	}
	r, err := c.Create(t.Context(), mppsClass, "", data)
	if err != nil || r.SOPInstanceUID != "2.25.1" {
		t.Fatal(r, err)
	}
	_, err = c.Set(t.Context(), mppsClass, "2.25.1", data)
	status, _ := StatusOf(err)
	if !errors.Is(err, Status{Code: NoSuchSOPInstance}) || status.Comment != "n?e" || status.ErrorID != 7 || status.Offending[0] != 0x00400252 {
		t.Fatal(err)
	}
}

func BenchmarkAssociationEcho(b *testing.B) {
	_, addr := startServer(b, ServerConfig{})
	for b.Loop() {
		c := dial(b, addr)
		if err := c.Echo(b.Context()); err != nil {
			b.Fatal(err)
		}
		release(b, c)
	}
}

func findAll(tb testing.TB, c *Client) (n int) {
	for _, err := range c.Find(context.Background(), mwlClass, make([]byte, 300)) {
		if err != nil {
			tb.Error(err)
			return n
		}
		n++
	}
	return n
}

func BenchmarkAssociationFind(b *testing.B) {
	_, addr := startServer(b, ServerConfig{Services: map[string]any{mwlClass: matches(1)}})
	for b.Loop() {
		c := dial(b, addr)
		if findAll(b, c) != 1 {
			b.Fatal()
		}
		release(b, c)
	}
}

// BenchmarkEightClients measures associations with one find per second.
func BenchmarkEightClients(b *testing.B) {
	_, addr := startServer(b, ServerConfig{Services: map[string]any{mwlClass: matches(1)}})
	jobs := make(chan struct{})
	done := make(chan struct{})
	for range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range jobs {
				c := dial(b, addr)
				if findAll(b, c) != 1 {
					b.Error("no match")
				}
				release(b, c)
			}
		}()
	}
	start, n := time.Now(), 0
	for b.Loop() {
		jobs <- struct{}{}
		n++
	}
	close(jobs)
	for range 8 {
		<-done
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "associations/s")
}

func BenchmarkFind10000(b *testing.B) {
	_, addr := startServer(b, ServerConfig{Services: map[string]any{mwlClass: matches(10000)}})
	c := dial(b, addr)
	defer release(b, c)
	for b.Loop() {
		if findAll(b, c) != 10000 {
			b.Fatal()
		}
	}
}
