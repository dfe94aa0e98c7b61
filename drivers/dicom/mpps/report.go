package mpps

import (
	"log/slog"
	"time"
)

// SOPClassUID is Modality Performed Procedure Step.
const SOPClassUID = "1.2.840.10008.3.1.2.3.3"

// The states of a performed procedure step, (0040,0252).
const (
	InProgress   = "IN PROGRESS"
	Completed    = "COMPLETED"
	Discontinued = "DISCONTINUED"
)

// Operation is the DIMSE service that carried a report.
type Operation string

// The two operations of the service class.
const (
	NCreate Operation = "N-CREATE"
	NSet    Operation = "N-SET"
)

// Report is one message of a machine about one performed procedure step. All
// text is Unicode, without padding.
type Report struct {
	Operation      Operation
	SOPInstanceUID string // of the performed step; minted by us when the console sent none
	UIDMinted      bool   // SOPInstanceUID is ours

	Machine        string // name of the machine; empty for a caller that is not configured
	CallingAETitle string
	Address        string // host:port of the caller
	At             time.Time

	// Status is InProgress, Completed or Discontinued, or empty when the message
	// has none. Only in a refused report it may be something else: what the
	// console wrote, in upper case.
	Status string

	// References are the items of the Scheduled Step Attributes Sequence, in
	// their order, those without any identifier left out.
	References []Reference

	PatientID                string
	PatientName              string
	Modality                 string
	PerformedProcedureStepID string
	StationAETitle           string // Performed Station AE Title
	StationName              string // Performed Station Name
	Description              string // Performed Procedure Step Description
	Comments                 string // Comments on the Performed Procedure Step
	StudyID                  string

	StartedAt time.Time // zero when absent or unreadable
	EndedAt   time.Time // zero when absent or unreadable

	Discontinuation Code // zero when no reason was given

	// Series is nil when the message has no Performed Series Sequence; empty,
	// but not nil, when it has one without items. A sequence in an N-SET replaces
	// the one before as a whole (F.7.2.2.2).
	Series []Series

	Notes []string // what was tolerated; no personal data

	Raw               []byte // the data set as received
	TransferSyntaxUID string // of Raw
}

// Reference is one scheduled procedure step that was performed.
type Reference struct {
	StudyInstanceUID         string
	AccessionNumber          string
	RequestedProcedureID     string
	ScheduledProcedureStepID string
	ReferencedStudyUIDs      []string // from the Referenced Study Sequence
}

// empty reports whether r names nothing.
func (r Reference) empty() bool {
	return r.StudyInstanceUID == "" && r.AccessionNumber == "" && r.RequestedProcedureID == "" &&
		r.ScheduledProcedureStepID == "" && len(r.ReferencedStudyUIDs) == 0
}

// Series is one item of the Performed Series Sequence.
type Series struct {
	SeriesInstanceUID string
	Protocol          string
	Operator          string
	Description       string
	Instances         int // images and other objects together
}

// Code is a coded entry: value, coding scheme designator, meaning.
type Code struct {
	Value   string
	Scheme  string
	Meaning string
}

// IsZero reports whether c says nothing.
func (c Code) IsZero() bool { return c == Code{} }

// WrongEntry reports whether the code is "Incorrect worklist entry selected"
// (110514, DCM): the step that was begun is not the one the animal is there for.
func (c Code) WrongEntry() bool { return c.Value == "110514" && c.Scheme == "DCM" }

// Images returns the number of series and of instances of r.
func (r *Report) Images() (series, instances int) {
	for _, s := range r.Series {
		instances += s.Instances
	}
	return len(r.Series), instances
}

// Final reports whether r ends the step.
func (r *Report) Final() bool { return r.Status == Completed || r.Status == Discontinued }

// LogValue keeps personal data out of logs.
func (r *Report) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("operation", string(r.Operation)),
		slog.String("sop_instance_uid", r.SOPInstanceUID),
		slog.String("machine", r.Machine),
		slog.String("status", r.Status),
		slog.Int("references", len(r.References)),
		slog.Int("series", len(r.Series)))
}
