package dataset

import "fmt"

// SyntaxError reports bytes that are no data set. It never contains a value.
type SyntaxError struct {
	Offset int    // of the element, in bytes from the start of the input
	Tag    Tag    // of the element, 0 when not even that could be read
	Reason string // a fixed sentence without values
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("dataset: %s at offset %d, %s", e.Reason, e.Offset, e.Tag)
}

// LimitError reports a data set that is larger than the reader was allowed to
// read.
type LimitError struct {
	What   string // "bytes", "elements" or "depth"
	Limit  int
	Offset int // where it was reached, in bytes from the start of the input
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("dataset: more than %d %s at offset %d", e.Limit, e.What, e.Offset)
}
