package problem

import "errors"

// Error is an error that speaks to two people: a code, a sentence and help for
// the one at the machine, a wrapped chain for us.
type Error struct {
	Code Code
	Args Args
	Err  error // the cause; may be nil
}

// New returns an error with a code of the catalogue.
func New(code Code, args Args, cause error) *Error {
	return &Error{Code: code, Args: args, Err: cause}
}

// Error returns the chain, for logs: the code, the sentence, the cause.
func (e *Error) Error() string {
	s := string(e.Code) + " " + e.Sentence()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Sentence returns the text of the catalogue with its places filled.
func (e *Error) Sentence() string {
	d, ok := Lookup(e.Code)
	if !ok {
		return "an unknown problem"
	}
	return fill(d.Text, e.Args)
}

// Help returns what to do next.
func (e *Error) Help() string {
	d, _ := Lookup(e.Code)
	return fill(d.Help, e.Args)
}

// Of returns the first Error in err's chain, or nil. An error with the method
// Problem() *Error counts as what that returns.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var has interface {
		error
		Problem() *Error
	}
	if errors.As(err, &has) {
		return has.Problem()
	}
	return nil
}
