package ui

import (
	"context"
	"net/http"
	"time"
)

// Connections are what joins the clinic to its Provet Cloud: our webhooks there,
// and the credentials that Provet Cloud sends by itself.
type Connections interface {
	// Webhooks looks at our webhooks in Provet Cloud and changes nothing.
	Webhooks(ctx context.Context) (Webhooks, error)
	// RegisterWebhooks sets up what is missing and switches on what a person
	// switched off.
	RegisterWebhooks(ctx context.Context) (Webhooks, error)
	// OfferedCredentials returns the credentials that wait for a person, if any.
	OfferedCredentials(ctx context.Context) (OfferedCredentials, error)
	// DecideCredentials uses or drops the waiting credentials with that id.
	DecideCredentials(ctx context.Context, id string, accept bool) error
}

// Webhooks says how our webhooks in Provet Cloud are.
type Webhooks struct {
	Paired       bool      `json:"paired"` // false: there are no addresses yet
	OK           bool      `json:"ok"`     // all of them work
	Hooks        []Webhook `json:"hooks"`
	Notes        []string  `json:"notes"`
	Instructions string    `json:"instructions,omitempty"` // what to enter by hand, with the addresses, which are secrets
	Text         string    `json:"text"`                   // all of it for a terminal, with the addresses
	CheckedAt    time.Time `json:"checked_at,omitzero"`
}

// Webhook is one of our webhooks.
type Webhook struct {
	Trigger int    `json:"trigger"`
	Name    string `json:"name"`
	State   string `json:"state"`            // ok, created, changed, missing, outdated, disabled, forbidden, refused, unknown
	ID      string `json:"id,omitempty"`     // Provet Cloud's number
	Detail  string `json:"detail,omitempty"` // for people
}

// OfferedCredentials are credentials that wait for a person; ID is empty when
// there are none. The client secret is never shown.
type OfferedCredentials struct {
	ID          string    `json:"id,omitempty"`
	ProvetID    string    `json:"provet_id,omitempty"`
	BaseURL     string    `json:"base_url,omitempty"`
	ClientID    string    `json:"client_id,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	ReceivedAt  time.Time `json:"received_at,omitzero"`
	BaseURLNow  string    `json:"base_url_now,omitempty"` // in use
	ClientIDNow string    `json:"client_id_now,omitempty"`
}

func (s *Server) webhooks(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	return s.cfg.Appliance.Webhooks(r.Context())
}

func (s *Server) registerWebhooks(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	return s.cfg.Appliance.RegisterWebhooks(r.Context())
}

func (s *Server) offeredCredentials(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.cfg.Appliance.OfferedCredentials(r.Context())
}

func (s *Server) decideCredentials(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	action := r.PathValue("action")
	if action != "accept" && action != "drop" {
		return nil, usage("Credentials can be accepted or dropped")
	}
	return nil, s.cfg.Appliance.DecideCredentials(r.Context(), r.PathValue("id"), action == "accept")
}
