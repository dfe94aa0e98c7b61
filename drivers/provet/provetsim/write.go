package provetsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// body reads what a write sends: JSON or a form, as names to values.
func body(w http.ResponseWriter, r *http.Request) (map[string]any, answer) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = r.Header.Get("Content-Type")
	}
	switch kind {
	case "application/json":
		return jsonBody(w, r)
	case "application/x-www-form-urlencoded", "multipart/form-data":
		form, err := formBody(w, r)
		if err != nil {
			return nil, detail(http.StatusBadRequest, "Form parse error")
		}
		m := map[string]any{}
		for k, v := range form {
			m[k] = v[len(v)-1]
			if len(v) > 1 {
				m[k] = stringsToAny(v)
			}
		}
		return m, answer{}
	}
	return nil, detail(http.StatusUnsupportedMediaType, fmt.Sprintf("Unsupported media type %q in request.", kind))
}

func stringsToAny(v []string) []any {
	out := make([]any, len(v))
	for i := range v {
		out[i] = v[i]
	}
	return out
}

func jsonBody(w http.ResponseWriter, r *http.Request) (map[string]any, answer) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, detail(http.StatusRequestEntityTooLarge, "Request body exceeded the limit.")
	}
	if err != nil {
		return nil, detail(http.StatusBadRequest, "JSON parse error")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, detail(http.StatusBadRequest, "JSON parse error - Extra data")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, jsonAnswer(http.StatusBadRequest, fieldErrors{
			"non_field_errors": {"Invalid data. Expected a dictionary, but got " + pythonType(v) + "."},
		})
	}
	return m, answer{}
}

func pythonType(v any) string {
	switch v := v.(type) {
	case string:
		return "str"
	case bool:
		return "bool"
	case []any:
		return "list"
	case nil:
		return "NoneType"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "float"
		}
		return "int"
	}
	return "dict"
}

// validate turns a body into a record. Names the resource does not have, and
// read-only ones, are ignored, as Django REST Framework does. The caller holds mu.
func (s *Sim) validate(t *table, in map[string]any, partial bool) (record, fieldErrors) {
	rec, errs := record{}, fieldErrors{}
	for i := range t.res.fields {
		f := &t.res.fields[i]
		name := t.view.names[i]
		if name == "" || f.readOnly {
			continue
		}
		v, given := in[name]
		if !given {
			if f.required && !partial {
				errs[name] = []string{"This field is required."}
			}
			continue
		}
		val, msg := s.parseValue(f, v)
		if msg != "" {
			errs[name] = []string{msg}
			continue
		}
		rec[f.name] = val
	}
	return rec, errs
}

func (s *Sim) parseValue(f *field, v any) (any, string) {
	const null = "This field may not be null."
	if v == nil && (f.required || f.kind == kindText || f.kind == kindChoice || f.kind == kindBool || f.kind == kindRefs) {
		return nil, null
	}
	if v == nil {
		return nil, ""
	}
	text, scalar := scalarText(v)
	if f.kind == kindRefs {
		return s.parseRefs(f, v)
	}
	if !scalar && f.kind != kindRaw {
		return nil, "Not a valid value."
	}
	switch f.kind {
	case kindChoice:
		for _, c := range s.cfg.StatusChoices {
			if c.Text() == text {
				return c.Key, ""
			}
		}
		return nil, fmt.Sprintf("%q is not a valid choice.", text)
	case kindText:
		if f.required && text == "" {
			return nil, "This field may not be blank."
		}
		return text, ""
	case kindInt:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, "A valid integer is required."
		}
		return n, ""
	case kindFloat:
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, "A valid number is required."
		}
		return x, ""
	case kindBool:
		switch strings.ToLower(text) {
		case "true", "1":
			return true, ""
		case "false", "0":
			return false, ""
		}
		return nil, "Must be a valid boolean."
	case kindDate:
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return nil, "Date has wrong format. Use one of these formats instead: YYYY-MM-DD."
		}
		return text, ""
	case kindTime:
		at, ok := s.parseTime(text)
		if !ok {
			return nil, "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
		}
		return at, ""
	case kindRef:
		return s.parseRef(f, text)
	case kindRaw, kindRefs, kindID, kindSelf: // lists were taken above; ids are read-only
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, "Not a valid value."
	}
	return string(b), ""
}

func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "True", true
		}
		return "False", true
	}
	return "", false
}

// parseRef accepts the URL of an object, absolute or not, and its bare id.
func (s *Sim) parseRef(f *field, text string) (any, string) {
	if text == "" {
		if f.required || f.kind == kindRefs {
			return nil, "This field may not be null."
		}
		return nil, ""
	}
	t := s.tables[f.target]
	id, err := strconv.Atoi(text)
	if err != nil {
		path, last, _ := cutLast(strings.TrimSuffix(text, "/"), "/")
		id, err = strconv.Atoi(last)
		if err != nil || t == nil || !strings.HasSuffix(path, "/"+s.cfg.ProvetID+strings.TrimSuffix(apiPath, "/")+"/"+t.res.path) {
			return nil, "Invalid hyperlink - Incorrect URL match."
		}
	}
	if t == nil || t.rows[id] == nil {
		return nil, "Invalid hyperlink - Object does not exist."
	}
	return id, ""
}

