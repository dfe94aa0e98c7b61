package query_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

func TestEcho(t *testing.T) {
	if err := query.Echo(t.Context(), serve(t, nil)); err != nil {
		t.Error(err)
	}
}

// wantProblem checks that err is RH-307 at this step, and says these words.
func wantProblem(t *testing.T, err error, step query.Step, words ...string) {
	t.Helper()
	var e *query.Error
	if !errors.As(err, &e) {
		t.Fatalf("no query.Error: %v", err)
	}
	if e.Step != step {
		t.Errorf("step %q, want %q: %v", e.Step, step, err)
	}
	p := problem.Of(err)
	if p == nil || p.Code != problem.DICOMPeer {
		t.Fatalf("not RH-307: %v", err)
	}
	for _, w := range words {
		if !strings.Contains(p.Sentence(), w) {
			t.Errorf("%q does not say %q", p.Sentence(), w)
		}
	}
	if strings.Contains(p.Sentence(), "{") {
		t.Errorf("a place is not filled: %q", p.Sentence())
	}
}

func TestErrorsNameTheStep(t *testing.T) {
	target := serve(t, nil)

	wrong := target
	wrong.CalledAETitle = "NOSUCH"
	wantProblem(t, query.Echo(t.Context(), wrong), query.StepAssociate, "NOSUCH@"+target.Address, "not called NOSUCH")

	for _, err := range query.Worklist(t.Context(), target, query.Keys{}) {
		wantProblem(t, err, query.StepNegotiate, "not this service")
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := query.Target{CalledAETitle: "PEER", Address: ln.Addr().String()}
	silent := closed
	_ = ln.Close()
	wantProblem(t, query.Echo(t.Context(), closed), query.StepConnect, "nothing listens there")

	if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	silent.Address, silent.Timeouts.Associate = ln.Addr().String(), 10*time.Millisecond
	wantProblem(t, query.Echo(t.Context(), silent), query.StepAssociate, "no answer in time")
}

func TestRejectedCaller(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := dimse.NewServer(dimse.ServerConfig{
		Authorize: func(context.Context, dimse.AssociateInfo) (dimse.Grant, *dimse.Reject) {
			return dimse.Grant{}, &dimse.Reject{Result: 1, Source: 1, Reason: 3}
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, ln) }()
	defer func() { cancel(); <-done }()
	err = query.Echo(t.Context(), query.Target{CalledAETitle: "PEER", CallingAETitle: "US", Address: ln.Addr().String()})
	wantProblem(t, err, query.StepAssociate, "does not know our AE title US")
}

// answer builds an answer of a worklist.
func answer(t *testing.T, r *dimse.Request, accession, name string) []byte {
	t.Helper()
	syntax, _ := dataset.SyntaxByUID(r.TransferSyntaxUID)
	item := dataset.NewBuilder(syntax, dataset.UTF8)
	item.Text(dataset.Modality, "DX").Text(dataset.ScheduledProcedureStepStartDate, "20261122").
		Text(dataset.ScheduledProcedureStepStartTime, "101500").Text(dataset.ScheduledProcedureStepID, accession+"-1").
		Text(dataset.ScheduledStationAETitle, "US").Text(dataset.ScheduledProcedureStepDescription, "Thorax")
	b := dataset.NewBuilder(syntax, dataset.UTF8)
	b.Charset().Text(dataset.AccessionNumber, accession).Text(dataset.PatientName, name).Text(dataset.PatientID, "4711").
		Text(dataset.StudyInstanceUID, "2.25.1").Text(dataset.RequestedProcedureID, accession).
		Text(dataset.PatientSpeciesDescription, "Canine").Seq(dataset.ScheduledProcedureStepSequence, item)
	data, err := b.Bytes()
	if err != nil {
		t.Error(err)
	}
	return data
}

func TestWorklist(t *testing.T) {
	var asked *dataset.Set
	target := serve(t, map[string]any{query.WorklistClassUID: finder(func(_ context.Context, r *dimse.Request, a *dimse.Answers) error {
		syntax, _ := dataset.SyntaxByUID(r.TransferSyntaxUID)
		set, err := dataset.Parse(bytes.Clone(r.Data), syntax, dataset.Limits{})
		if err != nil {
			return err
		}
		asked = set
		for _, accession := range []string{"1001", "1002"} {
			if err := a.Send(answer(t, r, accession, "Müller^Bella"), dimse.Pending); err != nil {
				return err
			}
		}
		return nil
	})})
	for _, syntaxes := range [][]string{nil, {dataset.ImplicitLE.UID()}} {
		target.TransferSyntaxes = syntaxes
		var got []*query.Entry
		keys := query.Keys{Modality: `DX\CR`, Date: "20261122-", PatientName: "Müller*", Extra: []query.Key{{Tag: dataset.PatientAge}}}
		for e, err := range query.Worklist(t.Context(), target, keys) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if len(got) != 2 || got[1].AccessionNumber != "1002" {
			t.Fatalf("%d entries", len(got))
		}
		e := got[0]
		if e.PatientName != "Müller^Bella" || e.Owner() != "Müller" || e.Patient() != "Bella" || e.Modality != "DX" ||
			e.StartDate != "20261122" || e.ScheduledProcedureStepID != "1001-1" || e.PatientSpecies != "Canine" ||
			e.StationAETitle != "US" || !e.Set.Has(dataset.PatientID) {
			t.Errorf("%+v", e)
		}
		cs, step := asked.Charset(), asked.Item(dataset.ScheduledProcedureStepSequence)
		if v := asked.Text(dataset.PatientName, cs); v != "Müller*" {
			t.Errorf("name key %q", v)
		}
		if v := step.Strings(dataset.Modality); len(v) != 2 || v[1] != "CR" {
			t.Errorf("modality key %q", v)
		}
		if v := step.String(dataset.ScheduledProcedureStepStartDate); v != "20261122-" {
			t.Errorf("date key %q", v)
		}
		if !asked.Has(dataset.PatientAge) || !asked.Has(dataset.ResponsiblePerson) || !step.Has(dataset.ScheduledProtocolCodeSequence) {
			t.Error("a return key is missing")
		}
	}
}

func TestWorklistLeftEarly(t *testing.T) {
	ended := make(chan error, 1)
	target := serve(t, map[string]any{query.WorklistClassUID: finder(func(ctx context.Context, r *dimse.Request, a *dimse.Answers) error {
		for ctx.Err() == nil {
			if err := a.Send(answer(t, r, "1001", "Müller^Bella"), dimse.Pending); err != nil {
				break
			}
		}
		ended <- context.Cause(ctx)
		return context.Cause(ctx)
	})})
	for _, err := range query.Worklist(t.Context(), target, query.Keys{}) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := <-ended; !errors.Is(err, dimse.ErrCancelled) {
		t.Errorf("the query ended by %v", err)
	}
}

func TestWorklistRefused(t *testing.T) {
	target := serve(t, map[string]any{query.WorklistClassUID: finder(func(_ context.Context, r *dimse.Request, a *dimse.Answers) error {
		if err := a.Send(answer(t, r, "1001", "Müller^Bella"), dimse.Pending); err != nil {
			return err
		}
		return dimse.Status{Code: dimse.OutOfResources, Comment: "too many"}
	})})
	n := 0
	var last error
	for e, err := range query.Worklist(t.Context(), target, query.Keys{}) {
		if last = err; e != nil {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d entries", n)
	}
	wantProblem(t, last, query.StepFind, "A700", "too many")
	if s, ok := dimse.StatusOf(last); !ok || s.Code != dimse.OutOfResources {
		t.Errorf("no status in %v", last)
	}
}

func TestWorklistGarbage(t *testing.T) {
	target := serve(t, map[string]any{query.WorklistClassUID: finder(func(_ context.Context, _ *dimse.Request, a *dimse.Answers) error {
		return a.Send([]byte("no data set!"), dimse.Pending)
	})})
	for e, err := range query.Worklist(t.Context(), target, query.Keys{}) {
		if e != nil {
			t.Error("an entry of garbage")
		}
		wantProblem(t, err, query.StepAnswer, "cannot be read")
	}
}

func TestBadKeys(t *testing.T) {
	target := serve(t, map[string]any{query.WorklistClassUID: finder(func(context.Context, *dimse.Request, *dimse.Answers) error { return nil })})
	for name, k := range map[string]query.Keys{
		"sequence": {Extra: []query.Key{{Tag: dataset.ReferencedStudySequence, Value: "x"}}},
		"binary":   {Extra: []query.Key{{Tag: dataset.PregnancyStatus, Value: "1"}}},
		"control":  {PatientName: "a\x1bb"},
		"UTF-8":    {PatientName: "a\xffb"},
		"long":     {PatientName: strings.Repeat("a", 9000)},
	} {
		n := 0
		for _, err := range query.Worklist(t.Context(), target, k) {
			n++
			if !errors.As(err, new(*query.KeyError)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d turns", name, n)
		}
	}
}

func TestCheckStudy(t *testing.T) {
	var asked []string
	target := serve(t, map[string]any{query.StudyRootClassUID: finder(func(_ context.Context, r *dimse.Request, a *dimse.Answers) error {
		syntax, _ := dataset.SyntaxByUID(r.TransferSyntaxUID)
		set, err := dataset.Parse(r.Data, syntax, dataset.Limits{})
		if err != nil {
			return err
		}
		if set.String(dataset.QueryRetrieveLevel) != "STUDY" {
			t.Error("not at STUDY level")
		}
		asked = append(asked, set.String(dataset.StudyInstanceUID)+"/"+set.String(dataset.AccessionNumber)+"/"+set.String(dataset.PatientID))
		if set.String(dataset.StudyInstanceUID) != "" {
			return nil
		}
		for _, accession := range []string{"2002", "1001"} { // an archive that ignores the key
			b := dataset.NewBuilder(syntax, dataset.Latin1)
			b.Charset().Text(dataset.AccessionNumber, accession).Text(dataset.StudyInstanceUID, "1.2.3").
				Text(dataset.ModalitiesInStudy, `DX\SR`).Text(dataset.NumberOfStudyRelatedInstances, "12")
			data, err := b.Bytes()
			if err != nil {
				return err
			}
			if err := a.Send(data, dimse.Pending); err != nil {
				return err
			}
		}
		return nil
	})})
	k := query.StudyKeys{StudyInstanceUID: "2.25.1", AccessionNumber: "1001", PatientID: "4711", Modality: "DX"}
	found, by, err := query.CheckStudy(t.Context(), target, k)
	if err != nil {
		t.Fatal(err)
	}
	if by != query.ByAccessionNumber || len(found) != 1 || found[0].AccessionNumber != "1001" || found[0].Instances != 12 ||
		found[0].Series != -1 || len(found[0].Modalities) != 2 {
		t.Errorf("%s %+v", by, found)
	}
	if got := strings.Join(asked, " "); got != "2.25.1// /1001/" {
		t.Errorf("asked %q", got)
	}
	found, by, err = query.CheckStudy(t.Context(), target, query.StudyKeys{StudyInstanceUID: "2.25.1"})
	if err != nil || len(found) != 0 || by != "" {
		t.Errorf("%v %s %v", found, by, err)
	}
	n := 0
	for _, err := range query.Studies(t.Context(), target, query.StudyKeys{Date: "20261122"}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d studies", n)
	}
}
