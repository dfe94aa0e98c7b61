package mpps

import (
	"fmt"
	"strings"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// DefaultLimits bound one data set of an N-CREATE or N-SET.
var DefaultLimits = dataset.Limits{MaxBytes: 8 << 20, MaxElements: 100_000, MaxDepth: 16}

// ParseConfig says how a data set is read.
type ParseConfig struct {
	// Charset is the defined term for text without a usable (0008,0005); empty
	// and "auto" mean UTF-8 when the bytes are valid UTF-8, else windows-1252.
	Charset string
	// Zone is the clinic's zone, for dates and times; nil means UTC.
	Zone *time.Location
	// Limits bound the data set; zero means DefaultLimits.
	Limits dataset.Limits
}

// Parse reads the data set of an N-CREATE or N-SET. What is missing is noted in
// the report and is no error; the error is a *dataset.SyntaxError or a
// *dataset.LimitError. Strings of the report do not share memory with data.
func Parse(op Operation, data []byte, transferSyntaxUID string, c ParseConfig) (*Report, error) {
	r := &Report{Operation: op, TransferSyntaxUID: transferSyntaxUID}
	return r, parseInto(r, data, c)
}

// parseInto fills r from data. After an error r holds what was set before.
func parseInto(r *Report, data []byte, c ParseConfig) error {
	syntax, ok := dataset.SyntaxByUID(r.TransferSyntaxUID)
	if !ok {
		return fmt.Errorf("mpps: transfer syntax %q cannot be read", r.TransferSyntaxUID)
	}
	if c.Limits == (dataset.Limits{}) {
		c.Limits = DefaultLimits
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	set, err := dataset.Parse(data, syntax, c.Limits)
	if err != nil {
		return fmt.Errorf("mpps: the data set cannot be read: %w", err)
	}
	p := parser{report: r, config: c}
	if set.Stats != nil {
		for _, n := range set.Stats.Notes() {
			p.note(n)
		}
	}
	p.message(set)
	return nil
}

// parser carries one message from its data set to its report.
type parser struct {
	report *Report
	config ParseConfig
	noted  map[string]bool
}

// note records something that was tolerated, once.
func (p *parser) note(text string) {
	if p.noted == nil {
		p.noted = map[string]bool{}
	}
	if !p.noted[text] {
		p.noted[text] = true
		p.report.Notes = append(p.report.Notes, text)
	}
}

// message reads the attributes at the top level.
func (p *parser) message(set *dataset.Set) {
	r, text := p.report, p.text(set, nil)
	r.Status = status(set.String(dataset.PerformedProcedureStepStatus))
	r.PatientName = text.value(dataset.PatientName)
	r.PatientID = text.value(dataset.PatientID)
	r.Modality = set.String(dataset.Modality)
	r.PerformedProcedureStepID = text.value(dataset.PerformedProcedureStepID)
	r.StationAETitle = set.String(dataset.PerformedStationAETitle)
	r.StationName = text.value(dataset.PerformedStationName)
	r.Description = text.value(dataset.PerformedProcedureStepDescription)
	r.Comments = text.value(dataset.CommentsOnThePerformedProcedureStep)
	r.StudyID = text.value(dataset.StudyID)
	zone := p.zone(set)
	r.StartedAt = p.moment(set, dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime, zone)
	r.EndedAt = p.moment(set, dataset.PerformedProcedureStepEndDate, dataset.PerformedProcedureStepEndTime, zone)
	r.References = p.references(set, text)
	r.Series = p.series(set, text)
	r.Discontinuation = p.reason(set, text)
	p.missing(set)
}

// status returns a status in upper case with single spaces, so that consoles
// that write "In  Progress" are understood.
func status(s string) string {
	return strings.ToUpper(strings.Join(strings.Fields(s), " "))
}

// reason reads the first usable item of the Discontinuation Reason Code Sequence.
func (p *parser) reason(set *dataset.Set, text reader) Code {
	for _, item := range set.Items(dataset.PerformedProcedureStepDiscontinuationReasonCodeSequence) {
		t := p.text(item, &text)
		c := Code{
			Value:   t.value(dataset.CodeValue),
			Scheme:  t.value(dataset.CodingSchemeDesignator),
			Meaning: t.value(dataset.CodeMeaning),
		}
		if !c.IsZero() {
			return c
		}
	}
	return Code{}
}

// expected are the attributes that PS3.4 Table F.7.2-1 asks for with a value
// (type 1 for the SCU) at the top level of an N-CREATE.
var expected = []dataset.Tag{
	dataset.PerformedProcedureStepID,
	dataset.PerformedStationAETitle,
	dataset.PerformedProcedureStepStartDate,
	dataset.PerformedProcedureStepStartTime,
	dataset.Modality,
}

// expectedFinal are those that must have a value when the step ends.
var expectedFinal = []dataset.Tag{
	dataset.PerformedProcedureStepEndDate,
	dataset.PerformedProcedureStepEndTime,
}

// missing notes what the table asks for and the message lacks.
func (p *parser) missing(set *dataset.Set) {
	r := p.report
	var tags []dataset.Tag
	switch {
	case r.Operation == NCreate:
		tags = expected
	case r.Final():
		tags = expectedFinal
	}
	for _, t := range tags {
		if e := set.Find(t); e == nil || len(e.Value) == 0 {
			p.note("without " + name(t))
		}
	}
	if r.Operation == NCreate && len(r.References) == 0 {
		p.note("without a reference to a scheduled step")
	}
	if r.Operation == NSet && r.Final() && len(r.Series) == 0 {
		p.note("ends without a performed series")
	}
}
