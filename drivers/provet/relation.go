package provet

import (
	"encoding/json"
	"net/url"
	"strings"
)

// validID reports whether s may stand in a path of the API.
func validID(s string) bool {
	if s == "" || len(s) > maxIDLen {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// relation is a reference to another object, in whatever shape it came.
type relation struct {
	ID       string
	Name     string // text of a flattened or embedded relation
	Embedded object // the object itself, when it was embedded
}

// relationTo reads a reference to a resource: absolute or relative URL, integer,
// numeric text, an embedded object (id, or url when it has no id), or plain text
// (a name without an id).
func relationTo(res string, v any) relation {
	switch t := v.(type) {
	case json.Number:
		if s := number(t); validID(s) && s[0] != '-' {
			return relation{ID: s}
		}
	case string:
		return relationText(res, t)
	case map[string]any:
		r := relation{Name: embeddedName(t), Embedded: t}
		for _, k := range []string{"id", "pk"} {
			if inner := relationScalar(res, t[k]); inner.ID != "" {
				r.ID = inner.ID
				return r
			}
		}
		for _, k := range []string{"url", "href"} {
			if inner := relationScalar(res, t[k]); inner.ID != "" {
				r.ID = inner.ID
				return r
			}
		}
		return r
	case []any:
		if len(t) == 1 {
			if _, nested := t[0].([]any); !nested {
				return relationTo(res, t[0])
			}
		}
	}
	return relation{}
}

func relationScalar(res string, v any) relation {
	switch v.(type) {
	case json.Number, string:
		return relationTo(res, v)
	}
	return relation{}
}

// embeddedName is the name of an embedded object, without taking a code or a
// value for one.
func embeddedName(m map[string]any) string {
	for _, k := range []string{"name", "label", "display_name"} {
		if s, ok := m[k].(string); ok {
			if s = cleanLine(s); s != "" {
				return s
			}
		}
	}
	return ""
}

func relationText(res, raw string) relation {
	s := strings.TrimSpace(raw)
	if s == "" || len(s) > maxText {
		return relation{}
	}
	if isDigits(s) {
		if validID(s) {
			return relation{ID: s}
		}
		return relation{}
	}
	if !strings.Contains(s, "://") && !strings.HasPrefix(s, "/") && !strings.HasSuffix(s, "/") {
		return relation{Name: cleanLine(s)} // flattened text
	}
	if id, ok := idFromURL(res, s); ok {
		return relation{ID: id}
	}
	if strings.Contains(s, "://") || strings.HasPrefix(s, "/") {
		return relation{}
	}
	return relation{Name: cleanLine(s)}
}

// idFromURL takes the id from the path of a relation URL. The URL is not
// fetched. A URL of another known resource, or without a resource, has no id
// for us.
func idFromURL(res, raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", false
	}
	seg := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(seg) < 2 {
		return "", false
	}
	id, parent := seg[len(seg)-1], seg[len(seg)-2]
	if known, ok := resourceByPath(parent); ok && known != res {
		return "", false
	}
	if !validID(id) || !strings.ContainsAny(id, "0123456789") {
		return "", false
	}
	return id, true
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// relationsTo reads a list of references, or a single one, without duplicates.
func relationsTo(res string, v any) []relation {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var out []relation
	seen := map[string]bool{}
	for i, e := range list {
		if i == maxRefs {
			break
		}
		r := relationTo(res, e)
		key := r.ID
		if key == "" {
			key = "name " + r.Name
		}
		if r.ID == "" && r.Name == "" || seen[key] {
			continue
		}
		seen[key] = true
		out = append(out, r)
	}
	return out
}
