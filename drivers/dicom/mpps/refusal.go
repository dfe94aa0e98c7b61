package mpps

import (
	"errors"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// errorIDFinal is the Error ID of an N-SET for a step that has ended (PS3.4
// Table F.7.2-2).
const errorIDFinal = 0xA710

// refusal is a report that was not accepted: what the machine hears, and what
// a person reads.
type refusal struct {
	status dimse.Status
	reason string // one sentence, no personal data
	keep   bool   // the store has not got the report yet
	err    error  // the store's error, for the log
}

// Refusal is a row of the table of refusals, for the conformance statement.
type Refusal struct {
	Status  uint16
	ErrorID uint16 // 0: none
	Comment string // Error Comment (0000,0902), at most 64 characters
	Reason  string // for people
}

// The refusals. Every one of them is in the table Refusals.
var (
	reasonStatusAtCreate = refusal{
		status: dimse.Status{
			Code: dimse.InvalidAttributeValue, Comment: "Performed Procedure Step Status must be IN PROGRESS",
			Offending: []uint32{uint32(dataset.PerformedProcedureStepStatus)},
		},
		reason: "A new step must have the status IN PROGRESS.", keep: true,
	}
	reasonStatusAtSet = refusal{
		status: dimse.Status{
			Code: dimse.InvalidAttributeValue, Comment: "Performed Procedure Step Status is not known",
			Offending: []uint32{uint32(dataset.PerformedProcedureStepStatus)},
		},
		reason: "The status of the step is none that DICOM knows.", keep: true,
	}
	reasonUndecodable = refusal{
		status: dimse.Status{Code: dimse.ProcessingFailure, Comment: "Data set cannot be decoded"},
		reason: "The data set of the report cannot be read.", keep: true,
	}
	reasonTooLarge = refusal{
		status: dimse.Status{Code: dimse.ResourceLimitation, Comment: "Data set exceeds the limits"},
		reason: "The data set of the report is too large or too deep.", keep: true,
	}
	reasonInvalidUID = refusal{
		status: dimse.Status{Code: dimse.InvalidSOPInstance, Comment: "SOP Instance UID is not a UID"},
		reason: "The SOP Instance UID of the report is not a UID.", keep: true,
	}
	reasonNoInstanceUID = refusal{
		status: dimse.Status{Code: dimse.NoSuchSOPInstance, Comment: "Requested SOP Instance UID is missing"},
		reason: "The report does not say which step it belongs to.", keep: true,
	}
	reasonDuplicate = refusal{
		status: dimse.Status{Code: dimse.DuplicateSOPInstance, Comment: "Performed Procedure Step exists already"},
		reason: "The step was reported before.",
	}
	reasonUnknown = refusal{
		status: dimse.Status{Code: dimse.NoSuchSOPInstance, Comment: "Performed Procedure Step is not known"},
		reason: "The beginning of this step was never reported.",
	}
	reasonFinal = refusal{
		status: dimse.Status{
			Code: dimse.ProcessingFailure, ErrorID: errorIDFinal,
			Comment: "Performed Procedure Step Object may no longer be updated",
		},
		reason: "The step has already ended.",
	}
	reasonNoSpace = refusal{
		status: dimse.Status{Code: dimse.ResourceLimitation, Comment: "No space to store the report, try again later"},
		reason: "There is no space to store the report.",
	}
	reasonFailed = refusal{
		status: dimse.Status{Code: dimse.ProcessingFailure, Comment: "The report could not be stored"},
		reason: "The report could not be stored.",
	}
)

// Refusals returns every answer of the service other than success.
func Refusals() []Refusal {
	var all []Refusal
	for _, r := range []refusal{
		reasonStatusAtCreate, reasonStatusAtSet, reasonUndecodable, reasonFinal, reasonFailed, reasonDuplicate,
		reasonUnknown, reasonNoInstanceUID, reasonInvalidUID, reasonTooLarge, reasonNoSpace,
	} {
		all = append(all, Refusal{
			Status: r.status.Code, ErrorID: r.status.ErrorID, Comment: r.status.Comment, Reason: r.reason,
		})
	}
	return all
}

// refuse returns a copy of r.
func refuse(r refusal) *refusal { return &r }

// failed translates an error of the store; nil stays nil.
func failed(err error) *refusal {
	var r refusal
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrDuplicate):
		r = reasonDuplicate
	case errors.Is(err, ErrUnknown):
		r = reasonUnknown
	case errors.Is(err, ErrFinal):
		r = reasonFinal
	case errors.Is(err, ErrNoSpace):
		r = reasonNoSpace
	default:
		r = reasonFailed
	}
	r.err = err
	return &r
}
