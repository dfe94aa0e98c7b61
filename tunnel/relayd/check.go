package relayd

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// Finding is one line of Check.
type Finding struct {
	Name   string // "settings", "database", "disk" ...
	Result string // "ok", "warn" or "fail"
	Detail string
	Help   string // what to do, when it is not ok
}

const (
	// fsyncs is how often the disk is asked to commit.
	fsyncs = 100
	// slowDisk is the rate below which a small relay is noticeably slow.
	slowDisk = 100
	// endsSoon is when a certificate that is not renewed becomes a warning.
	endsSoon = 14 * 24 * time.Hour
)

// Check looks at what a relay needs, one thing after the other, and says what it
// means. It may run beside a running relay.
func Check(ctx context.Context, c Config) []Finding {
	var list []Finding
	list = append(list, c.checkStore(ctx), checkDisk(c.DataDir))
	if c.TLSCert != "" {
		list = append(list, c.checkCertificate())
	}
	return append(list, c.checkPublic(ctx))
}

func (c Config) checkStore(ctx context.Context) Finding {
	f := Finding{Name: "database", Result: "ok"}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	store, err := OpenStore(ctx, c.Store, c.DataDir, slog.New(slog.DiscardHandler))
	if err != nil {
		return Finding{"database", "fail", err.Error(), "Check store in relay.toml and the rights of the data folder."}
	}
	defer func() { _ = store.Close() }() // it was only read
	h, err := store.Health(ctx)
	if err != nil {
		return Finding{"database", "fail", err.Error(), "Check that the database server runs and that the disk has room."}
	}
	clinics, err := (&relay.Admin{Store: store, Registry: store}).ListClinics(ctx)
	if err != nil {
		return Finding{"database", "fail", err.Error(), "Check that the database server runs."}
	}
	waiting, connected := 0, 0
	for _, s := range clinics {
		waiting += s.Backlog
		if !s.ConnectedSince.IsZero() {
			connected++
		}
	}
	f.Detail = fmt.Sprintf("clinics: %d, connected: %d, events that wait: %d", len(clinics), connected, waiting)
	if h.DatabaseBytes > 0 {
		f.Detail += fmt.Sprintf(", %.1f MB", float64(h.DatabaseBytes)/(1<<20))
	}
	switch {
	case h.Full:
		f.Result, f.Help = "fail", "Free some space: webhooks are answered 503 until there is room."
	case h.DiskUsed >= 0.9:
		f.Result, f.Help = "warn", "Free some space: the relay reports itself not ready above 90 %."
	}
	return f
}

// checkDisk measures how often a second the disk makes a write durable, because
// that is what a single webhook waits for.
func checkDisk(dir string) Finding {
	file, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return Finding{"disk", "fail", err.Error(), "The relay must be able to write to its data folder."}
	}
	defer func() { _ = os.Remove(file.Name()) }() // a file of 400 kB may stay
	defer file.Close()
	block := make([]byte, 4096)
	took := make([]time.Duration, 0, fsyncs)
	began := time.Now()
	for range fsyncs {
		start := time.Now()
		if _, err := file.Write(block); err != nil {
			return Finding{"disk", "fail", err.Error(), "Free some space."}
		}
		if err := file.Sync(); err != nil {
			return Finding{"disk", "fail", err.Error(), "This file system cannot promise that data is safe; use a local disk."}
		}
		took = append(took, time.Since(start))
		if time.Since(began) > 5*time.Second {
			break
		}
	}
	slices.Sort(took)
	median := took[len(took)/2]
	rate := float64(time.Second) / float64(median)
	f := Finding{Name: "disk", Result: "ok", Detail: fmt.Sprintf("this disk commits %.0f times a second (median %s, worst %s); commits of webhooks that arrive together are joined",
		rate, median.Round(time.Microsecond), took[len(took)-1].Round(time.Microsecond))}
	if rate < slowDisk {
		f.Result, f.Help = "warn", "Enough for a few clinics; many want a disk with a write cache that survives a power cut."
	}
	return f
}

func (c Config) checkCertificate() Finding {
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return Finding{"certificate", "fail", err.Error(), "tls_cert and tls_key must be PEM files that belong together."}
	}
	left := time.Until(pair.Leaf.NotAfter)
	f := Finding{Name: "certificate", Result: "ok", Detail: "valid until " + pair.Leaf.NotAfter.Format(time.DateOnly)}
	switch {
	case left <= 0:
		f.Result, f.Help = "fail", "Renew it: neither Provet Cloud nor the clinics connect."
	case left < endsSoon:
		f.Result, f.Help = "warn", "Renew it. The relay reads the files again by itself."
	}
	return f
}

// checkPublic asks the relay under its public address, as others do.
func (c Config) checkPublic(ctx context.Context) Finding {
	const help = "Start the relay; check the name, the firewall, the proxy in front and the certificate."
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	address := strings.TrimSuffix(c.Relay.PublicURL, "/")
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/readyz", nil)
	if err != nil {
		return Finding{"public address", "fail", err.Error(), help}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := client.Do(q)
	if err != nil {
		return Finding{"public address", "fail", err.Error(), help}
	}
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 200))
	if err != nil {
		return Finding{"public address", "fail", err.Error(), help}
	}
	if a.StatusCode != http.StatusOK {
		return Finding{"public address", "fail", fmt.Sprintf("%s answers %d: %s", address, a.StatusCode, strings.TrimSpace(string(text))), help}
	}
	return Finding{"public address", "ok", address + " answers and is ready", ""}
}
