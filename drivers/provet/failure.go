package provet

import (
	"errors"
	"fmt"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

// ErrGone says that Provet Cloud no longer knows the order (HTTP 404 or 410).
var ErrGone = errors.New("provet: the order is gone")

// ErrWithdrawn says that Provet Cloud shows the order as withdrawn, so nothing
// was written over that.
var ErrWithdrawn = errors.New("provet: the order was withdrawn")

// ErrUnmapped says that no value is configured for a state, so nothing was sent.
var ErrUnmapped = errors.New("provet: no status value is configured for this state")

// Class says what a failure means for the one who waits.
type Class uint8

// The classes.
const (
	Transient   Class = iota + 1 // try again later: 408, 5xx, broken connection
	Destination                  // Provet cannot be reached or is not there: hold everything
	Permanent                    // refused; trying again changes nothing
	Auth                         // credentials refused, even with a new token
	Permission                   // 403: the integration's user may not
	RateLimited                  // 429, or our own budget is used up: wait RetryAfter
	Protocol                     // an answer we cannot read
)

// String returns the word for logs.
func (c Class) String() string {
	switch c {
	case Transient:
		return "transient"
	case Destination:
		return "destination"
	case Permanent:
		return "permanent"
	case Auth:
		return "auth"
	case Permission:
		return "permission"
	case RateLimited:
		return "rate limited"
	case Protocol:
		return "protocol"
	}
	return "unknown"
}

// Retry reports whether the same call may succeed later without anybody acting.
func (c Class) Retry() bool {
	return c == Transient || c == RateLimited || c == Protocol || c == Destination
}

// Error is a failed call.
type Error struct {
	Op         string // what was tried: "read", "list", "set status", "token", "probe"
	Resource   string // ours: "worklist", "client" ...
	Class      Class
	HTTPStatus int           // 0 when there was no answer
	RetryAfter time.Duration // how long to wait at least; 0: not stated
	Detail     string        // for people; no personal data, no secrets
	WrongBase  bool          // the address does not answer like Provet Cloud
	Unknown    bool          // a write that may or may not have happened
	Err        error         // the cause; may be nil

	fields []string // names of the fields that a 400 complained about
}

// Error returns the chain for logs.
func (e *Error) Error() string {
	s := fmt.Sprintf("provet: %s %s: %s", e.Op, e.Resource, e.Class)
	if e.HTTPStatus != 0 {
		s += fmt.Sprintf(", HTTP %d", e.HTTPStatus)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Problem returns the failure as a problem of the catalogue.
func (e *Error) Problem() *problem.Error {
	var fe *FieldError
	if errors.As(e.Err, &fe) {
		return fe.Problem()
	}
	if p := problem.Of(e.Err); p != nil {
		return p
	}
	reason := e.Detail
	if reason == "" {
		reason = e.Class.String()
		if e.HTTPStatus != 0 {
			reason = fmt.Sprintf("HTTP %d", e.HTTPStatus)
		}
	}
	switch e.Class {
	case Auth:
		return problem.New(problem.ProvetAuth, nil, e)
	case Permission:
		return problem.New(problem.ProvetPermission,
			problem.Args{"resource": e.Resource, "permission": permissionOf(e.Resource)}, e)
	case RateLimited:
		return problem.New(problem.ProvetLimit, problem.Args{"wait": e.RetryAfter.Round(time.Second).String()}, e)
	case Protocol:
		return problem.New(problem.ProvetAnswer, problem.Args{"resource": e.Resource, "reason": reason}, e)
	case Permanent:
		if e.Op == opSetStatus {
			return problem.New(problem.ReportRefused, problem.Args{"reason": reason}, e)
		}
		return problem.New(problem.ProvetAnswer, problem.Args{"resource": e.Resource, "reason": reason}, e)
	case Destination, Transient:
		if e.WrongBase {
			return problem.New(problem.ProvetBaseURL, problem.Args{"address": "base_url", "reason": reason}, e)
		}
	}
	return problem.New(problem.ProvetUnreachable, problem.Args{"reason": reason}, e)
}

// asError returns the Error in a chain.
func asError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Names of the operations in errors.
const (
	opRead      = "read"
	opList      = "list"
	opSetStatus = "set status"
	opToken     = "token"
	opProbe     = "probe"
	opHook      = "set up webhook"
)

// FieldError says that a logical field was not found in an answer.
type FieldError struct {
	Resource string
	Field    string   // logical name
	Tried    []string // candidates
	Seen     []string // names that were there, at most 60
}

// Error returns the sentence for logs.
func (e *FieldError) Error() string {
	return fmt.Sprintf("provet: no field for %s in %s (tried %v)", e.Field, e.Resource, e.Tried)
}

// Problem returns RH-106.
func (e *FieldError) Problem() *problem.Error {
	return problem.New(problem.ProvetField, problem.Args{
		"field": e.Field, "resource": e.Resource, "tried": joinNames(e.Tried), "seen": joinNames(e.Seen),
	}, e)
}
