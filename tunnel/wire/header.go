package wire

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Kinds of events, the labels of inbound URLs.
const (
	KindCreated     = "worklist.created"
	KindUpdated     = "worklist.updated"
	KindDeleted     = "worklist.deleted"
	KindCredentials = "credentials" // Provet's automatic credential post
	KindTest        = "test"        // the connection test
)

// Kinds are all kinds of this version. An agent keeps events of kinds it does not
// know.
func Kinds() []string {
	return []string{KindCreated, KindUpdated, KindDeleted, KindCredentials, KindTest}
}

// EventHeader is the JSON header of an event. Of a sealed event it holds the first
// four fields and nothing else.
type EventHeader struct {
	Kind  string `json:"kind"`
	Size  int    `json:"size"`             // of the POST's body, bytes
	KeyID string `json:"key_id,omitempty"` // the sealing key, see [KeyID]
	Seal  int    `json:"seal,omitempty"`   // 0: not sealed; 1: see [Seal]

	Path       string            `json:"path,omitempty"`
	Query      string            `json:"query,omitempty"`
	RemoteAddr string            `json:"remote_addr,omitempty"`
	Header     map[string]string `json:"header,omitempty"`
}

// Request is one POST as the relay received it. Fields but the body are text: what
// is no UTF-8 in them arrives as U+FFFD.
type Request struct {
	Path       string            // what follows the secret, as sent
	Query      string            // without '?', as sent
	RemoteAddr string            // host or host:port of the sender
	Label      string            // the kind of its URL
	Header     map[string]string // content-type, content-encoding, user-agent, x-*; names in small letters
	Body       []byte            // byte by byte as it came
}

// ParseHeader reads the header of an event.
func ParseHeader(b []byte) (EventHeader, error) {
	var h EventHeader
	if len(b) > MaxHeader {
		return h, fmt.Errorf("%w: an event's header of %d bytes", ErrTooLarge, len(b))
	}
	if !utf8.Valid(b) {
		return h, fmt.Errorf("%w: an event's header is no UTF-8", ErrMalformed)
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return EventHeader{}, fmt.Errorf("%w: an event's header: %w", ErrMalformed, err)
	}
	switch {
	case !ValidID(h.Kind):
		return EventHeader{}, fmt.Errorf("%w: an event's kind", ErrMalformed)
	case h.Size < 0 || h.Size > MaxBody:
		return EventHeader{}, fmt.Errorf("%w: an event's size", ErrMalformed)
	case h.Seal < 0, h.Seal > 0 && !ValidID(h.KeyID):
		return EventHeader{}, fmt.Errorf("%w: an event's seal", ErrMalformed)
	}
	return h, nil
}

// Plain returns header and body of an event that is not sealed. It fails when r has
// more fields than a header holds.
func Plain(kind string, r Request) (header, body []byte, err error) {
	if !ValidID(kind) {
		return nil, nil, fmt.Errorf("%w: an event's kind", ErrMalformed)
	}
	if len(r.Body) > MaxBody {
		return nil, nil, fmt.Errorf("%w: a body of %d bytes", ErrTooLarge, len(r.Body))
	}
	header, err = json.Marshal(EventHeader{
		Kind: kind, Size: len(r.Body),
		Path: r.Path, Query: r.Query, RemoteAddr: r.RemoteAddr, Header: r.Header,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("wire: %w", err)
	}
	if len(header) > MaxHeader {
		return nil, nil, fmt.Errorf("%w: a request's fields", ErrTooLarge)
	}
	return header, r.Body, nil
}
