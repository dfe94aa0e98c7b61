package orders

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// SenderConfig configures a Sender. Only Profile must be set.
type SenderConfig struct {
	Profile Profile
	// TLS, when it is not nil, makes the sender speak TLS; see [mllp.Pin].
	TLS *tls.Config
	// OnStray hears of answers that belong to no message in flight, with their
	// bytes; they change nothing. ack is nil when they are no acknowledgement. An
	// application acknowledgement to a message that was answered CA comes this way
	// when the peer sends it over the connection of that message.
	OnStray func(raw []byte, ack *hl7.Ack, reason error)
	// ConnectTimeout bounds connecting, default 10 s.
	ConnectTimeout time.Duration
}

// Sender sends messages to one peer, one at a time.
type Sender struct {
	profile Profile
	client  *mllp.Client
}

// NewSender returns a sender. It connects with the first message.
func NewSender(c SenderConfig) *Sender {
	s := &Sender{profile: c.Profile}
	s.client = mllp.NewClient(mllp.ClientConfig{
		Address: c.Profile.Address, TLS: c.TLS, Persistent: !c.Profile.CloseAfterEach, MinGap: c.Profile.MinGap,
		ConnectTimeout: c.ConnectTimeout, AnswerTimeout: c.Profile.Timeout,
		OnStray: func(raw []byte, reason error) {
			if c.OnStray == nil {
				return
			}
			if a, err := hl7.ParseAck(raw, s.options()); err == nil {
				c.OnStray(raw, &a, reason)
				return
			}
			c.OnStray(raw, nil, reason)
		},
	})
	return s
}

// options are how the peer's messages are read: MSH-18, else the set it is sent.
func (s *Sender) options() hl7.Options { return readOptions(&s.profile) }

func readOptions(p *Profile) hl7.Options {
	if p.CharsetIn != "" && hl7.KnownCharset(p.CharsetIn) {
		return hl7.Options{Charset: p.CharsetIn}
	}
	if p.Charset != "" && hl7.KnownCharset(p.Charset) && p.Charset != "ASCII" {
		return hl7.Options{Default: p.Charset}
	}
	return hl7.Options{}
}

// Send sends one message as it is and waits for its answer: one whose MSA-2 is the
// message's MSH-10, whatever its type. The result is valid with an error too,
// which says why there is no answer and is of type [mllp.SendError].
func (s *Sender) Send(ctx context.Context, message []byte) (Result, error) {
	id := hl7.PeekHeader(message).ControlID
	if !validControlID(id) {
		return Result{Class: Park, Text: "the message has no control id"}, ErrControlID
	}
	raw, err := s.client.Send(ctx, message, func(answer []byte) (ours, final bool) {
		a, err := hl7.ParseAck(answer, s.options())
		return err == nil && a.ControlID == id, true
	})
	if err != nil {
		return ClassifyError(&s.profile, err), err
	}
	a, err := hl7.ParseAck(raw, s.options())
	if err != nil { // match has read it
		return Result{Class: Retry, MaxTries: s.profile.maxTries(), Unknown: true, Answer: raw}, errors.Join(mllp.ErrBadAnswer, err)
	}
	r := Classify(&s.profile, a)
	r.Answer = raw
	return r, nil
}

// Disconnect closes the connection between two messages; the next one opens it
// again.
func (s *Sender) Disconnect() { s.client.Disconnect() }

// Close closes the sender, after the message in flight.
func (s *Sender) Close() error { return s.client.Close() }
