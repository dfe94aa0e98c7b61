package dimse

import (
	"errors"
	"fmt"
	"strings"
)

// Status codes (PS3.7 Annex C, PS3.4 Annexes F and K).
const (
	Success        uint16 = 0x0000
	Pending        uint16 = 0xFF00 // one more answer
	PendingWarning uint16 = 0xFF01 // one more answer; an optional key was not used for matching
	Cancel         uint16 = 0xFE00

	OutOfResources     uint16 = 0xA700
	IdentifierMismatch uint16 = 0xA900 // the identifier is not a data set we can read
	UnableToProcess    uint16 = 0xC001
	Deadline           uint16 = 0xC002

	NoSuchAttribute        uint16 = 0x0105
	InvalidAttributeValue  uint16 = 0x0106
	AttributeListError     uint16 = 0x0107
	ProcessingFailure      uint16 = 0x0110
	DuplicateSOPInstance   uint16 = 0x0111
	NoSuchSOPInstance      uint16 = 0x0112
	InvalidArgumentValue   uint16 = 0x0115
	ValueOutOfRange        uint16 = 0x0116
	InvalidSOPInstance     uint16 = 0x0117
	NoSuchSOPClass         uint16 = 0x0118
	ClassInstanceConflict  uint16 = 0x0119
	MissingAttribute       uint16 = 0x0120
	MissingAttributeValue  uint16 = 0x0121
	SOPClassNotSupported   uint16 = 0x0122 // not on this presentation context
	NotAuthorized          uint16 = 0x0124
	DuplicateInvocation    uint16 = 0x0210
	UnrecognizedOperation  uint16 = 0x0211
	MistypedArgument       uint16 = 0x0212
	ResourceLimitation     uint16 = 0x0213
	maxErrorComment               = 64 // characters of (0000,0902), VR LO
	commentAnswers                = "too many matches"
	commentIdentifier             = "identifier is too large"
	commentDataSet                = "data set is too large"
	commentMemory                 = "out of memory, try again"
	commentDeadline               = "deadline reached"
	commentInternal               = "internal failure"
	commentNotOnContext           = "SOP class is not on this context"
	commentMissingArgument        = "a required element is missing"
)

// Status is the final status of an operation other than plain success. A
// handler returns it as an error; a client gets it as one.
type Status struct {
	Code uint16
	// Comment is the Error Comment (0000,0902). It is cut to 64 characters,
	// what is not ASCII becomes a question mark. It must hold no patient data.
	Comment   string
	ErrorID   uint16   // (0000,0903); 0 means none
	Offending []uint32 // (0000,0901), tags as group<<16|element
}

func (s Status) Error() string {
	text := fmt.Sprintf("dimse: status %04X", s.Code)
	if name := statusText(s.Code); name != "" {
		text += " (" + name + ")"
	}
	if s.Comment != "" {
		text += ": " + s.Comment
	}
	return text
}

// Is reports whether target is a Status with the same code.
func (s Status) Is(target error) bool {
	t, ok := target.(Status) // errors.Is does the unwrapping
	return ok && t.Code == s.Code
}

// StatusOf returns the Status err is or wraps.
func StatusOf(err error) (Status, bool) {
	var s Status
	ok := errors.As(err, &s)
	return s, ok
}

// IsPending reports whether code announces more responses.
func IsPending(code uint16) bool { return code == Pending || code == PendingWarning }

// isWarning reports whether code means success with a remark (PS3.7 Annex C).
func isWarning(code uint16) bool {
	return code == 0x0001 || code == AttributeListError || code == ValueOutOfRange || code&0xF000 == 0xB000
}

func statusText(code uint16) string {
	switch code {
	case Success:
		return "success"
	case Pending, PendingWarning:
		return "pending"
	case Cancel:
		return "cancelled"
	case OutOfResources:
		return "out of resources"
	case IdentifierMismatch:
		return "identifier does not match the SOP class"
	case NoSuchAttribute:
		return "no such attribute"
	case InvalidAttributeValue:
		return "invalid attribute value"
	case ProcessingFailure:
		return "processing failure"
	case DuplicateSOPInstance:
		return "duplicate SOP instance"
	case NoSuchSOPInstance:
		return "no such SOP instance"
	case InvalidSOPInstance:
		return "invalid SOP instance"
	case NoSuchSOPClass:
		return "no such SOP class"
	case ClassInstanceConflict:
		return "class-instance conflict"
	case MissingAttribute:
		return "missing attribute"
	case MissingAttributeValue:
		return "missing attribute value"
	case SOPClassNotSupported:
		return "SOP class not supported"
	case NotAuthorized:
		return "not authorized"
	case DuplicateInvocation:
		return "duplicate invocation"
	case UnrecognizedOperation:
		return "unrecognized operation"
	case MistypedArgument:
		return "mistyped argument"
	case ResourceLimitation:
		return "resource limitation"
	}
	if code&0xF000 == 0xC000 {
		return "unable to process"
	}
	return ""
}

// comment makes s fit for (0000,0902).
func comment(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7F:
			return ' '
		case r > '~' || r == '\\':
			return '?'
		}
		return r
	}, s)
	if len(s) > maxErrorComment {
		s = s[:maxErrorComment]
	}
	return strings.TrimSpace(s)
}
