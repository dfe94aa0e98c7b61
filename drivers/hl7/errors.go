package hl7

import "fmt"

// Message error condition codes, HL7 table 0357, as they stand in ERR-3.
const (
	CodeAccepted               = "0"
	CodeSegmentSequence        = "100"
	CodeRequiredFieldMissing   = "101"
	CodeDataType               = "102"
	CodeTableValueNotFound     = "103"
	CodeUnsupportedMessageType = "200"
	CodeUnsupportedEvent       = "201"
	CodeUnsupportedProcessing  = "202"
	CodeUnsupportedVersion     = "203"
	CodeUnknownKey             = "204"
	CodeDuplicateKey           = "205"
	CodeRecordLocked           = "206"
	CodeInternalError          = "207"
)

// codeTexts are the texts of table 0357.
var codeTexts = map[string]string{
	CodeAccepted:               "Message accepted",
	CodeSegmentSequence:        "Segment sequence error",
	CodeRequiredFieldMissing:   "Required field missing",
	CodeDataType:               "Data type error",
	CodeTableValueNotFound:     "Table value not found",
	CodeUnsupportedMessageType: "Unsupported message type",
	CodeUnsupportedEvent:       "Unsupported event code",
	CodeUnsupportedProcessing:  "Unsupported processing id",
	CodeUnsupportedVersion:     "Unsupported version id",
	CodeUnknownKey:             "Unknown key identifier",
	CodeDuplicateKey:           "Duplicate key identifier",
	CodeRecordLocked:           "Application record locked",
	CodeInternalError:          "Application internal error",
}

// CodeText returns the text of a code of table 0357, "" when it has none.
func CodeText(code string) string { return codeTexts[code] }

// ParseError says why a message cannot be read. It holds nothing of the
// message but the place.
type ParseError struct {
	// Code is the code of table 0357 for ERR-3.
	Code string
	// Where is the place, such as "MSH-2" or "segment 12", "" when it is the whole.
	Where string
	// Text is one sentence without the final stop, fit for MSA-3.
	Text string
}

func (e *ParseError) Error() string {
	if e.Where == "" {
		return "hl7: " + e.Text
	}
	return fmt.Sprintf("hl7: %s: %s", e.Where, e.Text)
}

// LimitError is why a message is refused for its size.
type LimitError struct {
	What  string // "bytes", "segments", "fields of a segment", "elements"
	Limit int
	Where string // the segment, "" for the whole message
}

func (e *LimitError) Error() string {
	if e.Where != "" {
		return fmt.Sprintf("hl7: %s: more than %d %s", e.Where, e.Limit, e.What)
	}
	return fmt.Sprintf("hl7: more than %d %s", e.Limit, e.What)
}