func (s *Sim) parseRefs(f *field, v any) (any, string) {
	list, ok := v.([]any)
	if !ok {
		if _, scalar := scalarText(v); !scalar {
			return nil, "Expected a list of items but got type \"" + pythonType(v) + "\"."
		}
		list = []any{v}
	}
	ids := make([]int, 0, len(list))
	for _, item := range list {
		text, ok := scalarText(item)
		if !ok {
			return nil, "Incorrect type. Expected URL string, received " + pythonType(item) + "."
		}
		id, msg := s.parseRef(f, text)
		if msg != "" {
			return nil, msg
		}
		if id, ok := id.(int); ok {
			ids = append(ids, id)
		}
	}
	return ids, ""
}

// create answers POST.
func (s *Sim) create(w http.ResponseWriter, r *http.Request, to target) answer {
	in, a := body(w, r)
	if a.status != 0 {
		return a
	}
	s.violation(r, to, "POST")
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, errs := s.validate(to.table, in, false)
	s.checkHook(to.table, rec, errs)
	if len(errs) > 0 {
		return jsonAnswer(http.StatusBadRequest, errs)
	}
	id := 0
	switch to.table.res.name {
	case "worklist":
		id = s.createFromRecord(rec)
	case "webhook":
		setMissing(rec, "content_type", contentTypeForm)
		setMissing(rec, "active", true)
		fallthrough
	default:
		row := to.table.build(0, s.now(), rec)
		to.table.put(row)
		id = row.id
	}
	row := to.table.rows[id]
	b := s.appendObject(nil, to.table, row, rendering{base: to.base})
	return answer{status: http.StatusCreated, body: b}
}

func setMissing(rec record, key string, v any) {
	if _, ok := rec[key]; !ok {
		rec[key] = v
	}
}

// update answers PUT and PATCH.
func (s *Sim) update(w http.ResponseWriter, r *http.Request, to target, partial bool) answer {
	in, a := body(w, r)
	if a.status != 0 {
		s.violation(r, to, "unreadable body")
		return a
	}
	s.checkWrite(r, to, in)
	a, p := s.apply(to, in, partial)
	s.journal.patch(p, s.cfg.OnPatch)
	return a
}

// apply changes an object, and describes the change when it is an order.
func (s *Sim) apply(to target, in map[string]any, partial bool) (answer, Patch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := to.table.rows[to.id]
	if row == nil {
		return notFound(), Patch{}
	}
	rec, errs := s.validate(to.table, in, partial)
	s.checkHook(to.table, rec, errs)
	if len(errs) > 0 {
		return jsonAnswer(http.StatusBadRequest, errs), s.patchOf(to, row, nil, in, http.StatusBadRequest)
	}
	next := to.table.changed(row, s.now(), rec)
	to.table.put(next)
	b := s.appendObject(make([]byte, 0, 2048), to.table, next, rendering{base: to.base})
	if !s.cfg.NoEcho {
		s.echo(to.table, next)
	}
	return answer{status: http.StatusOK, body: b}, s.patchOf(to, row, next, in, http.StatusOK)
}

// echo fires the hooks that a write through the API sets off.
func (s *Sim) echo(t *table, r *row) {
	switch t.res.name {
	case "worklist":
		s.fireOrder(TriggerOrderUpdated, r)
	case "client":
		s.fire(TriggerClient, "client_id", r.id, 0)
	case "patient":
		s.fire(TriggerPatient, "patient_id", r.id, 0)
	}
}

// destroy answers DELETE.
func (s *Sim) destroy(r *http.Request, to target) answer {
	s.violation(r, to, "DELETE")
	s.mu.Lock()
	defer s.mu.Unlock()
	row := to.table.remove(to.id)
	if row == nil {
		return notFound()
	}
	if to.table.res.name == "worklist" {
		s.fireOrder(TriggerOrderDeleted, row)
		s.journal.wake()
	}
	return answer{status: http.StatusNoContent}
}

// checkWrite records what an integration should not have written: it may
// change the status of an order, and nothing else.
func (s *Sim) checkWrite(r *http.Request, to target, in map[string]any) {
	if to.table.res.name == "webhook" {
		return
	}
	status := ""
	if i := to.table.res.col("status"); i >= 0 && to.table.res.name == "worklist" {
		status = to.table.view.names[i]
	}
	var extra []string
	for name := range in {
		if name != status || status == "" {
			extra = append(extra, name)
		}
	}
	slices.Sort(extra)
	if r.Method == http.MethodPut {
		s.violation(r, to, "PUT instead of PATCH", extra...)
	} else if len(extra) > 0 {
		s.violation(r, to, "fields other than the status", extra...)
	}
}
