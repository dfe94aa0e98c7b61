package relay_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	benchPosters = 64
	benchAgents  = 100
)

// BenchmarkIngest is the closed loop: 64 senders on keep-alive connections, 100 agents attached, bodies of 1 KB, one SQLite
// store with synchronous=FULL, all in one process. "op" is one webhook answered with 200.
func BenchmarkIngest(b *testing.B) {
	for _, bb := range []struct {
		name       string
		seal, acks bool
	}{{"plain", false, false}, {"plain+acks", false, true}, {"sealed", true, false}, {"sealed+acks", true, true}} {
		b.Run(bb.name, func(b *testing.B) { benchIngest(b, bb.seal, bb.acks) })
	}
}

func benchIngest(b *testing.B, seal, acks bool) {
	store := openSQLite(b, filepath.Join(b.TempDir(), "relay.db"))
	b.Cleanup(func() { _ = store.Close() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := ln.Addr().String()
	cfg := relay.Config{
		Store: store, Registry: store, PublicURL: "http://" + addr, SealAtIngest: seal, RatePerClinic: 1e9, Burst: 1e9, AcceptRate: 1e6,
		AckEvery: time.Hour,
	}
	if acks {
		cfg.AckEvery = 0
	}
	r, err := relay.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = r.Run(ctx) })
	defer done.Wait()
	defer srv.Close()
	defer cancel()

	var got atomic.Int64
	urls := make([]string, benchAgents)
	for i := range urls {
		urls[i] = benchAgent(b, r, addr, fmt.Sprint("clinic ", i), &got, &done)
	}
	body := strings.Repeat("x", 1024)
	var next atomic.Int64
	var mu sync.Mutex
	var times []time.Duration
	var posters sync.WaitGroup
	b.ResetTimer()
	for range benchPosters {
		posters.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			in := bufio.NewReader(c)
			var mine []time.Duration
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					break
				}
				start := time.Now()
				_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
					urls[n%benchAgents], len(body), body)
				if err := read200(in); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(start))
			}
			mu.Lock()
			times = append(times, mine...)
			mu.Unlock()
		})
	}
	posters.Wait()
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	eventually(b, "the agents have it all", func() bool { return got.Load() >= int64(b.N) })
}

// read200 reads one empty answer.
func read200(in *bufio.Reader) error {
	first := true
	for {
		l, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !strings.HasPrefix(string(l), "HTTP/1.1 200") {
			return errors.New(string(l))
		}
		first = false
		if len(l) == 2 {
			return nil
		}
	}
}

// benchAgent pairs a clinic and attaches an agent that acks as the real one does; it returns the path of its address.
func benchAgent(b *testing.B, r *relay.Relay, addr, name string, got *atomic.Int64, done *sync.WaitGroup) string {
	b.Helper()
	ctx := context.Background()
	if _, err := r.Admin().AddClinic(ctx, name); err != nil {
		b.Fatal(err)
	}
	code, _, err := r.Admin().PairingCode(ctx, name)
	if err != nil {
		b.Fatal(err)
	}
	_, key, _ := ed25519.GenerateKey(nil)
	_, pub, _, err := wire.NewSealingKey()
	if err != nil {
		b.Fatal(err)
	}
	inst := wire.InstanceID(wire.NewID())
	req, _ := json.Marshal(wire.PairRequest{Code: code, Identity: key.Public().(ed25519.PublicKey), Sealing: pub, InstanceID: inst})
	resp, err := http.Post("http://"+addr+wire.PairPath, "application/json", strings.NewReader(string(req)))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	raw, _ := io.ReadAll(resp.Body)
	pair, err := wire.DecodePairAnswer(raw)
	if err != nil {
		b.Fatal(err, string(raw))
	}
	d := websocket.Dialer{Subprotocols: wire.Protocols()}
	c, _, err := d.Dial("ws://"+addr+wire.TunnelPath, http.Header{"Authorization": {"Bearer " + pair.Token}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	read := func() wire.Frame {
		kind, m, err := c.ReadMessage()
		if err != nil {
			return wire.Frame{}
		}
		f, _ := wire.DecodeFrame(m, kind == websocket.TextMessage, wire.Limits{})
		return f
	}
	ch := read().Control.(*wire.Challenge)
	h := &wire.Hello{
		ClinicID: pair.ClinicID, InstanceID: inst, Run: "run", Time: time.Now(), Window: wire.Window{Msgs: wire.WindowMsgs, Bytes: wire.WindowBytes},
		Signature: ed25519.Sign(key, wire.HelloBytes(ch.Nonce, "127.0.0.1", pair.ClinicID, inst)),
	}
	send := func(f wire.Control) {
		m, _ := wire.EncodeControl(f)
		_ = c.WriteMessage(websocket.TextMessage, m)
	}
	send(h)
	epoch := read().Control.(*wire.Welcome).Epoch
	var seq atomic.Int64
	stop := make(chan struct{})
	done.Go(func() { // acks every 50 ms
		t := time.NewTicker(wire.AckDelay)
		defer t.Stop()
		last := int64(0)
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				if s := seq.Load(); s > last {
					last = s
					send(&wire.Ack{Seq: wire.Seq(s), Epoch: epoch})
				}
			}
		}
	})
	done.Go(func() {
		defer close(stop)
		for {
			f := read()
			if f.Event.Seq == 0 {
				return
			}
			seq.Store(int64(f.Event.Seq))
			got.Add(1)
		}
	})
	u := pair.URLs[0].URL
	return u[strings.Index(u, "/in/"):]
}
