package mpps_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
)

// machine is a configured caller.
type machine struct {
	name    string
	lenient bool
	charset string
}

func (m machine) MachineName() string { return m.name }
func (m machine) MPPSLenient() bool   { return m.lenient }
func (m machine) MPPSCharset() string { return m.charset }

// bench is a service over a store in memory, and one machine that speaks to it.
type bench struct {
	*testing.T
	store   *memory
	service *mpps.Service
	machine machine
	seen    []mpps.Outcome
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, store: newMemory(), machine: machine{name: "X-ray room 1"}}
	b.service = mpps.NewService(mpps.Config{
		Store: b.store, Observe: func(o mpps.Outcome) { b.seen = append(b.seen, o) },
		Now: func() time.Time { return time.Date(2026, 11, 22, 10, 15, 0, 0, time.UTC) },
	})
	return b
}

func (b *bench) request(uid string, data []byte) *dimse.Request {
	return &dimse.Request{
		Peer: &dimse.Peer{
			CallingAETitle: "DR1", CalledAETitle: "RAYHOUND", Addr: netip.MustParseAddrPort("192.168.1.40:50000"),
			Tag: b.machine,
		},
		SOPClassUID: mpps.SOPClassUID, SOPInstanceUID: uid, TransferSyntaxUID: dataset.ExplicitLE.UID(), Data: data,
	}
}

// create sends an N-CREATE and returns the status and the answered UID.
func (b *bench) create(uid string, data []byte) (uint16, string, dimse.Status) {
	b.Helper()
	rs, err := b.service.Create(b.Context(), b.request(uid, data))
	s := b.status(err)
	return s.Code, rs.SOPInstanceUID, s
}

// set sends an N-SET.
func (b *bench) set(uid string, data []byte) (uint16, dimse.Status) {
	b.Helper()
	_, err := b.service.Set(b.Context(), b.request(uid, data))
	s := b.status(err)
	return s.Code, s
}

func (b *bench) status(err error) dimse.Status {
	b.Helper()
	if err == nil {
		return dimse.Status{}
	}
	var s dimse.Status
	if !errors.As(err, &s) {
		b.Fatalf("the error is no status: %v", err)
	}
	if len(s.Comment) > 64 {
		b.Errorf("error comment of %d characters", len(s.Comment))
	}
	return s
}

// begin is the data set of an ordinary N-CREATE.
func begin(t testing.TB, status string) []byte {
	return build(t, dataset.Latin1, func(b *dataset.Builder, item itemOf) {
		b.Charset().Text(dataset.PatientName, "Müller^Bella").Text(dataset.PatientID, "4711").
			Seq(dataset.ScheduledStepAttributesSequence, item(func(b *dataset.Builder) {
				b.Text(dataset.StudyInstanceUID, "2.25.77").Text(dataset.AccessionNumber, "1001")
			}))
		if status != "" {
			b.Raw(dataset.PerformedProcedureStepStatus, dataset.CS, []byte(status))
		}
	})
}

// end is the data set of an N-SET.
func end(t testing.TB, status string) []byte {
	return build(t, dataset.UTF8, func(b *dataset.Builder, item itemOf) {
		b.Charset()
		if status != "" {
			b.Raw(dataset.PerformedProcedureStepStatus, dataset.CS, []byte(status))
		}
		b.Seq(dataset.PerformedSeriesSequence, item(func(b *dataset.Builder) {
			b.Text(dataset.SeriesInstanceUID, "2.25.5").Text(dataset.OperatorsName, "Çelik^Ayşe")
		}))
	})
}

