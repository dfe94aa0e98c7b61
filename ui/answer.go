package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
)

// Error is the body of every refusal.
type Error struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Text  string `json:"text"`
	Help  string `json:"help"`
}

// handler answers with a value that becomes JSON, or fails. A nil value is an
// empty object; what writes its answer itself returns answered.
type handler func(w http.ResponseWriter, r *http.Request) (any, error)

type answeredType struct{}

var answered any = answeredType{}

// handle turns a handler into the standard library's.
func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := h(w, r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if v == answered {
			return
		}
		if v == nil {
			v = struct{}{}
		}
		writeJSON(w, http.StatusOK, v)
	})
}

// fail answers with a problem; the log has the chain.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody listens any more
	}
	p := problem.Of(err)
	if p == nil {
		s.cfg.Log.Error("request failed", "method", r.Method, "route", r.Pattern, "err", err)
		p = problem.New(problem.DBRead, problem.Args{"reason": "an internal error, written to the log"}, err)
	} else {
		s.cfg.Log.Info("request refused", "method", r.Method, "route", r.Pattern, "code", string(p.Code), "err", err)
	}
	writeError(w, httpStatus(p.Code), p)
}

// statuses are the HTTP statuses of problems that are not internal errors.
var statuses = map[problem.Code]int{
	problem.OrderUnknown:  http.StatusNotFound,
	problem.OrderState:    http.StatusConflict,
	problem.Usage:         http.StatusBadRequest,
	problem.OrderInvalid:  http.StatusBadRequest,
	problem.OrderUnmapped: http.StatusBadRequest,
	problem.ConfigInvalid: http.StatusBadRequest,
	problem.ServiceDenied: http.StatusForbidden,
	problem.DiskLow:       http.StatusInsufficientStorage,
}

// httpStatus returns the status that fits a problem.
func httpStatus(c problem.Code) int {
	if s, ok := statuses[c]; ok {
		return s
	}
	return http.StatusInternalServerError
}

func writeError(w http.ResponseWriter, status int, p *problem.Error) {
	d, _ := problem.Lookup(p.Code)
	writeJSON(w, status, Error{Code: string(p.Code), Title: d.Title, Text: p.Sentence(), Help: p.Help()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the other side is gone; nothing to do about it
}

// usage returns the problem of a request that cannot be meant.
func usage(reason string) error {
	return problem.New(problem.Usage, problem.Args{"reason": reason}, nil)
}

// body reads the request's JSON into v, strictly. No body at all leaves v as it
// is.
func body(r *http.Request, v any) error {
	b, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return usage("The request is larger than allowed")
	}
	if err != nil {
		return usage("The request broke off")
	}
	if len(b) == 0 {
		return nil
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return usage("The request must be application/json")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return usage("The request is not the JSON expected here")
	}
	if dec.More() {
		return usage("The request holds more than one JSON value")
	}
	return nil
}

// takesLong gives a request more time than usual to be answered.
func takesLong(w http.ResponseWriter, log *slog.Logger) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(longTimeout)); err != nil {
		log.Debug("no write deadline", "err", err)
	}
}

// list returns an array even for nothing.
func list[T any](v []T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if v == nil {
		v = []T{}
	}
	return v, nil
}
