package mwl

import (
	"cmp"
	"slices"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// slot is the place of an attribute in an encoded block.
type slot uint8

// attribute is one of the keys that an order can have a value for. All other
// standard keys are answered empty.
type attribute struct {
	tag  dataset.Tag
	vr   dataset.VR
	step bool // belongs into the Scheduled Procedure Step Sequence

	text func(*source) string // the value; nil for sequences
	code func(*source) Code   // the one item of a code sequence

	vetIDs bool // Other Patient IDs Sequence
	limit  int  // in characters; 0 is the VR's
	field  TextField
}

// schema is the table of dicom.md 5.4: root attributes ascending, then those of
// the step, ascending.
var schema = [slots]attribute{
	{tag: dataset.StudyDate, vr: dataset.DA, text: (*source).studyDate},
	{tag: dataset.StudyTime, vr: dataset.TM, text: (*source).studyTime},
	{tag: dataset.AccessionNumber, vr: dataset.SH, text: (*source).accession},
	{tag: dataset.InstitutionName, vr: dataset.LO, text: (*source).institution},
	{tag: dataset.ReferringPhysicianName, vr: dataset.PN, text: (*source).referring},
	{tag: dataset.StudyDescription, vr: dataset.LO, text: (*source).procedure, field: LimitProcedure},
	{tag: dataset.ProcedureCodeSequence, vr: dataset.SQ, code: (*source).procedureCode},
	{tag: dataset.InstitutionalDepartmentName, vr: dataset.LO, text: (*source).department},
	{tag: dataset.PatientName, vr: dataset.PN, text: (*source).patientName, field: LimitName},
	{tag: dataset.PatientID, vr: dataset.LO, text: (*source).patientID},
	{tag: dataset.IssuerOfPatientID, vr: dataset.LO, text: (*source).issuer},
	{tag: dataset.PatientBirthDate, vr: dataset.DA, text: (*source).birthDate},
	{tag: dataset.PatientSex, vr: dataset.CS, text: (*source).sex},
	{tag: dataset.OtherPatientIDsSequence, vr: dataset.SQ, vetIDs: true},
	{tag: dataset.PatientWeight, vr: dataset.DS, text: (*source).weight},
	{tag: dataset.MedicalAlerts, vr: dataset.LO, text: (*source).alerts},
	{tag: dataset.AdditionalPatientHistory, vr: dataset.LT, text: (*source).complaint, field: LimitComments},
	{tag: dataset.PatientSpeciesDescription, vr: dataset.LO, text: (*source).species, field: LimitSpecies},
	{tag: dataset.PatientSpeciesCodeSequence, vr: dataset.SQ, code: (*source).speciesCode},
	{tag: dataset.PatientSexNeutered, vr: dataset.CS, text: (*source).neutered},
	{tag: dataset.PatientBreedDescription, vr: dataset.LO, text: (*source).breed, field: LimitBreed},
	{tag: dataset.PatientBreedCodeSequence, vr: dataset.SQ, code: (*source).breedCode},
	{tag: dataset.ResponsiblePerson, vr: dataset.PN, text: (*source).owner, field: LimitOwner},
	{tag: dataset.ResponsiblePersonRole, vr: dataset.CS, text: (*source).ownerRole},
	{tag: dataset.ResponsibleOrganization, vr: dataset.LO, text: (*source).organization, field: LimitOwner},
	{tag: dataset.PatientComments, vr: dataset.LT, text: (*source).patientComments, field: LimitComments},
	{tag: dataset.StudyInstanceUID, vr: dataset.UI, text: (*source).studyUID},
	{tag: dataset.StudyID, vr: dataset.SH, text: (*source).accession},
	{tag: dataset.RequestingPhysician, vr: dataset.PN, text: (*source).requesting},
	{tag: dataset.RequestingService, vr: dataset.LO, text: (*source).department},
	{tag: dataset.RequestedProcedureDescription, vr: dataset.LO, text: (*source).procedure, field: LimitProcedure},
	{tag: dataset.RequestedProcedureCodeSequence, vr: dataset.SQ, code: (*source).procedureCode},
	{tag: dataset.AdmissionID, vr: dataset.LO, text: (*source).admission},
	{tag: dataset.CurrentPatientLocation, vr: dataset.LO, text: (*source).ward},
	{tag: dataset.RequestedProcedureID, vr: dataset.SH, text: (*source).requestedProcedureID},
	{tag: dataset.ReasonForTheRequestedProcedure, vr: dataset.LO, text: (*source).reason},
	{tag: dataset.RequestedProcedurePriority, vr: dataset.SH, text: (*source).priority},
	{tag: dataset.RequestedProcedureComments, vr: dataset.LT, text: (*source).remarks, field: LimitComments},
	{tag: dataset.PlacerOrderNumberImagingServiceRequest, vr: dataset.LO, text: (*source).placer},

	{tag: dataset.AnatomicalOrientationType, vr: dataset.CS, step: true, text: (*source).orientation},
	{tag: dataset.BodyPartExamined, vr: dataset.CS, step: true, text: (*source).bodyPart},
	{tag: dataset.ScheduledProcedureStepStartDate, vr: dataset.DA, step: true, text: (*source).startDate},
	{tag: dataset.ScheduledProcedureStepStartTime, vr: dataset.TM, step: true, text: (*source).startTime},
	{tag: dataset.ScheduledProcedureStepDescription, vr: dataset.LO, step: true, text: (*source).stepDescription, field: LimitStep},
	{tag: dataset.ScheduledProtocolCodeSequence, vr: dataset.SQ, step: true, code: (*source).protocolCode},
	{tag: dataset.ScheduledProcedureStepID, vr: dataset.SH, step: true, text: (*source).stepID},
	{tag: dataset.ScheduledProcedureStepStatus, vr: dataset.CS, step: true, text: (*source).stepStatus},
	{tag: dataset.CommentsOnTheScheduledProcedureStep, vr: dataset.LT, step: true, text: (*source).remarks, field: LimitComments},
}

// slots is how many attributes a block holds: all of the schema.
const slots = 48

// stepKeys are all keys of the step in the table, those without a value of the
// order included: what a request for the whole step gets, ascending.
var stepKeys = [...]dataset.Tag{
	dataset.Modality, dataset.AnatomicalOrientationType, dataset.BodyPartExamined, dataset.RequestedContrastAgent,
	dataset.ScheduledStationAETitle, dataset.ScheduledProcedureStepStartDate, dataset.ScheduledProcedureStepStartTime,
	dataset.ScheduledProcedureStepEndDate, dataset.ScheduledProcedureStepEndTime,
	dataset.ScheduledPerformingPhysicianName, dataset.ScheduledProcedureStepDescription,
	dataset.ScheduledProtocolCodeSequence, dataset.ScheduledProcedureStepID, dataset.ScheduledStationName,
	dataset.ScheduledProcedureStepLocation, dataset.PreMedication, dataset.ScheduledProcedureStepStatus,
	dataset.CommentsOnTheScheduledProcedureStep,
}

// isStepKey reports whether a key belongs into the Scheduled Procedure Step
// Sequence. Some consoles send such keys at the top level.
func isStepKey(t dataset.Tag) bool { return slices.Contains(stepKeys[:], t) }

// slotOf returns the place of an attribute.
func slotOf(t dataset.Tag) (slot, bool) {
	step := isStepKey(t)
	i, ok := slices.BinarySearchFunc(schema[:], t, func(a attribute, t dataset.Tag) int {
		if a.step != step {
			if a.step {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.tag, t)
	})
	return slot(i), ok
}

// isBinary reports whether values of a VR are not text.
func isBinary(vr dataset.VR) bool {
	switch vr {
	case dataset.AT, dataset.FD, dataset.FL, dataset.OB, dataset.OD, dataset.OF, dataset.OL, dataset.OV, dataset.OW,
		dataset.SL, dataset.SS, dataset.SV, dataset.UL, dataset.UN, dataset.US, dataset.UV:
		return true
	}
	return false
}
