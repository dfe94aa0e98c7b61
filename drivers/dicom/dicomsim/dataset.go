package dicomsim

import (
	"slices"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// charsetOf returns the character set with this defined term, def when it is
// empty.
func charsetOf(term string, def dataset.Charset) dataset.Charset {
	if term == "" {
		return def
	}
	cs, _ := dataset.ParseCharset([]string{term})
	return cs
}

// createData returns the data set of the N-CREATE of s, the attributes of
// PS3.4 Table F.7.2-1 that a console fills.
func (m *Modality) createData(syntax dataset.Syntax, s *Step) ([]byte, error) {
	o := s.Options
	cs := charsetOf(o.Charset, m.charset)
	status := o.InitialStatus
	if status == "" {
		status = "IN PROGRESS"
	}
	b := omitting{dataset.NewBuilder(syntax, cs), o.Omit}
	b.strings(dataset.SpecificCharacterSet, cs.DefinedTerm())
	b.strings(dataset.Modality, m.config.Code)
	first := &query.Entry{}
	if len(s.Entries) > 0 {
		first = s.Entries[0]
	}
	b.text(dataset.PatientName, first.PatientName)
	b.text(dataset.PatientID, first.PatientID)
	b.strings(dataset.PatientBirthDate, first.PatientBirthDate)
	b.strings(dataset.PatientSex, first.PatientSex)
	b.text(dataset.StudyID, first.AccessionNumber)
	b.text(dataset.PerformedProcedureStepID, shortID(s.SOPInstanceUID))
	b.strings(dataset.PerformedStationAETitle, m.config.AETitle)
	b.text(dataset.PerformedStationName, m.config.StationName)
	b.text(dataset.PerformedLocation, "")
	b.strings(dataset.PerformedProcedureStepStartDate, dataset.FormatDate(s.StartedAt))
	b.strings(dataset.PerformedProcedureStepStartTime, dataset.FormatTime(s.StartedAt))
	b.strings(dataset.PerformedProcedureStepEndDate, "")
	b.strings(dataset.PerformedProcedureStepEndTime, "")
	b.strings(dataset.PerformedProcedureStepStatus, status)
	b.text(dataset.PerformedProcedureStepDescription, first.ScheduledProcedureStepDescription)
	b.text(dataset.PerformedProcedureTypeDescription, "")
	b.sequence(dataset.ReferencedPatientSequence)
	b.sequence(dataset.ProcedureCodeSequence)
	b.sequence(dataset.PerformedProtocolCodeSequence)
	b.sequence(dataset.PerformedSeriesSequence)
	switch {
	case o.WithoutReference:
		b.sequence(dataset.ScheduledStepAttributesSequence)
	case o.FlatReference:
		m.reference(b, first, s.StudyInstanceUID)
	default:
		b.sequence(dataset.ScheduledStepAttributesSequence, m.references(syntax, cs, s)...)
	}
	return b.Bytes()
}

// references returns the items of the Scheduled Step Attributes Sequence; a
// step without an entry has one with nothing but its study.
func (m *Modality) references(syntax dataset.Syntax, cs dataset.Charset, s *Step) []*dataset.Builder {
	entries := s.Entries
	if len(entries) == 0 {
		entries = []*query.Entry{{}}
	}
	var items []*dataset.Builder
	for i, e := range entries {
		study := e.StudyInstanceUID
		if i == 0 || s.Options.ForeignStudyUID {
			study = s.StudyInstanceUID
		}
		b := omitting{dataset.NewBuilder(syntax, cs), s.Options.Omit}
		m.reference(b, e, study)
		items = append(items, b.Builder)
	}
	return items
}

// reference writes the attributes that name one scheduled step.
func (m *Modality) reference(b omitting, e *query.Entry, study string) {
	b.text(dataset.AccessionNumber, e.AccessionNumber)
	b.sequence(dataset.ReferencedStudySequence)
	b.strings(dataset.StudyInstanceUID, study)
	b.text(dataset.RequestedProcedureDescription, e.RequestedProcedureDescription)
	b.text(dataset.ScheduledProcedureStepDescription, e.ScheduledProcedureStepDescription)
	b.sequence(dataset.ScheduledProtocolCodeSequence)
	b.text(dataset.ScheduledProcedureStepID, e.ScheduledProcedureStepID)
	b.text(dataset.RequestedProcedureID, e.RequestedProcedureID)
}

// setData returns the data set of an N-SET of s.
func (m *Modality) setData(syntax dataset.Syntax, s *Step, status string, final bool) ([]byte, error) {
	o := s.Options
	cs := charsetOf(o.FinalCharset, charsetOf(o.Charset, m.charset))
	b := dataset.NewBuilder(syntax, cs)
	b.Strings(dataset.SpecificCharacterSet, cs.DefinedTerm())
	if status != "" {
		b.Strings(dataset.PerformedProcedureStepStatus, status)
	}
	if final {
		b.Strings(dataset.PerformedProcedureStepEndDate, dataset.FormatDate(s.EndedAt))
		b.Strings(dataset.PerformedProcedureStepEndTime, dataset.FormatTime(s.EndedAt))
	}
	if o.Discontinue != nil && final {
		var reasons []*dataset.Builder
		if *o.Discontinue != (Reason{}) {
			code := dataset.NewBuilder(syntax, cs)
			code.Text(dataset.CodeValue, o.Discontinue.Value)
			code.Text(dataset.CodingSchemeDesignator, o.Discontinue.Scheme)
			code.Text(dataset.CodeMeaning, o.Discontinue.Meaning)
			reasons = append(reasons, code)
		}
		b.Seq(dataset.PerformedProcedureStepDiscontinuationReasonCodeSequence, reasons...)
	}
	if !o.WithoutSeries {
		b.Seq(dataset.PerformedSeriesSequence, m.performedSeries(syntax, cs, s)...)
	}
	return b.Bytes()
}

// performedSeries returns the items of the Performed Series Sequence.
func (m *Modality) performedSeries(syntax dataset.Syntax, cs dataset.Charset, s *Step) []*dataset.Builder {
	var items []*dataset.Builder
	for _, series := range s.Series {
		b := dataset.NewBuilder(syntax, cs)
		b.Strings(dataset.RetrieveAETitle, "")
		b.Text(dataset.SeriesDescription, "")
		b.Text(dataset.PerformingPhysicianName, "")
		b.Text(dataset.OperatorsName, m.config.Operator)
		var images []*dataset.Builder
		for _, uid := range series.SOPInstanceUIDs {
			image := dataset.NewBuilder(syntax, cs)
			image.Strings(dataset.ReferencedSOPClassUID, digitalXRayClass)
			image.Strings(dataset.ReferencedSOPInstanceUID, uid)
			images = append(images, image)
		}
		b.Seq(dataset.ReferencedImageSequence, images...)
		b.Text(dataset.ProtocolName, "Standard")
		b.Strings(dataset.SeriesInstanceUID, series.SeriesInstanceUID)
		b.Seq(dataset.ReferencedNonImageCompositeSOPInstanceSequence)
		items = append(items, b)
	}
	return items
}

// digitalXRayClass is Digital X-Ray Image Storage - For Presentation, the class
// of the simulated images.
const digitalXRayClass = "1.2.840.10008.5.1.4.1.1.1.1"

// shortID makes an ID of at most 16 characters from the end of a UID.
func shortID(uid string) string {
	return "PPS" + uid[max(0, len(uid)-10):]
}

// omitting is a builder that leaves out the attributes that it was told to.
type omitting struct {
	*dataset.Builder
	omit []dataset.Tag
}

func (b omitting) text(t dataset.Tag, value string) {
	if !slices.Contains(b.omit, t) {
		b.Text(t, value)
	}
}

func (b omitting) strings(t dataset.Tag, values ...string) {
	if !slices.Contains(b.omit, t) {
		b.Strings(t, values...)
	}
}

func (b omitting) sequence(t dataset.Tag, items ...*dataset.Builder) {
	if !slices.Contains(b.omit, t) {
		b.Seq(t, items...)
	}
}
