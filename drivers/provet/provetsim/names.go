package provetsim

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
)

// view is a resource under the names and shapes of this tenant.
type view struct {
	names  []string // by column; "" is hidden
	keys   []string // `"name":`
	shapes []Shape
	byName map[string]int
	locked []bool // not filterable
	fixed  []bool // not orderable
}

func newView(res *resource, cfg *Config) *view {
	v := &view{byName: map[string]int{}}
	for i := range res.fields {
		f := &res.fields[i]
		name := f.name
		if f.hidden {
			name = ""
		}
		for _, key := range []string{res.name, res.path} {
			if n, ok := cfg.Names[key][f.name]; ok {
				name = strings.TrimSpace(n)
			}
		}
		if name == "-" {
			name = ""
		}
		v.names = append(v.names, name)
		v.keys = append(v.keys, string(appendText(nil, name))+":")
		shape := cfg.Shapes[res.path+"."+f.name]
		if s, ok := cfg.Shapes[res.name+"."+f.name]; ok {
			shape = s
		}
		v.shapes = append(v.shapes, shape)
		v.locked = append(v.locked, listed(cfg.Unfilterable, res, f.name))
		v.fixed = append(v.fixed, listed(cfg.Unorderable, res, f.name))
		if name != "" {
			v.byName[name] = i
		}
	}
	return v
}

func listed(list []string, res *resource, field string) bool {
	for _, s := range list {
		if s == res.name+"."+field || s == res.path+"."+field {
			return true
		}
	}
	return false
}

// FieldNames returns the names in force: resource (worklist, referral, modality,
// targetarea, consultation, client, patient, ...) -> default name -> name served.
// Hidden fields are absent.
func (s *Sim) FieldNames() map[string]map[string]string {
	out := map[string]map[string]string{}
	for name, t := range s.tables {
		m := map[string]string{}
		for i := range t.res.fields {
			if n := t.view.names[i]; n != "" {
				m[t.res.fields[i].name] = n
			}
		}
		out[name] = m
	}
	return out
}

// RenamedFields is FieldNames without the fields that have their default name.
func (s *Sim) RenamedFields() map[string]map[string]string {
	out := map[string]map[string]string{}
	for res, names := range s.FieldNames() {
		for name, served := range names {
			if name == served {
				continue
			}
			if out[res] == nil {
				out[res] = map[string]string{}
			}
			out[res][name] = served
		}
	}
	return out
}

// aliases are other words for the keys of DefaultStatusChoices.
var aliases = map[string]string{
	"received": "new", "completed": "done", "new": "received", "done": "completed",
	"canceled": "cancelled", "withdrawn": "cancelled",
}

func (s *Sim) choice(key string) (Choice, bool) {
	for _, k := range []string{key, aliases[key]} {
		for _, c := range s.cfg.StatusChoices {
			if c.Key == k && k != "" {
				return c, true
			}
		}
	}
	return Choice{}, false
}

// StatusValue returns the value served for the logical status key ("new",
// "scheduled", "in_progress", "done" or "completed", "discontinued",
// "cancelled"), as text. Empty: there is none.
func (s *Sim) StatusValue(key string) string {
	c, ok := s.choice(key)
	if !ok {
		return ""
	}
	return c.Text()
}

// StatusValues returns all status values in force: logical key -> value as text.
func (s *Sim) StatusValues() map[string]string {
	out := map[string]string{}
	for _, c := range s.cfg.StatusChoices {
		out[c.Key] = c.Text()
	}
	return out
}

// Mapping is what a client has to know about this tenant.
type Mapping struct {
	Fields map[string]map[string]string `json:"fields"` // see FieldNames
	Status map[string]string            `json:"status"` // see StatusValues
	Labels map[string]string            `json:"labels"` // logical key -> label
}

// Mapping returns the names and values in force.
func (s *Sim) Mapping() Mapping {
	m := Mapping{Fields: s.FieldNames(), Status: s.StatusValues(), Labels: map[string]string{}}
	for _, c := range s.cfg.StatusChoices {
		m.Labels[c.Key] = c.Label
	}
	return m
}

