package support

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/ui"
)

const (
	maxLog        = 4 << 20
	maxStacks     = 2 << 20
	ordersShown   = 1000
	messagesShown = 1000
	queriesShown  = 500
)

// Source answers what goes into the file. What it cannot answer is left out and
// named.
type Source interface {
	Status(ctx context.Context) (ui.Status, error)
	Problems(ctx context.Context, all bool) ([]problem.Problem, error)
	Orders(ctx context.Context, f ui.OrderFilter) ([]ui.Order, error)
	Outbox(ctx context.Context, f ui.OutboxFilter) ([]ui.Message, error)
	Machines(ctx context.Context) ([]ui.Machine, error)
	PendingMachines(ctx context.Context) ([]ui.PendingMachine, error)
	Queries(ctx context.Context, f ui.QueryFilter) ([]ui.Query, error)
	Secrets(ctx context.Context) ([]secret.Info, error)
}

// Config says what to put into a support file. Only Source must be set.
type Config struct {
	Source   Source
	Version  string
	Settings *config.File
	LogPath  string                                // newest log file
	DataDir  string                                // for its path and sizes
	Checks   []ui.Check                            // last result of the doctor
	DBCheck  func(context.Context) (string, error) // quick check, sizes, schema version; no rows
	Now      func() time.Time                      // nil: time.Now
}

// Write writes the zip to w. Parts that cannot be read become a line in
// errors.txt; the error returned is about writing.
func Write(ctx context.Context, w io.Writer, cfg Config) error {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	b := &bundle{cfg: cfg, zip: zip.NewWriter(w), hide: newHider()}
	for _, part := range []struct {
		name string
		make func(context.Context) ([]byte, error)
	}{
		{"summary.txt", b.summary},
		{"health.json", b.health},
		{"config.toml", b.settings},
		{"secrets.json", b.secrets},
		{"log.txt", b.log},
		{"tests.json", b.tests},
		{"connections.json", b.connections},
		{"outbox.json", b.outbox},
		{"orders.json", b.orders},
		{"dicom-associations.json", b.queries},
		{"db-check.txt", b.database},
		{"env.txt", b.environment},
		{"goroutines.txt", b.goroutines},
		{"sbom.json", b.modules},
	} {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("support: %w", err)
		}
		content, err := part.make(ctx)
		if err != nil {
			fmt.Fprintf(&b.errors, "%s: %s\n", part.name, errorWord(err))
			continue
		}
		if err := b.add(part.name, content); err != nil {
			return err
		}
	}
	if b.errors.Len() > 0 {
		if err := b.add("errors.txt", b.errors.Bytes()); err != nil {
			return err
		}
	}
	if err := b.zip.Close(); err != nil {
		return fmt.Errorf("support: %w", err)
	}
	return nil
}

type bundle struct {
	cfg    Config
	zip    *zip.Writer
	hide   hider
	errors bytes.Buffer
}

func (b *bundle) add(name string, content []byte) error {
	f, err := b.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: b.cfg.Now()})
	if err == nil {
		_, err = f.Write(content)
	}
	if err != nil {
		return fmt.Errorf("support: %s: %w", name, err)
	}
	return nil
}

// errorWord says that something failed without its text, which could hold
// anything.
func errorWord(err error) string {
	if p := problem.Of(err); p != nil {
		return string(p.Code)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "took too long"
	case errors.Is(err, errNothing):
		return "not available"
	}
	return fmt.Sprintf("failed (%T)", err)
}

var errNothing = errors.New("support: not available")

func indented(v any) ([]byte, error) {
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("support: %w", err)
	}
	return append(out, '\n'), nil
}
