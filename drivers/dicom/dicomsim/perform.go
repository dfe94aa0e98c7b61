package dicomsim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// Options say how a step is performed and reported. The zero value is an
// ordinary examination: one series of two images, completed.
type Options struct {
	Series    int // 0 means 1
	Instances int // in each series; 0 means 2

	// Discontinue ends the step as DISCONTINUED with this reason; a reason
	// without value is a discontinuation without reason.
	Discontinue *Reason

	WithoutReference bool           // no item in the Scheduled Step Attributes Sequence
	FlatReference    bool           // the reference at the top level instead of in the sequence
	WithoutUID       bool           // N-CREATE without Affected SOP Instance UID
	ForeignStudyUID  bool           // a study UID of the machine's own (PS3.4 F.7.2.1.2)
	WithoutSeries    bool           // the final N-SET has no Performed Series Sequence
	EmptySeries      bool           // the final N-SET has an empty one
	NoFinal          bool           // the final N-SET never comes
	Progress         bool           // an N-SET without status in between, as MinXray sends it
	Grouped          []*query.Entry // further scheduled steps that this one performs too
	Charset          string         // of N-CREATE; empty means Config.Charset
	FinalCharset     string         // of N-SET; empty means that of N-CREATE
	InitialStatus    string         // of N-CREATE; empty means IN PROGRESS
	Omit             []dataset.Tag  // attributes that are left out of N-CREATE
}

// Reason is why a step was discontinued, a coded entry.
type Reason struct {
	Value, Scheme, Meaning string
}

// WrongEntry is "Incorrect worklist entry selected" of PS3.16.
var WrongEntry = Reason{Value: "110514", Scheme: "DCM", Meaning: "Incorrect worklist entry selected"}

// Step is a step that was begun.
type Step struct {
	SOPInstanceUID   string // of the performed procedure step
	StudyInstanceUID string // used for the images
	Entries          []*query.Entry
	StartedAt        time.Time
	EndedAt          time.Time // zero until it is finished
	Series           []Series  // what was made; set by Finish
	Options          Options
}

// Series is a series that was made.
type Series struct {
	SeriesInstanceUID string
	SOPInstanceUIDs   []string
}

// StatusError is a refusal of the server: the status of its response.
type StatusError struct {
	Operation string // "N-CREATE" or "N-SET"
	Status    dimse.Status
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("dicomsim: %s was answered %04X %s", e.Operation, e.Status.Code, e.Status.Comment)
}

// Unwrap returns the status.
func (e *StatusError) Unwrap() error { return e.Status }

// Perform begins and ends a step: N-CREATE and, on another association,
// N-SET, the way consoles do.
func (m *Modality) Perform(ctx context.Context, entry *query.Entry, o Options) (*Step, error) {
	s, err := m.Start(ctx, entry, o)
	if err != nil || o.NoFinal {
		return s, err
	}
	return s, m.Finish(ctx, s)
}

// Start begins a step (N-CREATE). entry may be nil: an animal that is on no
// worklist.
func (m *Modality) Start(ctx context.Context, entry *query.Entry, o Options) (*Step, error) {
	s := m.newStep(entry, o)
	return s, m.start(ctx, s)
}

// start sends the N-CREATE of s.
func (m *Modality) start(ctx context.Context, s *Step) error {
	uid := s.SOPInstanceUID
	if s.Options.WithoutUID {
		uid = ""
	}
	rs, err := m.report(ctx, "N-CREATE", s, func(c *dimse.Client, syntax dataset.Syntax) (dimse.Response, error) {
		data, err := m.createData(syntax, s)
		if err != nil {
			return dimse.Response{}, err
		}
		return c.Create(ctx, stepClass, uid, data)
	})
	if err != nil {
		return err
	}
	if s.Options.WithoutUID {
		s.SOPInstanceUID = rs.SOPInstanceUID
		if s.SOPInstanceUID == "" {
			return errors.New("dicomsim: N-CREATE without UID was answered without UID")
		}
	}
	m.progress(Event{Kind: Started, AccessionNumber: s.accession()})
	return nil
}

