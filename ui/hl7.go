package ui

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Received are the messages that came by HL7, as they came.
type Received interface {
	// HL7Messages returns messages, newest first.
	HL7Messages(ctx context.Context, f HL7Filter) ([]HL7Message, error)
	// HL7Bytes returns the bytes of a message, while they are kept, and leaves an
	// audit line. A number that nothing has is RH-514.
	HL7Bytes(ctx context.Context, id int64) ([]byte, error)
}

// HL7Filter selects messages; the zero value is the newest 200 of all.
type HL7Filter struct {
	Outcome string // one of HL7Outcomes; empty: all
	Limit   int    // 1 to 1000; 0 means 200
}

// HL7Outcomes is what can become of a message.
var HL7Outcomes = []string{"applied", "unmatched", "answer", "test", "ignored", "refused"}

// HL7Message is a message without its content.
type HL7Message struct {
	ID        int64     `json:"id"`
	At        time.Time `json:"at"`
	RIS       string    `json:"ris"` // empty: not known
	Address   string    `json:"address"`
	Type      string    `json:"type"` // MSH-9
	ControlID string    `json:"control_id"`
	Outcome   string    `json:"outcome"`
	Refused   string    `json:"refused,omitempty"` // why it was not accepted
	Bytes     int64     `json:"bytes"`
	Kept      bool      `json:"kept"` // its bytes are there still
}

func (s *Server) hl7Messages(_ http.ResponseWriter, r *http.Request) (any, error) {
	f := HL7Filter{Outcome: r.URL.Query().Get("outcome")}
	if f.Outcome != "" && !slices.Contains(HL7Outcomes, f.Outcome) {
		return nil, usage("outcome must be applied, unmatched, answer, test, ignored or refused")
	}
	var err error
	if f.Limit, err = number(r, "limit", 1000, 200); err != nil {
		return nil, err
	}
	return list(s.cfg.Appliance.HL7Messages(r.Context(), f))
}

// hl7Bytes sends a message as it came, to be saved and not to be shown.
func (s *Server) hl7Bytes(w http.ResponseWriter, r *http.Request) (any, error) {
	n, err := id(r)
	if err != nil {
		return nil, err
	}
	b, err := s.cfg.Appliance.HL7Bytes(r.Context(), n)
	if err != nil {
		return nil, err
	}
	takesLong(w, s.cfg.Log)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Header().Set("Content-Disposition", `attachment; filename="message-`+strconv.FormatInt(n, 10)+`.hl7"`)
	_, _ = w.Write(b) // the other side is gone; nothing to do about it
	return answered, nil
}
