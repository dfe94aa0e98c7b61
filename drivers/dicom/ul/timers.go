package ul

import (
	"errors"
	"fmt"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

var (
	errIdle    = errors.New("ul: nothing happened for too long")
	errSlowPDU = errors.New("ul: a PDU was not completed in time")
	errSlowMsg = errors.New("ul: a message was not completed in time")
)

// before arms the read deadline. A deadline that is too early is left as it is:
// when it fires the wait is judged again, which is cheaper than to set it for
// every PDU.
func (a *Association) before(started bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause != nil {
		return a.cause
	}
	if a.state == Sta13 {
		return nil // whoever ended the association has set the deadline
	}
	now := time.Now()
	if started && a.begun.IsZero() {
		a.begun = now
	}
	want := a.wanted(now)
	if a.armed.IsZero() || want.Before(a.armed) {
		a.armed = want
		return a.conn.SetReadDeadline(want)
	}
	return nil
}

// wanted returns when the current wait ends.
func (a *Association) wanted(now time.Time) time.Time {
	if !a.limit.IsZero() {
		return a.limit
	}
	var want time.Time
	if !a.msg.IsZero() {
		want = a.msg.Add(a.lim.Message)
	}
	if !a.begun.IsZero() {
		if t := a.begun.Add(a.lim.PDU); want.IsZero() || t.Before(want) {
			want = t
		}
	}
	if !want.IsZero() {
		return want
	}
	if a.busy.Load() {
		return now.Add(a.lim.Idle)
	}
	return a.idle.Add(a.lim.Idle)
}

// timedOut judges a read deadline that has fired. nil means: go on reading.
func (a *Association) timedOut() error {
	a.mu.Lock()
	if a.cause != nil {
		defer a.mu.Unlock()
		return a.cause
	}
	if a.state == Sta13 || a.state == Sta1 {
		defer a.mu.Unlock()
		a.state = Sta1 // Evt18: AA-2
		if a.end != nil {
			return a.end
		}
		return ErrEnded
	}
	now := time.Now()
	a.armed = time.Time{}
	if now.Before(a.wanted(now)) {
		a.mu.Unlock()
		return nil
	}
	state, limit, msg, begun := a.state, a.limit, a.msg, a.begun
	a.mu.Unlock()
	switch {
	case state == Sta2: // Evt18: AA-2, close without a word
		return a.over(fmt.Errorf("%w: no A-ASSOCIATE-RQ", ErrTimeout))
	case !limit.IsZero():
		return a.over(ErrTimeout)
	case !msg.IsZero() && now.Sub(msg) >= a.lim.Message:
		return a.fail(pdu.AbortByProvider, pdu.AbortNotSpecified, errSlowMsg)
	case !begun.IsZero():
		return a.fail(pdu.AbortByProvider, pdu.AbortNotSpecified, errSlowPDU)
	}
	return a.fail(pdu.AbortByUser, pdu.AbortNotSpecified, errIdle)
}

// SetLimit sets an absolute limit for what Next and Release wait for; the zero
// time takes it back and leaves the limits for idle associations, started PDUs
// and messages.
func (a *Association) SetLimit(t time.Time) {
	a.mu.Lock()
	a.limit = t
	a.mu.Unlock()
}

// SetBusy tells that an operation is running: the association is not idle
// meanwhile. The idle time starts again when the operation ends.
func (a *Association) SetBusy(busy bool) {
	a.busy.Store(busy)
	if !busy {
		a.mu.Lock()
		a.idle = time.Now()
		a.mu.Unlock()
	}
}

// MessageBegun and MessageEnded bound the time a message may take to arrive.
func (a *Association) MessageBegun() {
	a.mu.Lock()
	if a.msg.IsZero() {
		a.msg = time.Now()
	}
	a.mu.Unlock()
}

// MessageEnded: see MessageBegun.
func (a *Association) MessageEnded() {
	a.mu.Lock()
	a.msg = time.Time{}
	a.mu.Unlock()
}

// Interrupt makes every call that waits, and every later one, return cause.
func (a *Association) Interrupt(cause error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause == nil && !a.closed {
		a.cause = cause
		_ = a.conn.SetDeadline(time.Unix(1, 0))
	}
}
