package support

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/logging"
	"github.com/rayhound/rayhound/ui"
)

func (b *bundle) summary(ctx context.Context) ([]byte, error) {
	st, err := b.cfg.Source.Status(ctx)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "Rayhound %s, support file of %s\n", b.cfg.Version, b.cfg.Now().UTC().Format(time.RFC3339))
	fmt.Fprintf(&out, "started %s, ready %t, worst %s\n", st.StartedAt.UTC().Format(time.RFC3339), st.Ready, st.Worst)
	fmt.Fprintf(&out, "codes %s\n", strings.Join(st.Codes, " "))
	fmt.Fprintf(&out, "orders by state %v\nworklist %d, hints %d, unmatched %d, pending machines %d\n",
		st.OrdersByState, st.Worklist, st.Hints, st.Unmatched, st.Pending)
	fmt.Fprintf(&out, "last poll %s, last sweep %s, last backup %s\n", utc(st.LastPollAt), utc(st.LastSweepAt), utc(st.LastBackupAt))
	fmt.Fprintf(&out, "database %d bytes, free disk %d bytes, clock skew %s\n", st.DatabaseBytes, st.FreeDiskBytes, st.ClockSkew)
	for _, d := range st.Destinations {
		fmt.Fprintf(&out, "destination %s: paused %t, ready %d, leased %d, parked %d, oldest %s\n",
			d.Name, d.Paused, d.Ready, d.Leased, d.Parked, utc(d.OldestAt))
	}
	if len(st.HL7) > 0 {
		fmt.Fprintf(&out, "hl7 %s\n", strings.Join(st.HL7, " "))
	}
	for _, r := range st.RIS {
		fmt.Fprintf(&out, "ris %s: last message %s, last answer %s, failing %t, waiting %d, parked %d\n",
			r.Name, utc(r.LastMessageAt), utc(r.LastAnswerAt), r.Failing, r.Waiting, r.Parked)
	}
	return out.Bytes(), nil
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// settings are the settings without names and contacts.
func (b *bundle) settings(context.Context) ([]byte, error) {
	if b.cfg.Settings == nil {
		return nil, errNothing
	}
	f, err := config.Parse(b.cfg.Settings.TOML()) // a copy of its own
	if err != nil {
		return nil, err
	}
	f.Clinic.Name = logging.Removed
	f.Clinic.AccessionPrefix = presence(f.Clinic.AccessionPrefix)
	if f.Provet.ClientID != "" {
		f.Provet.ClientID = logging.Removed
	}
	for i := range f.Modalities {
		for k, v := range f.Modalities[i].FixedKeys {
			f.Modalities[i].FixedKeys[k] = presence(v)
		}
	}
	return f.TOML(), nil
}

func (b *bundle) secrets(ctx context.Context) ([]byte, error) {
	all, err := b.cfg.Source.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	return indented(all) // names and ages
}

func (b *bundle) log(context.Context) ([]byte, error) {
	if b.cfg.LogPath == "" {
		return nil, errNothing
	}
	tail, err := logging.Tail(b.cfg.LogPath, maxLog)
	if err != nil {
		return nil, err
	}
	return []byte(logging.Scrub(string(tail))), nil
}

// tests are the last results of the doctor.
func (b *bundle) tests(context.Context) ([]byte, error) {
	checks := make([]ui.Check, len(b.cfg.Checks))
	for i, c := range b.cfg.Checks {
		c.Detail = logging.Scrub(place(c.Detail))
		checks[i] = c
	}
	return indented(checks)
}

func (b *bundle) database(ctx context.Context) ([]byte, error) {
	if b.cfg.DBCheck == nil {
		return nil, errNothing
	}
	text, err := b.cfg.DBCheck(ctx)
	if err != nil {
		return nil, err
	}
	return []byte(text + "\n"), nil
}

func (b *bundle) environment(context.Context) ([]byte, error) {
	var out bytes.Buffer
	zone, offset := b.cfg.Now().Zone()
	fmt.Fprintf(&out, "system %s/%s, %s, %d processors\n", runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU())
	fmt.Fprintf(&out, "time zone %s (%+d s), locale %q\n", zone, offset, os.Getenv("LANG"))
	fmt.Fprintf(&out, "data folder %s\n", place(b.cfg.DataDir))
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	fmt.Fprintf(&out, "memory %d bytes from the system, %d in use, %d goroutines\n", mem.Sys, mem.HeapInuse, runtime.NumGoroutine())
	if b.cfg.DataDir == "" {
		return out.Bytes(), nil
	}
	for _, name := range []string{"rayhound.db", "rayhound.db-wal", "secrets.sealed", "secrets.key", "control.token"} {
		if info, err := os.Stat(filepath.Join(b.cfg.DataDir, name)); err == nil {
			fmt.Fprintf(&out, "%s: %d bytes, %s, changed %s\n", name, info.Size(), info.Mode(), utc(info.ModTime()))
		}
	}
	return out.Bytes(), nil
}

// goroutines are stacks without arguments.
func (b *bundle) goroutines(context.Context) ([]byte, error) {
	var out bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&out, 1); err != nil {
		return nil, fmt.Errorf("support: %w", err)
	}
	out.Truncate(min(out.Len(), maxStacks))
	return out.Bytes(), nil
}

// modules are the parts the program was built of.
func (b *bundle) modules(context.Context) ([]byte, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, errNothing
	}
	type module struct {
		Path    string `json:"path"`
		Version string `json:"version"`
		Sum     string `json:"sum,omitempty"`
	}
	all := []module{{Path: info.Main.Path, Version: b.cfg.Version}}
	for _, m := range info.Deps {
		all = append(all, module{Path: m.Path, Version: m.Version, Sum: m.Sum})
	}
	return indented(map[string]any{"go": info.GoVersion, "modules": all})
}
