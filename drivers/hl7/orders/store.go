package orders

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// Key recognises a message that comes again: the same sender, control id and
// bytes. The same control id with other bytes is another message.
type Key struct {
	SendingApplication, SendingFacility, ControlID string
	Hash                                           string // SHA-256 of the bytes, hexadecimal
}

// Received is one message as it came, with what was understood of it.
type Received struct {
	Key      Key
	Profile  *Profile // of the peer; nil when it is not known
	Peer     netip.AddrPort
	At       time.Time
	Type     string // MSH-9
	Raw      []byte
	Message  *hl7.Message // nil when it cannot be read
	Reports  []Report
	Ignored  bool     // ADT and SIU: accepted, without any effect
	Test     bool     // MSH-11 = T or D: to be kept, not to be applied
	Ack      *hl7.Ack // an acknowledgement to a message of ours that was answered CA
	AckClass Result   // what Ack means

	// Refused says why the message is not accepted; "" when it is.
	Refused string
	// Answer goes back to the peer; nil when none is wanted. Later is the
	// application acknowledgement of enhanced mode: to be sent to the peer as a
	// message of its own.
	Answer, Later []byte
}

// Store keeps what comes in. Receive is called on the connection's goroutine,
// several at once.
type Store interface {
	// Receive keeps the message and what follows from it, and returns after the
	// commit the answer to send: r.Answer, kept with the message, or when r.Key is
	// known the answer kept then, without any other effect. A refused message is
	// kept for people and never found again by its key.
	//
	// With an error nothing was kept: the peer is told to send again.
	Receive(ctx context.Context, r *Received) (answer []byte, err error)
}

// ErrNoSpace is for a Store whose disk is full.
var ErrNoSpace = errors.New("orders: no space to store the message")
