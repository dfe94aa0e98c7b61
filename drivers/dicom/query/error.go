package query

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// Step names a part of an exchange.
type Step string

// The steps at which an exchange can fail.
const (
	StepConnect   Step = "connect"   // TCP and TLS
	StepAssociate Step = "associate" // A-ASSOCIATE
	StepNegotiate Step = "negotiate" // the service was not accepted
	StepEcho      Step = "echo"      // C-ECHO
	StepFind      Step = "find"      // C-FIND
	StepAnswer    Step = "answer"    // an answer that cannot be read
)

// Error says at which step an exchange failed, with whom, and as whom we asked.
type Error struct {
	Step           Step
	CalledAETitle  string
	CallingAETitle string
	Address        string
	Reason         string // for people, one clause, no personal data
	Err            error  // the cause
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("query: %s with %s@%s as %s: %s", e.Step, e.CalledAETitle, e.Address, e.CallingAETitle, e.Reason)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// problem returns err as problem RH-307 around an *Error.
func (t Target) problem(step Step, err error) error {
	e := &Error{Step: step, CalledAETitle: t.CalledAETitle, CallingAETitle: t.calling(), Address: t.Address, Err: err}
	e.Reason = t.reason(e)
	return problem.New(problem.DICOMPeer, problem.Args{"peer": t.String(), "reason": e.Reason}, e)
}

// reason says in one clause what happened. It may correct the step.
func (t Target) reason(e *Error) string {
	var (
		connect  *dimse.ConnectError
		rejected *dimse.RejectedError
		aborted  *dimse.AbortedError
		status   dimse.Status
		syntax   *dataset.SyntaxError
		limit    *dataset.LimitError
	)
	switch err := e.Err; {
	case errors.As(err, &connect):
		e.Step = StepConnect
		return "no connection: " + connectReason(connect.Err)
	case errors.As(err, &rejected):
		return t.rejection(rejected.Reject)
	case errors.As(err, &aborted):
		return fmt.Sprintf("it ended the association at the step %q (A-ABORT, source %d, reason %d)", e.Step, aborted.Source, aborted.Reason)
	case errors.As(err, &status):
		return statusReason(status)
	case errors.Is(err, dimse.ErrNotAccepted), e.Step == StepNegotiate:
		return fmt.Sprintf("%s accepts the association but not this service", t.CalledAETitle)
	case errors.As(err, &syntax), errors.As(err, &limit):
		return "it sent an answer that cannot be read"
	case errors.Is(err, context.Canceled):
		return fmt.Sprintf("stopped at the step %q", e.Step)
	case errors.Is(err, ul.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("no answer in time at the step %q", e.Step)
	case errors.Is(err, ul.ErrLost):
		return fmt.Sprintf("it closed the connection at the step %q", e.Step)
	}
	return fmt.Sprintf("the step %q failed", e.Step)
}

// rejection says what an A-ASSOCIATE-RJ means and what was offered.
func (t Target) rejection(r dimse.Reject) string {
	switch [2]byte{r.Source, r.Reason} {
	case [2]byte{1, 3}:
		return fmt.Sprintf("it does not know our AE title %s", t.calling())
	case [2]byte{1, 7}:
		return fmt.Sprintf("it is not called %s", t.CalledAETitle)
	case [2]byte{1, 2}:
		return "it does not speak DICOM's application context"
	case [2]byte{3, 1}, [2]byte{3, 2}:
		return "it has too much to do, try again later"
	}
	return fmt.Sprintf("it refused the association of %s with %s (%s)", t.calling(), t.CalledAETitle, r)
}

// statusReason says what a failure status means.
func statusReason(s dimse.Status) string {
	text := fmt.Sprintf("it answered with status %04X", s.Code)
	switch s.Code {
	case dimse.OutOfResources:
		text += " (out of resources: too many matches)"
	case dimse.IdentifierMismatch:
		text += " (it does not understand the query)"
	case dimse.NotAuthorized:
		text += " (not allowed)"
	case dimse.SOPClassNotSupported:
		text += " (service not supported)"
	}
	if s.Comment != "" {
		text += ": " + s.Comment
	}
	return text
}

// connectReason says why there is no connection.
func connectReason(err error) string {
	var (
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		host      x509.HostnameError
		record    tls.RecordHeaderError
		timeout   interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &dns):
		return "the name " + dns.Name + " is not known"
	case errors.As(err, &unknownCA), errors.As(err, &host):
		return "its certificate is not trusted"
	case errors.As(err, &record):
		return "it does not speak TLS on this port"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "nothing listens there, or it cannot be reached"
}
