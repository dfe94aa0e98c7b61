package provet

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// hookFields are the names of a webhook's fields, as far as they are known. The
// names of all but trigger and content type are documented nowhere, so they are
// found out: from the rows that are there, from the metadata (OPTIONS), from the
// candidates of the settings, and in the end from the answer to a creation.
type hookFields struct {
	urls                                            []string // to send the address in; several when it is not known which
	url, trigger, name, active, content, department string
	actives                                         []string
	number                                          bool   // the active flag is a number
	json                                            string // value of the content type for JSON
}

// hookMeta is what OPTIONS says about one field.
type hookMeta struct {
	kind     string
	readOnly bool
	choices  []Choice
}

// names finds the field names out and notes them in the report.
func (r *hookRun) names(ctx context.Context) error {
	meta, err := r.meta(ctx)
	if err != nil {
		return err
	}
	cand := r.c.fields[resWebhook]
	there := func(name string) bool {
		if m, ok := meta[name]; ok {
			return !m.readOnly
		}
		return slices.ContainsFunc(r.found, func(h hookRow) bool { _, ok := h.row[name]; return ok })
	}
	pick := func(logical string) string {
		for _, n := range cand[logical] {
			if there(n) {
				return n
			}
		}
		return ""
	}
	f := hookFields{
		trigger: pick("trigger"), name: pick("name"), active: pick("active"), content: pick("content_type"),
		department: pick("department"), actives: cand["active"], json: hookContentJSON,
	}
	f.url = r.addressField(cand["url"], meta, there)
	blind := len(meta) == 0
	switch {
	case f.url != "":
		f.urls = []string{f.url}
	case blind:
		f.urls = plain(cand["url"])
	}
	if blind { // these names are documented; a name that does not exist is ignored by the API
		f.trigger, f.content, f.name = orFirst(f.trigger, cand["trigger"]), orFirst(f.content, cand["content_type"]), orFirst(f.name, cand["name"])
	}
	f.number = meta[f.active].kind == "integer"
	for _, ch := range meta[f.content].choices {
		if strings.Contains(strings.ToLower(ch.Label), "json") {
			f.json = ch.Value
		}
	}
	r.f = f
	r.rep.Fields = map[string]string{}
	for logical, n := range map[string]string{
		"url": f.url, "trigger": f.trigger, "name": f.name, "active": f.active, "content_type": f.content, "department": f.department,
	} {
		if n != "" {
			r.rep.Fields[logical] = n
		}
	}
	return nil
}

// meta asks for the metadata of the collection; none is no failure.
func (r *hookRun) meta(ctx context.Context) (map[string]hookMeta, error) {
	o, err := r.c.object(ctx, &call{op: opProbe, res: resWebhook, method: http.MethodOptions})
	if err != nil {
		if degradable(err) || isClass(err, Protocol) {
			return nil, nil
		}
		return nil, err
	}
	meta := map[string]hookMeta{}
	actions, _ := asObject(o["actions"])
	fields, _ := asObject(actions["POST"])
	for name, v := range fields {
		if m, ok := asObject(v); ok && len(meta) < maxRefs {
			meta[name] = hookMeta{kind: line(m["type"]), readOnly: truth(m["read_only"], false), choices: readChoices(m["choices"])}
		}
	}
	return meta, nil
}

// addressField returns the field that holds the address a webhook goes to. "url"
// may be that, or the link to the webhook itself, as every object has one.
func (r *hookRun) addressField(candidates []string, meta map[string]hookMeta, there func(string) bool) string {
	for _, h := range r.found { // one of ours shows it
		for _, name := range slices.Sorted(maps.Keys(h.row)) {
			s, _ := h.row[name].(string)
			for _, w := range r.wanted {
				if s != "" && (s == w.URL || slices.Contains(w.Former, s)) {
					return name
				}
			}
		}
	}
	self := func(name string) bool {
		for _, h := range r.found {
			s, _ := h.row[name].(string)
			if u, err := url.Parse(s); err == nil && inside(r.c.api, u) {
				return true
			}
		}
		return false
	}
	for _, n := range plain(candidates) {
		if there(n) && !self(n) {
			return n
		}
	}
	var alike []string
	for n, m := range meta {
		words := nameWords(n)
		if !m.readOnly && !self(n) && (m.kind == "url" || slices.Contains(words, "url") || slices.Contains(words, "uri")) {
			alike = append(alike, n)
		}
	}
	if len(alike) == 1 {
		return alike[0]
	}
	return ""
}

