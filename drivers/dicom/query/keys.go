package query

import (
	"fmt"
	"maps"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// Keys narrow a worklist query. An empty key matches everything. The values are
// sent as they are, so wildcards, ranges and lists may be used where DICOM
// allows them (PS3.4 C.2.2.2).
type Keys struct {
	PatientName              string // wildcards * and ?
	PatientID                string
	AccessionNumber          string
	RequestedProcedureID     string
	StudyInstanceUID         string
	ScheduledProcedureStepID string
	Modality                 string // such as DX, or DX\CR
	StationAETitle           string // Scheduled Station AE Title
	StationName              string // Scheduled Station Name
	Date                     string // of the step: 20261122, 20261122-20261123, 20261122-
	Time                     string // of the step: 1030, 080000-120000
	PerformingPhysician      string

	// Extra are further keys, at the top level of the identifier; those of the
	// Scheduled Procedure Step Sequence go into its item.
	Extra []Key

	// OnlyExtra asks for nothing but Extra and the keys above that have a value.
	// Without it the attributes are asked for that a worklist usually shows.
	OnlyExtra bool
	// WholeStep asks for everything in the step, with an empty Scheduled
	// Procedure Step Sequence. Keys of the step are then not sent.
	WholeStep bool

	// Charset is the defined term in which the keys are sent; empty means
	// ISO_IR 100 when all fit, else ISO_IR 192.
	Charset string
}

// Key is one further key. An empty value asks for the attribute in the answer.
type Key struct {
	Tag   dataset.Tag
	Value string
}

// KeyError says which key cannot be sent.
type KeyError struct {
	Tag    dataset.Tag
	Reason string
}

// Error implements error.
func (e *KeyError) Error() string {
	return fmt.Sprintf("query: key %s %s: %s", e.Tag, dataset.Keyword(e.Tag), e.Reason)
}

// stepKeys are the attributes inside the Scheduled Procedure Step Sequence
// (PS3.4 Table K.6-1).
var stepKeys = []dataset.Tag{
	dataset.Modality,
	dataset.AnatomicalOrientationType,
	dataset.ScheduledStationAETitle,
	dataset.ScheduledProcedureStepStartDate,
	dataset.ScheduledProcedureStepStartTime,
	dataset.ScheduledPerformingPhysicianName,
	dataset.ScheduledProcedureStepDescription,
	dataset.ScheduledProtocolCodeSequence,
	dataset.ScheduledProcedureStepID,
	dataset.ScheduledStationName,
	dataset.ScheduledProcedureStepLocation,
	dataset.ScheduledProcedureStepStatus,
	dataset.CommentsOnTheScheduledProcedureStep,
}

// topKeys are the attributes at the top level that are asked for, the
// veterinary ones included.
var topKeys = []dataset.Tag{
	dataset.AccessionNumber,
	dataset.InstitutionName,
	dataset.ReferringPhysicianName,
	dataset.StudyDescription,
	dataset.ReferencedStudySequence,
	dataset.ReferencedPatientSequence,
	dataset.PatientName,
	dataset.PatientID,
	dataset.PatientBirthDate,
	dataset.PatientSex,
	dataset.OtherPatientIDsSequence,
	dataset.PatientWeight,
	dataset.MedicalAlerts,
	dataset.PatientSpeciesDescription,
	dataset.PatientSexNeutered,
	dataset.PatientBreedDescription,
	dataset.ResponsiblePerson,
	dataset.ResponsiblePersonRole,
	dataset.ResponsibleOrganization,
	dataset.PatientComments,
	dataset.StudyInstanceUID,
	dataset.StudyID,
	dataset.RequestingPhysician,
	dataset.RequestedProcedureDescription,
	dataset.RequestedProcedureCodeSequence,
	dataset.AdmissionID,
	dataset.RequestedProcedureID,
	dataset.ReasonForTheRequestedProcedure,
	dataset.RequestedProcedurePriority,
	dataset.RequestedProcedureComments,
}

// identifier returns the data set of a worklist query.
func (k Keys) identifier(syntax dataset.Syntax) ([]byte, error) {
	values := map[dataset.Tag]string{
		dataset.PatientName:                      k.PatientName,
		dataset.PatientID:                        k.PatientID,
		dataset.AccessionNumber:                  k.AccessionNumber,
		dataset.RequestedProcedureID:             k.RequestedProcedureID,
		dataset.StudyInstanceUID:                 k.StudyInstanceUID,
		dataset.ScheduledProcedureStepID:         k.ScheduledProcedureStepID,
		dataset.Modality:                         k.Modality,
		dataset.ScheduledStationAETitle:          k.StationAETitle,
		dataset.ScheduledStationName:             k.StationName,
		dataset.ScheduledProcedureStepStartDate:  k.Date,
		dataset.ScheduledProcedureStepStartTime:  k.Time,
		dataset.ScheduledPerformingPhysicianName: k.PerformingPhysician,
	}
	top, step := slices.Clone(topKeys), slices.Clone(stepKeys)
	if k.OnlyExtra {
		unasked := func(t dataset.Tag) bool { return values[t] == "" }
		top, step = slices.DeleteFunc(top, unasked), slices.DeleteFunc(step, unasked)
	}
	for _, extra := range k.Extra {
		values[extra.Tag] = extra.Value
		place := &top
		if slices.Contains(stepKeys, extra.Tag) {
			place = &step
		}
		if !slices.Contains(*place, extra.Tag) {
			*place = append(*place, extra.Tag)
		}
	}
	cs := charset(k.Charset, values)
	item, b := dataset.NewBuilder(syntax, cs), dataset.NewBuilder(syntax, cs)
	b.Strings(dataset.SpecificCharacterSet, cs.DefinedTerm())
	if err := put(item, cs, step, values); err != nil {
		return nil, err
	}
	if err := put(b, cs, top, values); err != nil {
		return nil, err
	}
	if k.WholeStep {
		b.Seq(dataset.ScheduledProcedureStepSequence)
	} else {
		b.Seq(dataset.ScheduledProcedureStepSequence, item)
	}
	return b.Bytes()
}

// maxKey bounds a key, in characters. A list of UIDs may be long.
const maxKey = 8192

// put writes the keys; those without a value ask for the attribute.
func put(b *dataset.Builder, cs dataset.Charset, tags []dataset.Tag, values map[dataset.Tag]string) error {
	for _, t := range tags {
		value, vr := values[t], dataset.VROf(t)
		switch {
		case vr == dataset.SQ && value != "":
			return &KeyError{t, "a sequence cannot be a key"}
		case vr == dataset.SQ:
			b.Seq(t)
		case value == "":
			b.Empty(t)
		case !slices.Contains(textual, vr):
			return &KeyError{t, "only text, dates, times and UIDs can be keys"}
		case !utf8.ValidString(value):
			return &KeyError{t, "is not valid UTF-8"}
		case utf8.RuneCountInString(value) > maxKey:
			return &KeyError{t, "is too long"}
		case slices.ContainsFunc([]rune(value), unicode.IsControl):
			return &KeyError{t, "has control characters"}
		default:
			// Not Text or Strings, which cut what is no valid value of the VR: a
			// range is no date.
			encoded, _ := cs.Encode(value, vr)
			b.Raw(t, vr, encoded)
		}
	}
	return nil
}

// textual are the VRs whose values are characters.
var textual = []dataset.VR{
	dataset.AE, dataset.AS, dataset.CS, dataset.DA, dataset.DS, dataset.DT, dataset.IS, dataset.LO, dataset.LT,
	dataset.PN, dataset.SH, dataset.ST, dataset.TM, dataset.UC, dataset.UI, dataset.UR, dataset.UT,
}

// charset returns the character set of the keys.
func charset(term string, values map[dataset.Tag]string) dataset.Charset {
	return dataset.Choose(term, slices.Collect(maps.Values(values))...)
}