// newStep returns a step that has not been reported yet.
func (m *Modality) newStep(entry *query.Entry, o Options) *Step {
	s := &Step{SOPInstanceUID: dataset.NewUID(), StartedAt: m.config.Now().In(m.config.Zone), Options: o}
	if entry != nil {
		s.Entries = append(s.Entries, entry)
		s.StudyInstanceUID = entry.StudyInstanceUID
	}
	s.Entries = append(s.Entries, o.Grouped...)
	if s.StudyInstanceUID == "" || o.ForeignStudyUID {
		s.StudyInstanceUID = dataset.NewUID()
	}
	return s
}

// Update reports the series so far, with no status (legal, PS3.4 F.7.2.2).
func (m *Modality) Update(ctx context.Context, s *Step) error {
	return m.set(ctx, s, "", false)
}

// Finish ends a step (N-SET) as its options say. It makes the images first.
func (m *Modality) Finish(ctx context.Context, s *Step) error {
	if s.Series == nil && !s.Options.WithoutSeries && !s.Options.EmptySeries {
		s.Series = makeSeries(s.Options)
	}
	if s.Options.Progress {
		if err := m.Update(ctx, s); err != nil {
			return err
		}
	}
	status := "COMPLETED"
	if s.Options.Discontinue != nil {
		status = "DISCONTINUED"
	}
	s.EndedAt = m.config.Now().In(m.config.Zone)
	if err := m.set(ctx, s, status, true); err != nil {
		return err
	}
	instances := 0
	for _, series := range s.Series {
		instances += len(series.SOPInstanceUIDs)
	}
	m.progress(Event{
		Kind: Ended, AccessionNumber: s.accession(), Status: status, Series: len(s.Series), Instances: instances,
	})
	return nil
}

// set sends an N-SET.
func (m *Modality) set(ctx context.Context, s *Step, status string, final bool) error {
	_, err := m.report(ctx, "N-SET", s, func(c *dimse.Client, syntax dataset.Syntax) (dimse.Response, error) {
		data, err := m.setData(syntax, s, status, final)
		if err != nil {
			return dimse.Response{}, err
		}
		return c.Set(ctx, stepClass, s.SOPInstanceUID, data)
	})
	return err
}

// report sends one message on an association of its own.
func (m *Modality) report(ctx context.Context, operation string, s *Step,
	send func(*dimse.Client, dataset.Syntax) (dimse.Response, error),
) (dimse.Response, error) {
	began := time.Now()
	rs, err := func() (dimse.Response, error) {
		c, err := m.associate(ctx)
		if err != nil {
			return dimse.Response{}, err
		}
		syntax, ok := dataset.SyntaxByUID(c.TransferSyntax(stepClass))
		if !ok {
			_ = c.Abort()
			return dimse.Response{}, fmt.Errorf("dicomsim: MPPS was negotiated with transfer syntax %q", c.TransferSyntax(stepClass))
		}
		rs, err := send(c, syntax)
		var status dimse.Status
		if errors.As(err, &status) {
			err = &StatusError{Operation: operation, Status: status}
		} else if err != nil {
			_ = c.Abort()
			return rs, err
		}
		_ = c.Release(ctx) // the answer counts, however the goodbye went
		return rs, err
	}()
	if err != nil {
		m.progress(Event{Kind: Failed, AccessionNumber: s.accession(), Text: operation, Err: err, Took: time.Since(began)})
	}
	return rs, err
}

// accession returns the accession number of the step, if it has one.
func (s *Step) accession() string {
	if len(s.Entries) == 0 {
		return ""
	}
	return s.Entries[0].AccessionNumber
}

// makeSeries makes the series of an examination.
func makeSeries(o Options) []Series {
	series := make([]Series, max(o.Series, 1))
	instances := o.Instances
	if instances == 0 {
		instances = 2
	}
	for i := range series {
		series[i].SeriesInstanceUID = dataset.NewUID()
		for range instances {
			series[i].SOPInstanceUIDs = append(series[i].SOPInstanceUIDs, dataset.NewUID())
		}
	}
	return series
}
