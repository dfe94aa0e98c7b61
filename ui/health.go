package ui

import (
	"net/http"

	"github.com/rayhound/rayhound/appliance/problem"
)

// healthz says that the process lives.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]bool{"ok": true})
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready bool           `json:"ready"`
	Codes []problem.Code `json:"codes"`
}

// readyz says whether the ports are open and the database answers.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	codes := s.cfg.Appliance.Ready(r.Context())
	if len(codes) == 0 {
		writeJSON(w, http.StatusOK, Readiness{Ready: true, Codes: []problem.Code{}})
		return
	}
	writeJSON(w, http.StatusServiceUnavailable, Readiness{Codes: codes})
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Metrics == nil {
		http.NotFound(w, r)
		return
	}
	s.cfg.Metrics.ServeHTTP(w, r)
}

func (s *Server) status(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.cfg.Appliance.Status(r.Context())
}

func (s *Server) problems(_ http.ResponseWriter, r *http.Request) (any, error) {
	return list(s.cfg.Appliance.Problems(r.Context(), flag(r, "all")))
}
