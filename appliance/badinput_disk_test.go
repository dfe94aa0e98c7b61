//go:build peers && linux

package appliance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// A disk that is really full, to the last byte, while the reserve was believed
// to be there: SQLite itself has to say so, in the middle of its work.
func TestPeersFullDisk(t *testing.T) {
	d := newWrongDay(t, provetsim.Config{})
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", 0, "size=24m"); errors.Is(err, syscall.EPERM) {
		t.Fatal("only root may mount a small disk; without the tag peers this test is not built")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, 0); err != nil {
			t.Error(err)
		}
	})
	d.app.freeSpace = func(string) (uint64, error) { return 100 << 30, nil }
	a, stop := d.start()
	t.Cleanup(stop) // before the disk is taken away
	begun := d.sim.CreateOrder(provetsim.NewOrder{})
	entry := d.offered(a, begun)

	ballast := filepath.Join(d.dir, "ballast")
	fill(t, ballast)
	var missed []int
	var err error
	for n := 0; err == nil; n++ { // SQLite's log has some room left of before
		if n == 100_000 {
			t.Fatal("the disk is never full")
		}
		id := 800_000 + n
		if err = a.Signal(t.Context(), strconv.Itoa(id), "create"); err == nil {
			missed = append(missed, id)
		}
	}
	if p := problem.Of(err); p == nil || p.Code != problem.DiskLow {
		t.Fatalf("the signal: %v", err)
	}
	if p := problem.Of(err); p != nil {
		clearSentence(t, p.Sentence(), p.Help(), d.dir)
	}
	var status *dicomsim.StatusError
	if _, err := d.machine(a).Perform(t.Context(), entry, dicomsim.Options{}); !errors.As(err, &status) || status.Status.Code != dimse.ResourceLimitation {
		t.Fatalf("a report that cannot be kept: %v", err)
	}
	if list, err := d.machine(a).Worklist(t.Context(), query.Keys{}); err != nil || len(list) != 1 {
		t.Errorf("the worklist goes on: %d entries, %v", len(list), err)
	}
	late := d.sim.CreateOrder(provetsim.NewOrder{})

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.throughIt(a, begun) // the machine sends it again
	d.throughIt(a, late)
	d.until("the signals that were acknowledged are worked off", func() bool {
		st, err := (api{a}).Status(t.Context())
		return err == nil && st.Hints == 0
	})
	t.Logf("%d signals fitted into the last of the disk", len(missed))
	if err := a.db.QuickCheck(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	a, stop = d.start()
	t.Cleanup(stop)
	d.throughIt(a, d.sim.CreateOrder(provetsim.NewOrder{}))
}

// fill writes a file until not one more byte fits on its disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		switch n, err := f.Write(make([]byte, size)); {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil:
			t.Fatal(fmt.Errorf("after %d bytes: %w", n, err))
		}
	}
}
