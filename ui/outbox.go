package ui

import (
	"net/http"
	"slices"
	"strings"
)

func (s *Server) outbox(_ http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	f := OutboxFilter{Destination: q.Get("destination"), State: q.Get("state"), Accession: q.Get("accession"), All: flag(r, "all")}
	if f.State != "" && !slices.Contains([]string{"ready", "leased", "parked", "delivered", "dropped"}, f.State) {
		return nil, usage("state must be ready, leased, parked, delivered or dropped")
	}
	var err error
	if f.Limit, err = number(r, "limit", 1000, 200); err != nil {
		return nil, err
	}
	return list(s.cfg.Appliance.Outbox(r.Context(), f))
}

func (s *Server) retryMessage(_ http.ResponseWriter, r *http.Request) (any, error) {
	n, err := id(r)
	if err != nil {
		return nil, err
	}
	return nil, s.cfg.Appliance.RetryMessage(r.Context(), n)
}

func (s *Server) retryOutbox(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		Destination string `json:"destination"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	n, err := s.cfg.Appliance.RetryOutbox(r.Context(), in.Destination)
	return Count{Count: n}, err
}

func (s *Server) pause(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		Reason string `json:"reason"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	return nil, s.cfg.Appliance.PauseDestination(r.Context(), r.PathValue("destination"), strings.TrimSpace(in.Reason))
}

func (s *Server) resume(_ http.ResponseWriter, r *http.Request) (any, error) {
	return nil, s.cfg.Appliance.ResumeDestination(r.Context(), r.PathValue("destination"))
}

func (s *Server) arrivals(_ http.ResponseWriter, r *http.Request) (any, error) {
	return list(s.cfg.Appliance.Arrivals(r.Context(), flag(r, "all")))
}

func (s *Server) linkArrival(_ http.ResponseWriter, r *http.Request) (any, error) {
	n, err := id(r)
	if err != nil {
		return nil, err
	}
	var in struct {
		AccessionNumber string `json:"accession_number"`
		Reason          string `json:"reason"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	if in.AccessionNumber == "" {
		return nil, usage("accession_number is needed")
	}
	return s.cfg.Appliance.LinkArrival(r.Context(), n, in.AccessionNumber, strings.TrimSpace(in.Reason))
}
