package ui

import (
	"errors"
	"net/http"

	"github.com/rayhound/rayhound/appliance/secret"
)

func (s *Server) machines(_ http.ResponseWriter, r *http.Request) (any, error) {
	return list(s.cfg.Appliance.Machines(r.Context()))
}

func (s *Server) pendingMachines(_ http.ResponseWriter, r *http.Request) (any, error) {
	return list(s.cfg.Appliance.PendingMachines(r.Context()))
}

func (s *Server) queries(_ http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	f := QueryFilter{Machine: q.Get("machine"), Accession: q.Get("accession")}
	var err error
	if f.Limit, err = number(r, "limit", 500, 50); err != nil {
		return nil, err
	}
	return list(s.cfg.Appliance.Queries(r.Context(), f))
}

func (s *Server) secrets(_ http.ResponseWriter, r *http.Request) (any, error) {
	return list(s.cfg.Appliance.Secrets(r.Context()))
}

// setSecret takes {"value": "..."}; the answer never repeats it.
func (s *Server) setSecret(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		Value string `json:"value"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	err := s.cfg.Appliance.SetSecret(r.Context(), r.PathValue("name"), secret.New(in.Value))
	switch {
	case errors.Is(err, secret.ErrName):
		return nil, usage("A secret's name has small letters, digits, dots, dashes and underscores")
	case errors.Is(err, secret.ErrLength):
		return nil, usage("The value is empty or too long")
	}
	return nil, err
}

func (s *Server) backups(_ http.ResponseWriter, r *http.Request) (any, error) {
	return list(s.cfg.Appliance.Backups(r.Context()))
}

func (s *Server) createBackup(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	return s.cfg.Appliance.CreateBackup(r.Context())
}

func (s *Server) doctor(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	return list(s.cfg.Appliance.Doctor(r.Context()))
}

func (s *Server) probe(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	return s.cfg.Appliance.ProbeProvet(r.Context())
}

// supportFile streams the zip. A failure after the first byte ends the
// connection without the zip's last part, so that nobody takes it for whole.
func (s *Server) supportFile(w http.ResponseWriter, r *http.Request) (any, error) {
	takesLong(w, s.cfg.Log)
	out := &firstByte{w: w}
	err := s.cfg.Appliance.SupportFile(r.Context(), out)
	if err != nil && out.begun {
		s.cfg.Log.Error("support file broke off", "err", err)
		panic(http.ErrAbortHandler)
	}
	if err != nil {
		return nil, err
	}
	return answered, nil
}

// firstByte sends the headers with the first byte.
type firstByte struct {
	w     http.ResponseWriter
	begun bool
}

func (f *firstByte) Write(b []byte) (int, error) {
	if !f.begun {
		f.begun = true
		f.w.Header().Set("Content-Type", "application/zip")
		f.w.Header().Set("Content-Disposition", `attachment; filename="rayhound-support.zip"`)
		f.w.WriteHeader(http.StatusOK)
	}
	return f.w.Write(b)
}
