package client

import (
	"fmt"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// StepName names a step of connecting.
type StepName string

// The steps in their order.
const (
	StepLookup    StepName = "name"      // the relay's or the proxy's name is looked up
	StepTCP       StepName = "tcp"       // a connection is made
	StepProxy     StepName = "proxy"     // the proxy lets it through
	StepTLS       StepName = "tls"       // the relay shows its certificate
	StepUpgrade   StepName = "upgrade"   // the websocket is accepted
	StepChallenge StepName = "challenge" // the relay speaks first
	StepWelcome   StepName = "welcome"   // the relay knows us
	StepEvent     StepName = "event"     // an event comes through
	StepOpen      StepName = "open"      // the connection was open
)

// Error is how an attempt to connect failed, or how a connection ended.
type Error struct {
	Step StepName
	// Code is what the relay said, CloseUnknownCode when it said nothing.
	Code wire.CloseCode
	// Retry is the wait the relay asked for, 0 for none.
	Retry time.Duration
	// Err is the cause, in words for people.
	Err error

	// ours is the code we closed with, when the relay broke the protocol.
	ours    wire.CloseCode
	problem *problem.Error
}

// Error implements error.
func (e *Error) Error() string {
	s := "tunnel: " + string(e.Step)
	if e.Code != wire.CloseUnknownCode {
		s += fmt.Sprintf(": the relay said %d (%s)", int(e.Code), e.Code.Text())
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Problem returns what to tell people, or nil when the failure has no code of its own.
func (e *Error) Problem() *problem.Error { return e.problem }

func failed(step StepName, err error) *Error { return &Error{Step: step, Err: err} }

// saidBy completes e with what a code of the relay means to people.
func (e *Error) saidBy(relay string) *Error {
	args := problem.Args{"relay": relay, "reason": e.Code.Text()}
	switch e.Code { //nolint:exhaustive // the others are no more than a tunnel that is down
	case wire.Close4401, wire.Close4403:
		e.problem = problem.New(problem.TunnelRefused, args, e)
	case wire.Close4409, wire.Close4410:
		e.problem = problem.New(problem.TunnelElsewhere, args, e)
	case wire.Close4426:
		e.problem = problem.New(problem.TunnelVersion, args, e)
	}
	return e
}

// clock says that the certificate of host does not fit this computer's clock.
func clock(host, skew string, err error) *Error {
	e := failed(StepTLS, err)
	e.problem = problem.New(problem.ClockSkew, problem.Args{"skew": skew, "host": host}, e)
	return e
}
