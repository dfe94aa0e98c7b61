package dimse

import (
	"errors"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// Errors in the sequence of fragments; each ends the association with A-ABORT 2,6.
var (
	errTwoContexts   = errors.New("dimse: one message on two presentation contexts")
	errEarlyData     = errors.New("dimse: data set before the command set is complete")
	errEarlyCommand  = errors.New("dimse: command set before the data set is complete")
	errCommandLimit  = errors.New("dimse: command set is too long")
	errNotAsked      = errors.New("dimse: a response nobody asked for")
	errNoSuchMessage = errors.New("dimse: a request where a response was expected")
)

// message is one message as it arrives (PS3.7 6.3, PS3.8 Annex E).
type message struct {
	started   bool
	contextID byte
	command   Command
	complete  bool   // the command set is
	set       []byte // fragments of the command set
	data      []byte
	duplicate bool // the message id is that of the operation still running
	dropped   bool // the data set was too large: what arrives is thrown away
	noMemory  bool // ... because the budget was exhausted
}

func (m *message) reset() {
	*m = message{set: m.set[:0], data: m.data[:0]}
}

// add takes the next fragment. done means that the message is complete,
// command that just now the command set is. limitOf is asked for the longest
// data set once the command is known; reserve before data grows by n bytes.
func (m *message) add(v pdu.PDV, commandLimit int) (command bool, err error) {
	if !m.started {
		m.started, m.contextID = true, v.ContextID
	} else if v.ContextID != m.contextID {
		return false, errTwoContexts
	}
	switch {
	case m.complete:
		return false, errEarlyCommand
	case len(m.set)+len(v.Data) > commandLimit:
		return false, errCommandLimit
	case v.Last && len(m.set) == 0:
		err = m.command.Decode(v.Data) // the usual case: nothing to copy
	default:
		m.set = append(m.set, v.Data...)
		if !v.Last {
			return false, nil
		}
		err = m.command.Decode(m.set)
	}
	m.complete = true
	return true, err
}

// addData takes a fragment of the data set. reserve is asked before the data
// grow beyond what is free.
func (m *message) addData(v pdu.PDV, limit int, reserve func(n int) bool) error {
	switch {
	case !m.started || !m.complete:
		return errEarlyData
	case v.ContextID != m.contextID:
		return errTwoContexts
	case m.dropped:
		return nil
	case len(m.data)+len(v.Data) > limit:
		m.drop()
		return nil
	}
	if need := len(m.data) + len(v.Data); need > cap(m.data) {
		size := min(max(2*cap(m.data), need, 1024), max(limit, need))
		if size > freeMessage && !reserve(size-max(cap(m.data), freeMessage)) {
			m.noMemory = true
			m.drop()
			return nil
		}
		grown := make([]byte, len(m.data), size)
		copy(grown, m.data)
		m.data = grown
	}
	m.data = append(m.data, v.Data...)
	return nil
}

func (m *message) drop() {
	m.dropped = true
	m.data = nil
}
