package relaybench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
)

// setting is how the relay of a bench differs from a shipped one. It is the first
// line of the process's standard input.
type setting struct {
	Dir       string        `json:"dir"`
	Listen    string        `json:"listen"`
	Seal      bool          `json:"seal"`
	PingEvery time.Duration `json:"ping_every,omitempty"`
	AckEvery  time.Duration `json:"ack_every,omitempty"`
	TLSCert   string        `json:"tls_cert,omitempty"`
	TLSKey    string        `json:"tls_key,omitempty"`
	Rate      float64       `json:"rate,omitempty"`
}

// answer is a line of the process to its parent.
type answer struct {
	Address    string `json:"address,omitempty"`
	Goroutines int    `json:"goroutines,omitempty"`
	Live       uint64 `json:"live,omitempty"`    // bytes of objects, with garbage
	Stacks     uint64 `json:"stacks,omitempty"`  // bytes
	Spare      uint64 `json:"spare,omitempty"`   // bytes of the heap that are free and not given back
	Runtime    uint64 `json:"runtime,omitempty"` // bytes of the runtime's own, for the collector above all
	Error      string `json:"error,omitempty"`
}

const storeName = "sqlite:relay.db"

// Serve is the process of the relay: it hosts one as rayhound relay run does, until
// in ends, and answers questions about itself. The benches start it.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	if !lines.Scan() {
		return errors.New("relaybench: this command is started by the others")
	}
	var set setting
	if err := json.Unmarshal(lines.Bytes(), &set); err != nil {
		return fmt.Errorf("relaybench: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := json.NewEncoder(out)
	scheme := "http"
	if set.TLSCert != "" {
		scheme = "https"
	}
	go func() {
		defer cancel()
		question(lines, e)
	}()
	return relayd.Run(ctx, relayd.Config{
		Relay: relay.Config{
			PublicURL: scheme + "://127.0.0.1", Version: "bench", SealAtIngest: set.Seal, RatePerClinic: set.Rate, Burst: int(set.Rate),
			AcceptRate: set.Rate, PingEvery: set.PingEvery, AckEvery: set.AckEvery,
		},
		Listen: set.Listen, Store: storeName, DataDir: set.Dir, TLSCert: set.TLSCert, TLSKey: set.TLSKey,
		Log:     slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Getenv:  func(string) string { return "" },
		Started: func(public, _ net.Addr) { _ = e.Encode(answer{Address: public.String()}) },
	})
}

// question answers until the parent is gone. The first line of the relay itself is
// written before the parent asks anything.
func question(lines *bufio.Scanner, e *json.Encoder) {
	var profile *os.File
	for lines.Scan() {
		var a answer
		switch word, rest := cut(lines.Text()); word {
		case "stats":
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			a = answer{
				Goroutines: runtime.NumGoroutine(), Live: m.HeapAlloc, Stacks: m.StackInuse, Spare: m.HeapSys - m.HeapReleased - m.HeapAlloc,
				Runtime: m.GCSys + m.MSpanSys + m.MCacheSys + m.OtherSys + m.BuckHashSys,
			}
		case "heap":
			f, err := os.Create(rest)
			if err == nil {
				runtime.GC()
				err = errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
			}
			if err != nil {
				a.Error = err.Error()
			}
		case "profile":
			f, err := os.Create(rest)
			if err == nil {
				err = pprof.StartCPUProfile(f)
			}
			if err != nil {
				a.Error = err.Error()
			}
			profile = f
		case "end-profile":
			pprof.StopCPUProfile()
			_ = profile.Close() // a measurement's by-product
		}
		if e.Encode(a) != nil {
			return
		}
	}
}