// placeholders are the fields whose names are not publicly known, with other
// names they could have.
var placeholders = map[string]map[string][]string{
	"worklist": {
		"status":                   {"order_state", "wl_phase", "progress_code"},
		"modality":                 {"imaging_device_type", "machine_kind", "modality_ref"},
		"supervising_veterinarian": {"lead_vet", "responsible_vet", "sv_user"},
		"requesting_user":          {"ordered_by", "referrer", "asked_by_user"},
		"patient":                  {"animal", "pet", "subject"},
		"client":                   {"owner", "customer", "payer"},
		"target_areas":             {"regions", "body_parts", "projections"},
		"referral":                 {"request_sheet", "referral_form", "imaging_request"},
		"department":               {"unit", "location", "site"},
		"created":                  {"opened_on", "inserted_at", "creation_time"},
		"modified":                 {"touched_on", "updated_at", "last_change"},
	},
	"referral": {
		"remarks":        {"question", "free_text", "indication"},
		"internal_notes": {"staff_memo", "private_notes", "backstage"},
		"consultation":   {"visit", "encounter", "case_file"},
		"appointment":    {"booking", "calendar_entry", "time_slot"},
	},
	"webhook": {
		"url":        {"target_url", "callback_url", "receiver_uri"},
		"name":       {"caption", "heading", "note"},
		"active":     {"switched_on", "in_use", "running"},
		"department": {"unit", "location", "site"},
	},
	"modality":   {"name": {"title", "caption", "display"}},
	"targetarea": {"name": {"title", "caption", "display"}},
}

// Renamed returns base with every placeholder field renamed, every status value
// changed and every relation of the imaging objects in another shape. The same
// seed gives the same tenant.
func Renamed(base Config, seed int64) Config {
	rng := rand.New(rand.NewPCG(uint64(seed), 0x72656e616d65)) // repeatable, not secret
	c := base
	c.Names = map[string]map[string]string{}
	for res, names := range base.Names {
		c.Names[res] = maps.Clone(names)
	}
	c.Shapes = maps.Clone(base.Shapes)
	if c.Shapes == nil {
		c.Shapes = map[string]Shape{}
	}
	for _, res := range schema() {
		others := placeholders[res.name]
		if others == nil {
			continue
		}
		names := c.Names[res.name]
		if names == nil {
			names = map[string]string{}
			c.Names[res.name] = names
		}
		for i := range res.fields {
			f := &res.fields[i]
			if names[f.name] == "-" {
				continue
			}
			if words := others[f.name]; words != nil {
				names[f.name] = fmt.Sprintf("%s_%02d", words[rng.IntN(len(words))], rng.IntN(100))
			}
			if key := res.name + "." + f.name; f.kind == kindRef || f.kind == kindRefs {
				c.Shapes[key] = otherShape(rng, base.Shapes[key])
			}
		}
	}
	c.StatusChoices = otherChoices(rng, base.StatusChoices)
	return c
}

func otherShape(rng *rand.Rand, not Shape) Shape {
	shapes := []Shape{ShapeURL, ShapeID, ShapeIDString, ShapeObject, ShapeIDObject, ShapeRelativeURL}
	for {
		if s := shapes[rng.IntN(len(shapes))]; s != not {
			return s
		}
	}
}

// otherChoices gives every choice a value that no choice had: numbers, or words.
func otherChoices(rng *rand.Rand, base []Choice) []Choice {
	if len(base) == 0 {
		base = DefaultStatusChoices()
	}
	words := rng.IntN(2) == 0
	used := map[string]bool{}
	for _, c := range base {
		used[c.Text()] = true
	}
	out := make([]Choice, len(base))
	for i, c := range base {
		for {
			n := 10 + rng.IntN(990)
			var v any = n
			if words {
				v = "st-" + strconv.FormatInt(int64(n)+36*36*36, 36)
			}
			if t := fmt.Sprint(v); !used[t] {
				used[t] = true
				out[i] = Choice{Key: c.Key, Value: v, Label: c.Label}
				break
			}
		}
	}
	return out
}
