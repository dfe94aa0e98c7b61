package dimse

import (
	"errors"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// Steps of a conversation, named in errors.
const (
	StepConnect   = "connect"
	StepAssociate = "associate"
	StepEcho      = "echo"
	StepFind      = "find"
	StepCreate    = "create"
	StepSet       = "set"
	StepRelease   = "release"
)

// ConnectError reports that no connection came about.
type ConnectError struct {
	Address string
	Err     error
}

func (e *ConnectError) Error() string { return "dimse: connect to " + e.Address + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// StepError reports that a step failed for want of an answer: ul.ErrTimeout,
// ul.ErrLost or the end of a context.
type StepError struct {
	Step string
	Err  error
}

func (e *StepError) Error() string { return "dimse: " + e.Step + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }

// AbortedError reports that the association was aborted during a step.
type AbortedError struct {
	Step           string
	ByPeer         bool
	Source, Reason byte // PS3.8 Table 9-26
	Err            error
}

func (e *AbortedError) Error() string { return "dimse: " + e.Step + ": " + e.Err.Error() }

// Unwrap returns the upper layer's error.
func (e *AbortedError) Unwrap() error { return e.Err }

// stepError wraps an error of the upper layer with the step it met.
func stepError(step string, err error) error {
	var rejected *ul.RejectedError
	var aborted *ul.AbortedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &rejected):
		return rejected
	case errors.As(err, &aborted):
		return &AbortedError{Step: step, ByPeer: aborted.ByPeer, Source: aborted.Source, Reason: aborted.Reason, Err: aborted}
	}
	return &StepError{step, err}
}
