//go:build peers

package appliance_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// These tests bring orders through the whole appliance with independent DICOM
// programs as the machines. A program that is missing is a failure: who runs
// with the tag wants to know.

// peerScripts is where the machines of other programs are written down.
const peerScripts = "../drivers/dicom/testdata/peers"

// peer runs an independent program to its end and returns what it printed.
func peer(t *testing.T, env []string, name string, args ...string) (out string, err error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: %v", name, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// mustPeer is peer for a program that has to succeed.
func mustPeer(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, err := peer(t, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// nodeModules says where dcmjs-dimse is, and installs it when
// RAYHOUND_NODE_PATH does not say.
func nodeModules(t *testing.T) []string {
	t.Helper()
	path := os.Getenv("RAYHOUND_NODE_PATH")
	if path == "" {
		dir := t.TempDir()
		mustPeer(t, nil, "npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", dir, "dcmjs-dimse@0.3.3")
		path = filepath.Join(dir, "node_modules")
	}
	return []string{"NODE_PATH=" + path}
}

// peerPractice is a clinic with an order that waits at the X-ray machine.
func peerPractice(t *testing.T) (p *practice, id int, o *order.Order, host, port string) {
	t.Helper()
	p = open(t, func(c provetsim.Config) provetsim.Config { return c }, setup{})
	id = p.request("X-ray")
	p.listed(xray, id)
	o = p.becomes(id, order.Scheduled)
	host, port, err := net.SplitHostPort(p.worklist)
	p.ok(err)
	return p, id, o, host, port
}

// peerDay checks what a machine of another program printed about its day, and
// that the order it imaged is done in Provet Cloud.
func (p *practice) peerDay(id int, before *order.Order, got string, want ...string) {
	p.t.Helper()
	if g := strings.TrimSpace(got); g != strings.Join(want, "\n") {
		p.t.Errorf("it printed:\n%s", g)
	}
	o := p.becomes(id, order.Completed)
	if o.ClosedBy != order.MPPS {
		p.t.Errorf("closed by %s", o.ClosedBy)
	}
	p.same(before, o)
	p.upstream(id, "done")
	p.unlisted(xray, o)
	for _, code := range []problem.Code{problem.ArrivalUnmatched, problem.OrderPatientDiffers, problem.OrderConflict} {
		if lines := p.board(code, ""); len(lines) > 0 {
			p.t.Errorf("raised %q", lines)
		}
	}
}

func TestPeersOdilDay(t *testing.T) {
	p, id, o, host, port := peerPractice(t)
	out := mustPeer(t, nil, "/usr/bin/python3", filepath.Join(peerScripts, "odil_day.py"), host, port, xray, "RAYHOUND", o.AccessionNumber)
	p.peerDay(id, o, out, "C-ECHO ok", "C-FIND 1", "modality DX", "species Dog (Canine - Domestic)", "N-CREATE 0000", "N-SET 0000")
}

func TestPeersDcmjsDay(t *testing.T) {
	p, id, o, host, port := peerPractice(t)
	env := nodeModules(t)
	script := filepath.Join(peerScripts, "dcmjs_day.js")
	out := mustPeer(t, env, "node", script, host, port, xray, "RAYHOUND", o.AccessionNumber)
	p.peerDay(id, o, out, "C-ECHO 0000", "C-FIND 1", "modality DX", "species Dog (Canine - Domestic)", "N-CREATE 0000", "N-SET 0000")
	if d, _ := p.order(id); !strings.Contains(d.ClosedText, "1 series, 1 image") {
		t.Errorf("closed with %q", d.ClosedText)
	}
	if out, err := peer(t, env, "node", script, host, port, "STRANGER", "RAYHOUND", o.AccessionNumber); err == nil || !strings.Contains(out, "rejected 1,1,3") {
		t.Errorf("a stranger: %v\n%s", err, out)
	}
}

func TestPeersDCMTKDay(t *testing.T) {
	p, id, o, host, port := peerPractice(t)
	env := []string{"TCP_NODELAY=1"}
	mustPeer(t, env, "echoscu", "-to", "10", "-aet", xray, "-aec", "RAYHOUND", host, port)
	if out, err := peer(t, env, "echoscu", "-to", "10", "-aet", "STRANGER", "-aec", "RAYHOUND", host, port); err == nil || !strings.Contains(out, "Calling AE Title Not Recognized") {
		t.Errorf("a stranger: %v\n%s", err, out)
	}
	contains(t, p.raised(problem.MachineUnknown, ""), "STRANGER")

	find := func(title string, keys ...string) []string {
		t.Helper()
		dir := t.TempDir()
		args := []string{"-W", "-to", "10", "-ta", "20", "-td", "20", "-aet", title, "-aec", "RAYHOUND", "-X", "-od", dir}
		for _, k := range append([]string{
			"AccessionNumber", "PatientName", "PatientID", "PatientSpeciesDescription", "PatientBreedDescription", "PatientSexNeutered",
			"ResponsiblePerson", "StudyInstanceUID", "ScheduledProcedureStepSequence[0].Modality", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle",
		}, keys...) {
			args = append(args, "-k", k)
		}
		mustPeer(t, env, "findscu", append(args, host, port)...)
		files, err := filepath.Glob(filepath.Join(dir, "rsp*.dcm"))
		p.ok(err)
		var dumps []string
		for _, f := range files {
			dumps = append(dumps, mustPeer(t, nil, "dcmdump", "-q", "+U8", f))
		}
		return dumps
	}
	now := time.Now().In(p.settings.Clinic.Location())
	aroundToday := now.AddDate(0, 0, -1).Format("20060102") + "-" + now.AddDate(0, 0, 1).Format("20060102")
	for _, keys := range [][]string{
		nil,
		{"AccessionNumber=" + o.AccessionNumber},
		{"PatientName=koivu-leht*", "ScheduledProcedureStepSequence[0].Modality=DX", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=" + xray},
		{"ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=" + aroundToday},
	} {
		dumps := find(xray, keys...)
		if len(dumps) != 1 {
			t.Fatalf("%d answers to %q", len(dumps), keys)
		}
		contains(t, dumps[0], "["+o.AccessionNumber+"]", "[Koivu-Lehtimäki^Bello]", "["+strconv.Itoa(bello)+"]", "[Dog (Canine - Domestic)]",
			"[Finnish Lapphund]", "[ALTERED]", "Aino", "["+o.StudyInstanceUID+"]", "[DX]", "["+xray+"]")
	}
	if dumps := find(xray, "PatientName=NOBODY*"); len(dumps) != 0 {
		t.Errorf("%d answers for nobody", len(dumps))
	}
	if dumps := find(ct); len(dumps) != 0 {
		t.Errorf("%d answers for the CT", len(dumps))
	}

	p.sim.UpdateOrder(id, func(x *provetsim.Order) { x.Modality = "CT" })
	p.listed(ct, id)
	if dumps := find(ct); len(dumps) != 1 || !strings.Contains(dumps[0], "["+o.StudyInstanceUID+"]") {
		t.Errorf("the CT gets %d answers", len(dumps))
	}
	p.sim.DeleteOrder(id)
	p.becomes(id, order.Cancelled)
	if dumps := find(ct); len(dumps) != 0 {
		t.Errorf("a deleted order is answered %d times", len(dumps))
	}
}