// D59, first half; P27: what kind of N-CREATE is taken.
func TestCreateStatus(t *testing.T) {
	for status, want := range map[string]uint16{
		"IN PROGRESS": dimse.Success, "in  progress": dimse.Success, " In Progress ": dimse.Success,
		"COMPLETED": dimse.InvalidAttributeValue, "DISCONTINUED": dimse.InvalidAttributeValue,
		"": dimse.InvalidAttributeValue, "STARTED": dimse.InvalidAttributeValue,
	} {
		b := newBench(t)
		code, uid, s := b.create("2.25.1", begin(t, status))
		if code != want || uid != "2.25.1" {
			t.Errorf("%q: status %04X, uid %q", status, code, uid)
		}
		if want == dimse.Success {
			if b.store.last("2.25.1") == nil {
				t.Errorf("%q: nothing stored", status)
			}
			continue
		}
		if !slices.Equal(s.Offending, []uint32{0x00400252}) {
			t.Errorf("%q: offending %08X", status, s.Offending)
		}
		if len(b.store.refused) != 1 || b.store.refused[0].report.PatientID != "4711" || b.store.refused[0].reason == "" {
			t.Errorf("%q: the refused report was not kept: %+v", status, b.store.refused)
		}
		if b.store.last("2.25.1") != nil {
			t.Errorf("%q: stored as a step", status)
		}
	}
}

func TestCreateLenient(t *testing.T) {
	for status, want := range map[string]string{
		"COMPLETED": mpps.Completed, "DISCONTINUED": mpps.Discontinued, "": "", "FINISHED": "",
	} {
		b := newBench(t)
		b.machine.lenient = true
		if code, _, _ := b.create("2.25.1", begin(t, status)); code != dimse.Success {
			t.Errorf("%q: status %04X", status, code)
			continue
		}
		r := b.store.last("2.25.1")
		if r.Status != want || !strings.Contains(strings.Join(r.Notes, ";"), "other than IN PROGRESS") {
			t.Errorf("%q: %q, %q", status, r.Status, r.Notes)
		}
	}
}

// D59: duplicate UID; no UID.
func TestCreateTwice(t *testing.T) {
	b := newBench(t)
	b.create("2.25.1", begin(t, "IN PROGRESS"))
	first := b.store.last("2.25.1")
	if code, _, _ := b.create("2.25.1", begin(t, "IN PROGRESS")); code != dimse.DuplicateSOPInstance {
		t.Errorf("status %04X", code)
	}
	if b.store.last("2.25.1") != first || len(b.store.refused) != 0 {
		t.Error("the duplicate changed something")
	}
}

func TestCreateWithoutUID(t *testing.T) {
	b := newBench(t)
	code, uid, _ := b.create("", begin(t, "IN PROGRESS"))
	if code != dimse.Success || !dataset.ValidUID(uid) || !strings.HasPrefix(uid, "2.25.") {
		t.Fatalf("status %04X, uid %q", code, uid)
	}
	if r := b.store.last(uid); r == nil || !r.UIDMinted {
		t.Errorf("%+v", r)
	}
	if code, _ := b.set(uid, end(t, "COMPLETED")); code != dimse.Success {
		t.Errorf("N-SET under the new UID: %04X", code)
	}
}

func TestInvalidUID(t *testing.T) {
	b := newBench(t)
	for _, uid := range []string{"not a uid", "1.2.x", strings.Repeat("1.", 33)} {
		if code, _, _ := b.create(uid, begin(t, "IN PROGRESS")); code != dimse.InvalidSOPInstance {
			t.Errorf("%q: %04X", uid, code)
		}
	}
	if len(b.store.refused) != 3 {
		t.Errorf("%d kept", len(b.store.refused))
	}
	if code, uid, _ := b.create("2.25.1\x00", begin(t, "IN PROGRESS")); code != dimse.Success || uid != "2.25.1" {
		t.Errorf("padded: %04X %q", code, uid)
	}
}

// D60: N-SET for an unknown step, and after the final one.
func TestSetUnknown(t *testing.T) {
	b := newBench(t)
	if code, _ := b.set("2.25.404", end(t, "COMPLETED")); code != dimse.NoSuchSOPInstance {
		t.Errorf("status %04X", code)
	}
	if len(b.store.unknown) != 1 || b.store.unknown[0].Status != mpps.Completed {
		t.Error("the report was not kept among the unmatched arrivals")
	}
	if code, _ := b.set("", end(t, "COMPLETED")); code != dimse.NoSuchSOPInstance || len(b.store.refused) != 1 {
		t.Errorf("without a UID: status %04X, %d kept", code, len(b.store.refused))
	}
}

