package dicomsim_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// hospital is a worklist and an MPPS service on loopback. It is called
// RAYHOUND and knows the machine DR1.
type hospital struct {
	address string
	server  *dimse.Server

	mu      sync.Mutex
	list    []string // accession numbers on the worklist
	reports []*mpps.Report
	refused []*mpps.Report
}

func open(t *testing.T) *hospital {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hospital{address: ln.Addr().String(), list: []string{"1001", "1002"}}
	h.server = dimse.NewServer(dimse.ServerConfig{
		Authorize: func(_ context.Context, info dimse.AssociateInfo) (dimse.Grant, *dimse.Reject) {
			switch {
			case info.CalledAETitle != "RAYHOUND":
				return dimse.Grant{}, &ul.RejectCalledAETitle
			case info.CallingAETitle != "DR1":
				return dimse.Grant{}, &ul.RejectCallingAETitle
			}
			return dimse.Grant{Tag: dr1{}, Key: "DR1"}, nil
		},
		Services: map[string]any{
			query.WorklistClassUID: h,
			mpps.SOPClassUID:       mpps.NewService(mpps.Config{Store: h}),
		},
		Limits: dimse.Limits{
			Limits: ul.Limits{
				ARTIM: 500 * time.Millisecond, Idle: 500 * time.Millisecond, PDU: 500 * time.Millisecond,
				Message: 500 * time.Millisecond, Write: 500 * time.Millisecond, Close: 200 * time.Millisecond,
			},
			ShutdownGrace: 100 * time.Millisecond, RefusedPerSecond: 1000,
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return h
}

// dr1 is what the server knows about the machine.
type dr1 struct{}

func (dr1) MachineName() string { return "X-ray room 1" }
func (dr1) MPPSLenient() bool   { return false }
func (dr1) MPPSCharset() string { return "" }

// Find answers with the whole list.
func (h *hospital) Find(_ context.Context, r *dimse.Request, a *dimse.Answers) error {
	syntax, _ := dataset.SyntaxByUID(r.TransferSyntaxUID)
	if _, err := dataset.Parse(r.Data, syntax, dataset.Limits{}); err != nil {
		return dimse.Status{Code: dimse.IdentifierMismatch}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, accession := range h.list {
		item := dataset.NewBuilder(syntax, dataset.UTF8).Text(dataset.Modality, "DX").
			Text(dataset.ScheduledProcedureStepID, accession+"-1").Text(dataset.ScheduledProcedureStepDescription, "Thorax")
		data, err := dataset.NewBuilder(syntax, dataset.UTF8).Charset().Text(dataset.AccessionNumber, accession).
			Text(dataset.PatientName, "Müller^Bella").Text(dataset.PatientID, "4711").
			Text(dataset.StudyInstanceUID, "2.25."+accession).Text(dataset.RequestedProcedureID, accession).
			Seq(dataset.ScheduledProcedureStepSequence, item).Bytes()
		if err != nil {
			return err
		}
		if err := a.Send(data, dimse.Pending); err != nil {
			return err
		}
	}
	return nil
}

// Create, Set and Refused are a Store in memory.
func (h *hospital) Create(_ context.Context, r *mpps.Report) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, was := range h.reports {
		if was.SOPInstanceUID == r.SOPInstanceUID {
			return mpps.ErrDuplicate
		}
	}
	h.reports = append(h.reports, r)
	return nil
}

func (h *hospital) Set(_ context.Context, r *mpps.Report) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := false
	for _, was := range h.reports {
		if was.SOPInstanceUID != r.SOPInstanceUID {
			continue
		}
		if known = true; was.Final() {
			return mpps.ErrFinal
		}
	}
	if !known {
		return mpps.ErrUnknown
	}
	h.reports = append(h.reports, r)
	return nil
}

func (h *hospital) Refused(_ context.Context, r *mpps.Report, _ string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refused = append(h.refused, r)
	return nil
}

// got returns the reports so far.
func (h *hospital) got() []*mpps.Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*mpps.Report(nil), h.reports...)
}

// machine returns DR1.
func (h *hospital) machine(t *testing.T, change func(*dicomsim.Config)) *dicomsim.Modality {
	t.Helper()
	c := dicomsim.Config{AETitle: "DR1", Address: h.address, Patience: 3 * time.Second}
	if change != nil {
		change(&c)
	}
	m, err := dicomsim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
