package ui

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

const maxOrders = 1000

func (s *Server) orders(_ http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	f := OrderFilter{
		Open: flag(r, "open"), PatientID: q.Get("patient_id"), Station: q.Get("station"), Text: q.Get("text"),
	}
	for _, list := range q["state"] {
		for name := range strings.SplitSeq(list, ",") {
			st := order.State(name)
			if !st.Valid() {
				return nil, usage("There is no state " + strconv.Quote(cut(name)))
			}
			f.States = append(f.States, st)
		}
	}
	if since := q.Get("since"); since != "" {
		at, err := time.Parse(time.RFC3339, since)
		if err != nil {
			return nil, usage("since must be a time such as 2026-01-02T15:04:05Z")
		}
		f.Since = at
	}
	var err error
	if f.Limit, err = number(r, "limit", maxOrders, 200); err != nil {
		return nil, err
	}
	if f.Offset, err = number(r, "offset", 1<<30, 0); err != nil {
		return nil, err
	}
	return list(s.cfg.Appliance.Orders(r.Context(), f))
}

func (s *Server) order(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.cfg.Appliance.Order(r.Context(), r.PathValue("accession"))
}

func (s *Server) addOrder(_ http.ResponseWriter, r *http.Request) (any, error) {
	var n NewOrder
	if err := body(r, &n); err != nil {
		return nil, err
	}
	if n.PatientID == "" || n.PatientName == "" || n.Modality == "" {
		return nil, usage("A new order needs patient_id, patient_name and modality")
	}
	if n.BirthDate != "" {
		if _, err := time.Parse(time.DateOnly, n.BirthDate); err != nil {
			return nil, usage("birth_date must be a date such as 2020-01-31")
		}
	}
	switch n.Sex {
	case order.SexUnknown, order.Male, order.Female, order.SexOther:
	default:
		return nil, usage("sex must be M, F or O")
	}
	return s.cfg.Appliance.AddOrder(r.Context(), n)
}

func (s *Server) actOnOrder(_ http.ResponseWriter, r *http.Request) (any, error) {
	a := Action{}
	if err := body(r, &a); err != nil {
		return nil, err
	}
	a.Kind = ActionKind(r.PathValue("action"))
	a.Reason = strings.TrimSpace(a.Reason)
	needsReason := true
	switch a.Kind {
	case Complete, Cancel, Suspend, Reopen:
	case Release, Resend:
		needsReason = false
		if len(a.To) > 64 || (a.AsNew || a.Taken) && a.To == "" || a.AsNew && a.Taken {
			return nil, usage("as_new or taken needs to: the destination")
		}
	case Link:
		needsReason = false
		if a.ProvetID == "" || len(a.ProvetID) > 64 {
			return nil, usage("provet_id is needed")
		}
	default:
		return nil, usage("An order can be completed, cancelled, held, released, resent, reopened or linked, not " + strconv.Quote(cut(string(a.Kind))))
	}
	if needsReason && a.Reason == "" {
		return nil, usage("A reason is needed")
	}
	if len(a.Reason) > 1000 {
		return nil, usage("A reason has at most 1000 bytes")
	}
	return s.cfg.Appliance.ActOnOrder(r.Context(), r.PathValue("accession"), a)
}

func (s *Server) hint(_ http.ResponseWriter, r *http.Request) (any, error) {
	var in struct {
		ProvetID string `json:"provet_id"`
	}
	if err := body(r, &in); err != nil {
		return nil, err
	}
	if in.ProvetID == "" || len(in.ProvetID) > 64 {
		return nil, usage("provet_id is needed")
	}
	return nil, s.cfg.Appliance.Hint(r.Context(), in.ProvetID)
}

// flag reads ?name=true.
func flag(r *http.Request, name string) bool {
	on, err := strconv.ParseBool(r.URL.Query().Get(name))
	return err == nil && on
}

// number reads ?name=7, from 0 to most.
func number(r *http.Request, name string, most, absent int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most {
		return 0, usage(name + " must be a number from 0 to " + strconv.Itoa(most))
	}
	if n == 0 {
		return absent, nil
	}
	return n, nil
}

// id reads a number of the path.
func id(r *http.Request) (int64, error) {
	n, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || n <= 0 {
		return 0, usage(strconv.Quote(cut(r.PathValue("id"))) + " is not a number of the list")
	}
	return n, nil
}

// cut shortens what is repeated in a sentence.
func cut(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