func TestSetAfterFinal(t *testing.T) {
	for _, final := range []string{"COMPLETED", "DISCONTINUED"} {
		b := newBench(t)
		b.create("2.25.1", begin(t, "IN PROGRESS"))
		if code, _ := b.set("2.25.1", end(t, final)); code != dimse.Success {
			t.Fatalf("%s: %04X", final, code)
		}
		for _, late := range []string{"COMPLETED", "DISCONTINUED", "IN PROGRESS", ""} {
			code, s := b.set("2.25.1", end(t, late))
			if code != dimse.ProcessingFailure || s.ErrorID != 0xA710 ||
				s.Comment != "Performed Procedure Step Object may no longer be updated" {
				t.Errorf("%q after %s: %+v", late, final, s)
			}
		}
	}
}

// D61: IN PROGRESS, or no status at all, is a legal N-SET.
func TestSetInBetween(t *testing.T) {
	b := newBench(t)
	b.create("2.25.1", begin(t, "IN PROGRESS"))
	for _, status := range []string{"", "IN PROGRESS", "COMPLETED"} {
		if code, _ := b.set("2.25.1", end(t, status)); code != dimse.Success {
			t.Fatalf("%q: %04X", status, code)
		}
		r := b.store.last("2.25.1")
		if r.Status != status || len(r.Series) != 1 || r.PatientID != "" {
			t.Errorf("%q: %+v", status, r)
		}
	}
	if code, s := b.set("2.25.1", end(t, "NEARLY DONE")); code != dimse.InvalidAttributeValue || len(s.Offending) != 1 {
		t.Errorf("an unknown status: %04X", code)
	}
}

// D62, D63, P29: what is missing is noted, never refused.
func TestMissingAttributes(t *testing.T) {
	b := newBench(t)
	data := build(t, 0, func(b *dataset.Builder, _ itemOf) { b.Text(dataset.PerformedProcedureStepStatus, "IN PROGRESS") })
	if code, _, _ := b.create("2.25.1", data); code != dimse.Success {
		t.Fatalf("%04X", code)
	}
	notes := strings.Join(b.store.last("2.25.1").Notes, "\n")
	for _, want := range []string{
		"(0008,0060) Modality", "(0040,0253) PerformedProcedureStepID", "(0040,0244) PerformedProcedureStepStartDate",
		"without a reference to a scheduled step",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note about %s in:\n%s", want, notes)
		}
	}
	data = build(t, 0, func(b *dataset.Builder, _ itemOf) {
		b.Text(dataset.PerformedProcedureStepStatus, "COMPLETED").Seq(dataset.PerformedSeriesSequence).
			Text(dataset.PatientName, "Late^Bella")
	})
	if code, _ := b.set("2.25.1", data); code != dimse.Success {
		t.Fatalf("%04X", code)
	}
	r := b.store.last("2.25.1")
	if r.PatientName != "Late^Bella" || !slices.Contains(r.Notes, "ends without a performed series") {
		t.Errorf("%+v", r)
	}
}

// D69: the character set changes between N-CREATE and N-SET.
func TestCharsetChanges(t *testing.T) {
	b := newBench(t)
	b.create("2.25.1", begin(t, "IN PROGRESS"))
	if got := b.store.last("2.25.1").PatientName; got != "Müller^Bella" {
		t.Errorf("%q", got)
	}
	b.set("2.25.1", end(t, "COMPLETED"))
	if got := b.store.last("2.25.1").Series[0].Operator; got != "Çelik^Ayşe" {
		t.Errorf("%q", got)
	}
}

