package mwl

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// Check reports why an order cannot be on a machine's worklist: values of type 1
// that are missing or wrong, and identifiers that the machine has no room for,
// since those are never cut. Nothing means it can. With a nil machine only what
// concerns every machine is checked.
//
// The List never offers what Check refuses, so an order that is held for these
// reasons is not also missed.
func Check(o *order.Order, m *Machine) []order.Hold {
	var holds []order.Hold
	hold := func(field, format string, args ...any) {
		holds = append(holds, order.Hold{
			Code: string(problem.OrderInvalid), Field: field, Detail: fmt.Sprintf(format, args...),
		})
	}
	rule := OwnerPatient
	limitID, limitAccession := dataset.MaxLen(dataset.LO), dataset.MaxLen(dataset.SH)
	if m != nil {
		if m.PatientName != "" {
			rule = m.PatientName
		}
		limitID, limitAccession = m.limit(LimitPatientID, limitID), m.limit(LimitAccession, limitAccession)
	}
	if patientName(rule, o, 0) == "" {
		hold("patient_name", "empty")
	}
	checkID("patient_id", o.Content.Patient.ID, dataset.LO, limitID, hold)
	checkID("accession_number", o.AccessionNumber, dataset.SH, limitAccession, hold)
	checkID("requested_procedure_id", o.RequestedProcedureID, dataset.SH, 16, hold)
	if !dataset.ValidUID(o.StudyInstanceUID) {
		hold("study_instance_uid", "not a UID")
	}
	if len(o.Steps) == 0 {
		hold("steps", "none")
	}
	for i := range o.Steps {
		if s := &o.Steps[i]; m == nil || slices.Contains(s.Stations, m.Name) {
			checkID("scheduled_procedure_step_id", s.ScheduledProcedureStepID, dataset.SH, 16, hold)
		}
	}
	if m != nil && !ValidAETitle(m.AETitle) {
		hold("ae_title", "machine %q has none", m.Name)
	}
	if m != nil && !validCode(m.Code) {
		hold("modality", "machine %q has no modality code", m.Name)
	}
	return holds
}

// checkID reports an identifier that would not arrive as it is. Identifiers are
// ASCII, so that every character set carries them unchanged.
func checkID(field, v string, vr dataset.VR, limit int, hold func(field, format string, args ...any)) {
	switch n := utf8.RuneCountInString(v); {
	case v == "":
		hold(field, "empty")
	case n > limit:
		hold(field, "%d characters, %d fit", n, limit)
	case dataset.Clean(v, vr) != v || len(v) != n:
		hold(field, "characters that are not allowed there")
	}
}

// fits reports whether a machine can take an item that is routed elsewhere.
func (m *Machine) fits(it *item) bool {
	if len(m.TextLimits) == 0 && m.PatientName != PatientOnly {
		return true
	}
	c := &it.order.Content
	return len(c.Patient.ID) <= m.limit(LimitPatientID, dataset.MaxLen(dataset.LO)) &&
		len(it.order.AccessionNumber) <= m.limit(LimitAccession, dataset.MaxLen(dataset.SH)) &&
		patientName(m.PatientName, it.order, 0) != ""
}