// plain drops the candidates that are paths; those cannot be written.
func plain(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.Contains(n, ".") })
}

func orFirst(name string, candidates []string) string {
	if name == "" && len(candidates) > 0 {
		return candidates[0]
	}
	return name
}

// firstIn returns the first candidate that a row has.
func firstIn(row object, candidates []string) string {
	for _, n := range candidates {
		if _, ok := row[n]; ok {
			return n
		}
	}
	return ""
}

// body is a new webhook as it is sent.
func (f *hookFields) body(w WantedHook) map[string]any {
	b := map[string]any{f.trigger: w.Trigger}
	for _, n := range f.urls {
		b[n] = w.URL
	}
	if f.content != "" {
		b[f.content] = likeRead(nil, f.json)
	}
	if f.name != "" && w.Name != "" {
		b[f.name] = w.Name
	}
	if f.active != "" {
		b[f.active] = f.yes(nil)
	}
	return b
}

// learn takes the names that a refusal complained about: one that reads like an
// address is tried as such.
func (f *hookFields) learn(w WantedHook, complained []string) (map[string]any, bool) {
	var alike []string
	for _, n := range complained {
		words := nameWords(n)
		if !slices.Contains(f.urls, n) && (slices.Contains(words, "url") || slices.Contains(words, "uri") || slices.Contains(words, "endpoint") || slices.Contains(words, "address")) {
			alike = append(alike, n)
		}
	}
	if len(alike) != 1 {
		return nil, false
	}
	f.urls, f.url = alike, alike[0]
	return f.body(w), true
}

// found reports whether a row shows the address, and learns its name from it.
func (f *hookFields) found(row object, address string) bool {
	for _, n := range slices.Sorted(maps.Keys(row)) {
		if s, _ := row[n].(string); s == address {
			f.url, f.urls = n, []string{n}
			return true
		}
	}
	return false
}

// yes is "active" in the type of the field.
func (f *hookFields) yes(read any) any {
	if _, isBool := read.(bool); isBool {
		return true
	}
	if f.number || read != nil {
		return likeRead(read, "1")
	}
	return true
}

func (f *hookFields) text(row object, name string) string {
	if name == "" {
		return ""
	}
	return line(row[name])
}

func (f *hookFields) value(row object, name string) string {
	if name == "" {
		return ""
	}
	v, _ := scalar(row[name])
	return v
}

// off reports whether a webhook is there but switched off.
func (f *hookFields) off(row object) bool {
	v, ok := row[f.active]
	return f.active != "" && ok && v != nil && !truth(v, false)
}

// limited reports whether a webhook belongs to certain departments only.
func (f *hookFields) limited(row object) bool {
	if f.department == "" {
		return false
	}
	return len(relationsTo(resDepartment, row[f.department])) > 0
}

// isAddress reports whether s is an absolute http or https URL.
func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && len(s) <= 2000
}

// sameRelay reports whether two addresses differ in their last part alone.
func sameRelay(a, b string) bool {
	cut := func(s string) string {
		s = strings.TrimRight(s, "/")
		return s[:strings.LastIndexByte(s, '/')+1]
	}
	return a != "" && isAddress(a) && cut(a) == cut(b)
}

// triggerText names a trigger as Provet Cloud's settings do.
func triggerText(n int) string {
	switch n {
	case TriggerWorklistCreated:
		return "Diagnostic imaging worklist"
	case TriggerWorklistUpdated:
		return "Diagnostic imaging worklist update"
	case TriggerWorklistDeleted:
		return "Diagnostic imaging worklist delete"
	}
	return "number " + strconv.Itoa(n)
}
