//go:build peers

package mwl

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// run calls an independent program; one that is not installed fails the test.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("the peer tests need %s: %v", name, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TCP_NODELAY=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPeersDCMTK(t *testing.T) {
	o := dog(1)
	o.Content.Remarks = "line 1\nline 2"
	greek := dog(2)
	greek.Content.Patient.Name = "Μπέλλα"
	c := newClinic(t, machines(), o, greek)
	host, port, err := net.SplitHostPort(serve(t, c.service))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, syntax := range []string{"-xi", "-xe"} {
		args := []string{"-W", "-v", syntax, "-to", "5", "-ta", "10", "-td", "10", "-aet", "DR1", "-aec", "RAYHOUND", "-X", "-od", dir}
		for _, tag := range table {
			args = append(args, "-k", strings.Trim(tag.String(), "()"))
		}
		args = append(args, "-k", "ScheduledProcedureStepSequence[0].Modality=DX", "-k", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=DR1",
			"-k", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20261122", "-k", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime=000000-235959",
			"-k", "ScheduledProcedureStepSequence[0].ScheduledProcedureStepID", host, port)
		out := run(t, dir, "findscu", args...)
		if !strings.Contains(out, "Received Final Find Response (Success)") {
			t.Error(out)
		}
		files, err := filepath.Glob(filepath.Join(dir, "rsp*.dcm"))
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		for i, name := range files {
			comparePeers(t, name, []string{"Müller^Bella", "Müller^Μπέλλα"}[i], []string{"ISO_IR 100", "ISO_IR 192"}[i])
		}
	}
	out := run(t, dir, "findscu", "-W", "-v", "-aet", "DR1", "-aec", "RAYHOUND", "-k", "AccessionNumber=none", host, port)
	if strings.Contains(out, "Pending") {
		t.Error(out)
	}
	if r := c.records[len(c.records)-1]; r.Matches != 0 || len(r.Keys) == 0 || r.CallingAETitle != "DR1" {
		t.Errorf("%+v", r)
	}
}

// comparePeers reads an answer with dcmdump, with pydicom and with our walker.
func comparePeers(t *testing.T, name, patient, charset string) {
	t.Helper()
	dump := run(t, "", "dcmdump", "-q", "+U8", name)
	for _, want := range []string{"[" + patient + "]", "2.25.90000", "[OWNER]", "RFID", "448771007"} {
		if !strings.Contains(dump, want) {
			t.Errorf("dcmdump does not show %s:\n%s", want, dump)
		}
	}
	py := run(t, "", "/usr/bin/python3", "-c", `
import sys, pydicom
ds = pydicom.dcmread(sys.argv[1], force=True)
ds.decode()
print(ds.SpecificCharacterSet, ds.PatientName, ds.PatientSpeciesCodeSequence[0].CodeValue, ds.ScheduledProcedureStepSequence[0].Modality, len(ds))
`, name)
	if want := charset + " " + patient + " 448771007 DX "; !strings.HasPrefix(py, want) {
		t.Errorf("pydicom reads %q, want %q", py, want)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := dataset.ReadFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Set.Text(dataset.PatientName, f.Set.Charset()); got != patient {
		t.Errorf("our walker reads %q", got)
	}
}

const odilFind = `
import sys, odil
host, port, calling, called = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
R, P = odil.registry, odil.AssociationParameters.PresentationContext
mwl = '1.2.840.10008.5.1.4.31'
a = odil.Association()
a.set_peer_host(host); a.set_peer_port(port)
a.update_parameters().set_calling_ae_title(calling).set_called_ae_title(called) \
    .set_presentation_contexts([P(mwl, [R.ImplicitVRLittleEndian, R.ExplicitVRLittleEndian], P.Role.SCU)])
a.associate()
scu = odil.FindSCU(a); scu.set_affected_sop_class(mwl)
q, step = odil.DataSet(), odil.DataSet()
for k in ('AccessionNumber', 'PatientName', 'PatientID', 'PatientSpeciesDescription'): q.add(k)
for k in ('Modality', 'ScheduledProcedureStepStartDate', 'ScheduledProcedureStepStartTime'): step.add(k)
step.add('ScheduledStationAETitle', [calling.encode()])
q.add('ScheduledProcedureStepSequence', [step])
for d in scu.find(q):
    print(d.as_string('AccessionNumber')[0].decode(), d.as_string('PatientSpeciesDescription')[0].decode())
a.release()
`

func TestPeersOdil(t *testing.T) {
	c := newClinic(t, machines(), dog(1), dog(2))
	host, port, err := net.SplitHostPort(serve(t, c.service))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := run(t, "", "/usr/bin/python3", "-c", odilFind, host, port, "DR1", "RAYHOUND"), "1001 Canine\n1002 Canine\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