// D70: disk reserve reached, and success after space returns.
func TestNoSpace(t *testing.T) {
	b := newBench(t)
	b.store.fail = mpps.ErrNoSpace
	if code, _, _ := b.create("2.25.1", begin(t, "IN PROGRESS")); code != dimse.ResourceLimitation {
		t.Errorf("%04X", code)
	}
	if code, _, _ := b.create("2.25.1", begin(t, "COMPLETED")); code != dimse.ResourceLimitation {
		t.Errorf("a refusal that could not be kept: %04X", code)
	}
	b.store.fail = nil
	if code, _, _ := b.create("2.25.1", begin(t, "IN PROGRESS")); code != dimse.Success {
		t.Errorf("%04X", code)
	}
}

func TestStoreFails(t *testing.T) {
	b := newBench(t)
	b.store.fail = errors.New("database is locked by Bella")
	code, _, s := b.create("2.25.1", begin(t, "IN PROGRESS"))
	if code != dimse.ProcessingFailure || s.ErrorID != 0 || strings.Contains(s.Comment, "Bella") {
		t.Errorf("%+v", s)
	}
}

func TestUndecodable(t *testing.T) {
	b := newBench(t)
	if code, _, _ := b.create("2.25.1", []byte("no data set")); code != dimse.ProcessingFailure {
		t.Errorf("N-CREATE: %04X", code)
	}
	if code, _ := b.set("2.25.1", []byte("no data set")); code != dimse.ProcessingFailure {
		t.Errorf("N-SET: %04X", code)
	}
	if len(b.store.refused) != 2 || string(b.store.refused[0].report.Raw) != "no data set" {
		t.Fatalf("raw bytes not kept: %+v", b.store.refused)
	}
	if got := b.store.refused[1].report; got.Operation != mpps.NSet || got.Machine != "X-ray room 1" ||
		got.CallingAETitle != "DR1" || got.Address != "192.168.1.40:50000" {
		t.Errorf("%+v", got)
	}
}

// A report arrives whole and the console hangs up at once: it is stored.
func TestStoredAlthoughTheConsoleIsGone(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	checked := &contextStore{memory: b.store}
	service := mpps.NewService(mpps.Config{Store: checked})
	if _, err := service.Create(ctx, b.request("2.25.1", begin(t, "IN PROGRESS"))); err != nil || checked.err != nil {
		t.Errorf("%v, context %v", err, checked.err)
	}
}

type contextStore struct {
	*memory
	err error
}

func (s *contextStore) Create(ctx context.Context, r *mpps.Report) error {
	s.err = ctx.Err()
	return s.memory.Create(ctx, r)
}

// The report must not share memory with the request.
func TestReportOutlivesTheRequest(t *testing.T) {
	b := newBench(t)
	data := begin(t, "IN PROGRESS")
	want := string(data)
	b.create("2.25.1", data)
	clear(data)
	if r := b.store.last("2.25.1"); string(r.Raw) != want || r.PatientID != "4711" {
		t.Error("the report changed with the request's buffer")
	}
}

func TestObserve(t *testing.T) {
	b := newBench(t)
	b.create("2.25.1", begin(t, "IN PROGRESS"))
	b.set("2.25.2", end(t, "COMPLETED"))
	if len(b.seen) != 2 || b.seen[0].Status != 0 || b.seen[0].Machine != "X-ray room 1" ||
		b.seen[1].Status != dimse.NoSuchSOPInstance || b.seen[1].Operation != mpps.NSet || b.seen[1].Reason == "" {
		t.Errorf("%+v", b.seen)
	}
}

// A caller that is not configured, without any Tag.
func TestUnknownCaller(t *testing.T) {
	b := newBench(t)
	rq := b.request("2.25.1", begin(t, "IN PROGRESS"))
	rq.Peer.Tag = nil
	if _, err := b.service.Create(t.Context(), rq); err != nil {
		t.Fatal(err)
	}
	if r := b.store.last("2.25.1"); r.Machine != "" || r.CallingAETitle != "DR1" {
		t.Errorf("%+v", r)
	}
}

func TestRefusalsAreTellable(t *testing.T) {
	for _, r := range mpps.Refusals() {
		if r.Comment == "" || len(r.Comment) > 64 || r.Reason == "" || r.Status == dimse.Success {
			t.Errorf("%+v", r)
		}
	}
}
