package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// worklistFileClass is the SOP class that DCMTK writes into worklist files.
const worklistFileClass = "1.2.276.0.7230010.3.1.0.1"

// others measures DCMTK's and Orthanc's worklist servers on the items of own.
func (c mwlCmd) others(ctx context.Context, b *bench, r *report, own target) error {
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	b.say("writing %d worklist files", c.Items)
	if err := worklistFiles(ctx, own, filepath.Join(dir, "MWL")); err != nil {
		return fmt.Errorf("worklist files: %w", err)
	}
	slow := c
	slow.Rounds, slow.For = 1, max(c.For, 2*time.Second) // a query takes half a second there
	for _, start := range []func(context.Context, string) (*peer, error){startDCMTK, startOrthanc} {
		p, err := start(ctx, dir)
		if errors.Is(err, exec.ErrNotFound) {
			r.note("Not measured: %v.", err)
			continue
		}
		if err != nil {
			return err
		}
		b.say("%s, %d items", p.name, c.Items)
		stop := peak(ctx, p.cmd.Process.Pid)
		rows, err := slow.measure(ctx, p.target, false)
		r.add(rows...)
		r.add(row{Subject: p.name, Measure: "RSS with children, highest", Value: stop() / megabyte, Unit: "MB"})
		_ = end(p.cmd) // ended by a signal
		if err != nil {
			return err
		}
	}
	return nil
}

// worklistFiles writes what own offers as worklist files, one for each item.
func worklistFiles(ctx context.Context, own target, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "lockfile"), nil, 0o600); err != nil {
		return err
	}
	n := 0
	for i := range rooms { // each room by its own title, so that the files name the right station
		_, err := own.associateFindRelease(ctx, roomTitle(i), identifier(usual), func(set []byte) error {
			n++
			return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.wl", n)), worklistFile(set), 0o600)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// worklistFile puts a preamble and the file meta information (PS3.10 7.1) before
// a data set in implicit VR.
func worklistFile(set []byte) []byte {
	meta := func(b []byte, t dataset.Tag, vr dataset.VR, v string) []byte {
		return dataset.AppendElement(b, dataset.ExplicitLE, t, vr, []byte(v))
	}
	var m []byte
	m = meta(m, dataset.FileMetaInformationVersion, dataset.OB, "\x00\x01")
	m = meta(m, dataset.MediaStorageSOPClassUID, dataset.UI, worklistFileClass)
	m = meta(m, dataset.MediaStorageSOPInstanceUID, dataset.UI, dataset.NewUID())
	m = meta(m, dataset.TransferSyntaxUID, dataset.UI, dataset.ImplicitLE.UID())
	m = meta(m, dataset.ImplementationClassUID, dataset.UI, "2.25.1")
	b := append(make([]byte, 128), "DICM"...)
	b = meta(b, 0x00020000, dataset.UL, string([]byte{byte(len(m)), byte(len(m) >> 8), 0, 0}))
	return append(append(b, m...), set...)
}

// peer is another worklist server that we started.
type peer struct {
	target
	cmd *exec.Cmd
}

// startDCMTK starts wlmscpfs on the folder above MWL.
func startDCMTK(ctx context.Context, dir string) (*peer, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	return startPeer(ctx, "wlmscpfs", "MWL", port, dir, "wlmscpfs", "-dhl", "-csk", "-dfr", "-dfp", dir, fmt.Sprint(port))
}

// startOrthanc starts Orthanc with its worklist plugin on the folder MWL.
func startOrthanc(ctx context.Context, dir string) (*peer, error) {
	const plugin = "/usr/share/orthanc/plugins/libModalityWorklists.so"
	if _, err := os.Stat(plugin); err != nil {
		return nil, fmt.Errorf("%s: %w", plugin, exec.ErrNotFound)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	web, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	db := filepath.Join(dir, "db")
	settings, err := json.Marshal(map[string]any{
		"Name": "MWL", "DicomAet": "MWL", "DicomPort": port, "HttpPort": web, "RemoteAccessAllowed": false, "AuthenticationEnabled": false,
		"StorageDirectory": db, "IndexDirectory": db, "Plugins": []string{plugin},
		"Worklists":            map[string]any{"Enable": true, "Database": filepath.Join(dir, "MWL"), "FilterIssuerAet": false, "LimitAnswers": 0},
		"DicomAlwaysAllowEcho": true, "DicomAlwaysAllowFind": true, "DicomAlwaysAllowFindWorklist": true, "DicomCheckCalledAet": false,
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "orthanc.json")
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(db, 0o700); err != nil {
		return nil, err
	}
	return startPeer(ctx, "Orthanc", "MWL", port, dir, "Orthanc", file)
}

// startPeer starts a server and waits for its port.
func startPeer(ctx context.Context, name, title string, port int, dir, program string, args ...string) (*peer, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "TCP_NODELAY=1")
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, log, log, 5*time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{target{name: name, title: title, address: fmt.Sprintf("127.0.0.1:%d", port)}, cmd}
	for range 300 {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", p.address)
		if err == nil {
			return p, conn.Close()
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), end(cmd))
		case <-time.After(50 * time.Millisecond):
		}
	}
	said, _ := os.ReadFile(log.Name())
	_ = end(cmd)
	return nil, fmt.Errorf("%s did not open its port; it said: %.500s", name, said)
}

// freePort finds a port that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return ln.Addr().(*net.TCPAddr).Port, ln.Close()
}
