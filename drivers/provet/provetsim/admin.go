package provetsim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// serveAdmin answers below /_sim/; see the package comment.
func (s *Sim) serveAdmin(w http.ResponseWriter, r *http.Request, path string) {
	status, v := s.admin(w, r, strings.TrimSuffix(path, "/"))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // a peer that went away misses nothing
}

type adminError struct {
	Error string `json:"error"`
}

func adminFail(status int, text string) (int, any) { return status, adminError{text} }

func (s *Sim) admin(w http.ResponseWriter, r *http.Request, path string) (int, any) {
	if r.Header.Get("Origin") != "" {
		return adminFail(http.StatusForbidden, "not for web pages")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	name, last, _ := strings.Cut(path, "/")
	if id, err := strconv.Atoi(last); err == nil {
		return s.adminObject(r, name, id)
	}
	switch r.Method + " " + path {
	case "GET ":
		return s.adminIndex()
	case "GET orders":
		return http.StatusOK, s.ordersWith(r.URL.Query().Get("status"))
	case "POST orders":
		return s.adminCreate(r)
	case "POST webhooks":
		return s.adminWebhook(r)
	case "GET patients":
		return http.StatusOK, s.Patients()
	case "GET clients":
		return http.StatusOK, s.Clients()
	case "GET modalities":
		return http.StatusOK, s.Modalities()
	case "GET targetareas":
		return http.StatusOK, s.TargetAreas()
	case "GET departments":
		return http.StatusOK, s.Departments()
	case "GET patches":
		return http.StatusOK, orEmpty(s.Patches())
	case "GET violations":
		return http.StatusOK, orEmpty(s.Violations())
	case "GET requests":
		return http.StatusOK, s.Requests()
	case "GET deliveries":
		return http.StatusOK, s.Deliveries()
	case "GET mapping":
		return http.StatusOK, s.Mapping()
	}
	return s.adminFaults(r, path)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Sim) adminIndex() (int, any) {
	byStatus := map[string]int{}
	for _, o := range s.Orders() {
		byStatus[o.Status]++
	}
	return http.StatusOK, map[string]any{
		"url": s.URL(), "orders": byStatus, "patches": len(s.Patches()), "violations": len(s.Violations()),
		"tokens_issued": s.TokensIssued(), "faults": len(s.Faults()),
		"see": []string{
			"orders", "patients", "clients", "modalities", "targetareas", "departments", "faults", "patches",
			"violations", "requests", "deliveries", "mapping",
		},
	}
}

func (s *Sim) ordersWith(status string) []Order {
	all := s.Orders()
	if status == "" {
		return all
	}
	some := []Order{}
	for _, o := range all {
		if o.Status == status {
			some = append(some, o)
		}
	}
	return some
}

// readJSON reads the body into v; an empty body leaves v alone.
func readJSON(r *http.Request, v any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (s *Sim) adminCreate(r *http.Request) (int, any) {
	var in struct {
		NewOrder
		Count int `json:"count"`
	}
	raw, err := io.ReadAll(r.Body)
	if err == nil && len(strings.TrimSpace(string(raw))) > 0 {
		err = json.Unmarshal(raw, &in)
	}
	if err != nil {
		return adminFail(http.StatusBadRequest, err.Error())
	}
	if in.Count < 0 || in.Count > 100_000 {
		return adminFail(http.StatusBadRequest, "count must be 0 to 100000")
	}
	if in.Count > 0 {
		return http.StatusCreated, map[string][]int{"ids": s.CreateOrders(in.Count)}
	}
	o := in.NewOrder
	if len(strings.Trim(string(raw), " \t\r\n{}")) == 0 {
		o = s.RandomOrder(nil)
	}
	made, _ := s.Order(s.CreateOrder(o))
	return http.StatusCreated, made
}

// adminWebhook registers a hook, or all three of the imaging worklist.
func (s *Sim) adminWebhook(r *http.Request) (int, any) {
	var in struct {
		URL         string `json:"url"`
		Trigger     int    `json:"trigger"`
		ContentType int    `json:"content_type"`
		Department  int    `json:"department"`
	}
	if err := readJSON(r, &in); err != nil {
		return adminFail(http.StatusBadRequest, err.Error())
	}
	if u, err := url.Parse(in.URL); err != nil || u.Host == "" {
		return adminFail(http.StatusBadRequest, "url must be absolute")
	}
	triggers := []int{in.Trigger}
	if in.Trigger == 0 {
		triggers = []int{TriggerOrderCreated, TriggerOrderUpdated, TriggerOrderDeleted}
	}
	var ids []int
	for _, t := range triggers {
		ids = append(ids, s.RegisterWebhook(Webhook{Trigger: t, URL: in.URL, ContentType: in.ContentType, Department: in.Department}))
	}
	return http.StatusCreated, map[string][]int{"ids": ids}
}

// adminObject answers for one object.
func (s *Sim) adminObject(r *http.Request, name string, id int) (int, any) {
	switch r.Method + " " + name {
	case "GET orders":
		o, ok := s.Order(id)
		return found(o, ok)
	case "GET patients":
		p, ok := s.Patient(id)
		return found(p, ok)
	case "PATCH orders":
		return s.adminOrder(r, id)
	case "PATCH patients":
		return s.adminPatient(r, id)
	case "PATCH clients":
		if err := s.adminEdit(r, func(v func(any) error) bool {
			return s.UpdateClient(id, func(c *Client) { _ = v(c) })
		}); err != nil {
			return adminFail(http.StatusBadRequest, err.Error())
		}
		return http.StatusOK, map[string]int{"id": id}
	case "DELETE orders":
		return found(map[string]int{"deleted": id}, s.DeleteOrder(id))
	case "DELETE faults":
		s.RemoveFault(id)
		return http.StatusOK, map[string]int{"removed": id}
	}
	if r.Method == http.MethodDelete {
		one := strings.TrimSuffix(name, "s")
		if name == "modalities" {
			one = "modality"
		}
		return found(map[string]int{"deleted": id}, s.Delete(name, id) || s.Delete(one, id))
	}
	return adminFail(http.StatusNotFound, "no such page; see /_sim/")
}

func found(v any, ok bool) (int, any) {
	if !ok {
		return adminFail(http.StatusNotFound, "no such object")
	}
	return http.StatusOK, v
}

// adminEdit reads the body, checks that it is JSON, and hands it to edit, which
// lays it over the object.
func (s *Sim) adminEdit(r *http.Request, edit func(func(any) error) bool) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if !json.Valid(raw) {
		return errors.New("the body is not JSON")
	}
	var failed error
	if !edit(func(v any) error {
		failed = json.Unmarshal(raw, v)
		return failed
	}) {
		return errors.New("no such object")
	}
	return failed
}

func (s *Sim) adminOrder(r *http.Request, id int) (int, any) {
	if _, ok := s.Order(id); !ok {
		return found(nil, false)
	}
	asked := ""
	if err := s.adminEdit(r, func(v func(any) error) bool {
		return s.UpdateOrder(id, func(o *Order) {
			_ = v(o) // reported by adminEdit
			asked = o.Status
		})
	}); err != nil {
		return adminFail(http.StatusBadRequest, err.Error())
	}
	if _, ok := s.choice(asked); !ok {
		return adminFail(http.StatusBadRequest, "unknown status; see /_sim/mapping")
	}
	o, ok := s.Order(id)
	return found(o, ok)
}

func (s *Sim) adminPatient(r *http.Request, id int) (int, any) {
	was, ok := s.Patient(id)
	if !ok {
		return found(nil, false)
	}
	if err := s.adminEdit(r, func(v func(any) error) bool {
		return s.UpdatePatient(id, func(p *Patient) { _ = v(p) })
	}); err != nil {
		return adminFail(http.StatusBadRequest, err.Error())
	}
	if p, _ := s.Patient(id); p.MergedInto != was.MergedInto && p.MergedInto != 0 {
		s.MergePatient(id, p.MergedInto)
	}
	p, ok := s.Patient(id)
	return found(p, ok)
}
