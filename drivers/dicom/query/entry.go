package query

import (
	"strings"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// Entry is one answer of a worklist: a scheduled procedure step with its
// patient. Text is Unicode. What the server did not send is empty.
type Entry struct {
	Set *dataset.Set // the whole answer

	AccessionNumber                   string
	PatientName                       string // as sent: owner^patient
	PatientID                         string
	PatientBirthDate                  string // YYYYMMDD
	PatientSex                        string
	PatientSexNeutered                string
	PatientSpecies                    string
	PatientBreed                      string
	PatientWeight                     string // kg
	MedicalAlerts                     string
	ResponsiblePerson                 string
	ResponsibleOrganization           string
	StudyInstanceUID                  string
	RequestedProcedureID              string
	RequestedProcedureDescription     string
	RequestingPhysician               string
	ReferringPhysicianName            string
	Modality                          string
	StationAETitle                    string
	StationName                       string
	StartDate                         string // YYYYMMDD
	StartTime                         string // hhmmss
	ScheduledProcedureStepID          string
	ScheduledProcedureStepDescription string
	ScheduledProcedureStepStatus      string
	Comments                          string // on the step
}

// newEntry reads an answer. Step attributes are looked for in the first item of
// the Scheduled Procedure Step Sequence, then at the top level, where some
// servers put them.
func newEntry(set *dataset.Set) *Entry {
	cs := set.Charset()
	step := set.Item(dataset.ScheduledProcedureStepSequence)
	stepCS := step.CharsetWithin(cs)
	top := func(t dataset.Tag) string { return set.Text(t, cs) }
	in := func(t dataset.Tag) string {
		if v := step.Text(t, stepCS); v != "" {
			return v
		}
		return set.Text(t, cs)
	}
	return &Entry{
		Set:                               set,
		AccessionNumber:                   top(dataset.AccessionNumber),
		PatientName:                       top(dataset.PatientName),
		PatientID:                         top(dataset.PatientID),
		PatientBirthDate:                  top(dataset.PatientBirthDate),
		PatientSex:                        top(dataset.PatientSex),
		PatientSexNeutered:                top(dataset.PatientSexNeutered),
		PatientSpecies:                    top(dataset.PatientSpeciesDescription),
		PatientBreed:                      top(dataset.PatientBreedDescription),
		PatientWeight:                     top(dataset.PatientWeight),
		MedicalAlerts:                     top(dataset.MedicalAlerts),
		ResponsiblePerson:                 top(dataset.ResponsiblePerson),
		ResponsibleOrganization:           top(dataset.ResponsibleOrganization),
		StudyInstanceUID:                  top(dataset.StudyInstanceUID),
		RequestedProcedureID:              top(dataset.RequestedProcedureID),
		RequestedProcedureDescription:     top(dataset.RequestedProcedureDescription),
		RequestingPhysician:               top(dataset.RequestingPhysician),
		ReferringPhysicianName:            top(dataset.ReferringPhysicianName),
		Modality:                          in(dataset.Modality),
		StationAETitle:                    in(dataset.ScheduledStationAETitle),
		StationName:                       in(dataset.ScheduledStationName),
		StartDate:                         in(dataset.ScheduledProcedureStepStartDate),
		StartTime:                         in(dataset.ScheduledProcedureStepStartTime),
		ScheduledProcedureStepID:          in(dataset.ScheduledProcedureStepID),
		ScheduledProcedureStepDescription: in(dataset.ScheduledProcedureStepDescription),
		ScheduledProcedureStepStatus:      in(dataset.ScheduledProcedureStepStatus),
		Comments:                          in(dataset.CommentsOnTheScheduledProcedureStep),
	}
}

// Owner and Patient split the patient's name at its first caret, the veterinary
// convention owner^patient (CP-643). A name without a caret is the patient's.
func (e *Entry) Owner() string {
	owner, _, ok := strings.Cut(e.PatientName, "^")
	if !ok {
		return ""
	}
	return owner
}

// Patient is the name behind the caret; see Owner.
func (e *Entry) Patient() string {
	_, name, ok := strings.Cut(e.PatientName, "^")
	if !ok {
		return e.PatientName
	}
	return strings.TrimRight(name, "^")
}
