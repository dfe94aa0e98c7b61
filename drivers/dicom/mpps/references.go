package mpps

import (
	"slices"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// references reads every item of the Scheduled Step Attributes Sequence: a
// console may perform several scheduled steps at once, and each of them changes
// (PS3.4 F.7.2.1.2). Consoles that write these attributes at the top level
// instead of in the sequence are understood too.
func (p *parser) references(set *dataset.Set, text reader) []Reference {
	var all []Reference
	for _, item := range set.Items(dataset.ScheduledStepAttributesSequence) {
		if r := reference(item, p.text(item, &text)); !r.empty() && !slices.ContainsFunc(all, r.equal) {
			all = append(all, r)
		}
	}
	flat := reference(set, text)
	switch {
	case flat.empty():
	case len(all) == 0:
		p.note("references at the top level instead of in the Scheduled Step Attributes Sequence")
		all = append(all, flat)
	case len(all) == 1 && all[0].fill(flat):
		p.note("references partly at the top level")
	}
	return all
}

// reference reads the identifiers of one scheduled step.
func reference(set *dataset.Set, text reader) Reference {
	r := Reference{
		StudyInstanceUID:         set.String(dataset.StudyInstanceUID),
		AccessionNumber:          text.value(dataset.AccessionNumber),
		RequestedProcedureID:     text.value(dataset.RequestedProcedureID),
		ScheduledProcedureStepID: text.value(dataset.ScheduledProcedureStepID),
	}
	for _, item := range set.Items(dataset.ReferencedStudySequence) {
		if uid := item.String(dataset.ReferencedSOPInstanceUID); uid != "" && !slices.Contains(r.ReferencedStudyUIDs, uid) {
			r.ReferencedStudyUIDs = append(r.ReferencedStudyUIDs, uid)
		}
	}
	return r
}

// equal reports whether r and o name the same.
func (r Reference) equal(o Reference) bool {
	return r.StudyInstanceUID == o.StudyInstanceUID && r.AccessionNumber == o.AccessionNumber &&
		r.RequestedProcedureID == o.RequestedProcedureID && r.ScheduledProcedureStepID == o.ScheduledProcedureStepID &&
		slices.Equal(r.ReferencedStudyUIDs, o.ReferencedStudyUIDs)
}

// fill takes from o what r lacks, and reports whether that was anything.
func (r *Reference) fill(o Reference) bool {
	filled := false
	take := func(to *string, from string) {
		if *to == "" && from != "" {
			*to, filled = from, true
		}
	}
	take(&r.StudyInstanceUID, o.StudyInstanceUID)
	take(&r.AccessionNumber, o.AccessionNumber)
	take(&r.RequestedProcedureID, o.RequestedProcedureID)
	take(&r.ScheduledProcedureStepID, o.ScheduledProcedureStepID)
	if len(r.ReferencedStudyUIDs) == 0 && len(o.ReferencedStudyUIDs) > 0 {
		r.ReferencedStudyUIDs, filled = o.ReferencedStudyUIDs, true
	}
	return filled
}
