package sqlitestore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
)

// noSyncFolder tells the child of TestNothingIsAnsweredWithoutTheDisk where to work.
const noSyncFolder = "RAYHOUND_NO_SYNC_FOLDER"

// forbidSync makes every fsync and fdatasync of this process fail from now on, as on a
// disk that is gone. Writes go on, into the page cache.
func forbidSync() error {
	load := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	equal := func(nr uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: skip, K: nr}
	}
	program := []unix.SockFilter{
		load(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0), // the number of the system call
		equal(unix.SYS_FSYNC, 2),
		equal(unix.SYS_FDATASYNC, 1),
		load(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW),
		load(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(unix.EIO)),
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&p)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return errno
	}
	return nil
}

// noSyncChild stores an event, loses the disk, and tries another one.
func noSyncChild(t *testing.T, folder string) {
	ctx := t.Context()
	s, err := sqlitestore.Open(ctx, sqlitestore.Config{Path: filepath.Join(folder, "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	c, err := (&relay.Admin{Store: s, Registry: s}).AddClinic(ctx, "Riverside")
	if err != nil {
		t.Fatal(err)
	}
	add := func() (string, error) {
		seq, err := s.Append(ctx, c.ID, relay.Event{ReceivedAt: time.Now(), Kind: "test", Header: []byte("{}"), Body: []byte("x")})
		return fmt.Sprint(seq), err
	}
	if _, err := add(); err != nil {
		t.Fatal(err)
	}
	if err := forbidSync(); err != nil {
		fmt.Println("no filter:", err)
		os.Exit(0)
	}
	for range 3 {
		if seq, err := add(); err == nil {
			fmt.Println("stored without the disk:", seq)
			os.Exit(0)
		}
	}
	fmt.Println("refused, after one that is safe, for clinic", c.ID)
	os.Exit(0) // as after a power cut: nothing is closed
}

// A number is given out only after the disk has the event. Kill -9 cannot show it,
// because the page cache survives it: here the disk does not take anything any more.
func TestNothingIsAnsweredWithoutTheDisk(t *testing.T) {
	if folder := os.Getenv(noSyncFolder); folder != "" {
		noSyncChild(t, folder)
		return
	}
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNothingIsAnsweredWithoutTheDisk$", "-test.v")
	cmd.Env = append(os.Environ(), noSyncFolder+"="+folder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if strings.Contains(string(out), "no filter:") {
		t.Skipf("this kernel lets no process restrict itself: %s", out)
	}
	if !strings.Contains(string(out), "refused, after one that is safe") {
		t.Fatalf("an event was answered that the disk does not have:\n%s", out)
	}
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: filepath.Join(folder, "relay.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.ClinicByName(t.Context(), "Riverside")
	if err != nil {
		t.Fatal(err)
	}
	events, err := s.After(t.Context(), c.ID, 0, 10, 1<<20)
	if err != nil || len(events) == 0 {
		t.Errorf("the event that was answered is not there: %v %v", events, errors.Join(err))
	}
}
