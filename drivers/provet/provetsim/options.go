package provetsim

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// fieldInfo is what OPTIONS says about one field.
type fieldInfo struct {
	Type     string       `json:"type"`
	Required bool         `json:"required"`
	ReadOnly bool         `json:"read_only"`
	Label    string       `json:"label"`
	Choices  []choiceInfo `json:"choices,omitempty"`
}

type choiceInfo struct {
	Value       any    `json:"value"`
	DisplayName string `json:"display_name"`
}

// metadata answers OPTIONS.
func (s *Sim) metadata(to target, allowed []string) answer {
	if s.cfg.Options == OptionsForbidden {
		return detail(http.StatusForbidden, "You do not have permission to perform this action.")
	}
	t := to.table
	title := strings.ReplaceAll(t.res.path, "_", " ")
	title = strings.ToUpper(title[:1]) + title[1:]
	kindOf := " List"
	action := http.MethodPost
	if to.one {
		kindOf, action = " Instance", http.MethodPut
	}
	meta := map[string]any{
		"name": title + kindOf, "description": "",
		"renders": []string{"application/json", "text/html"},
		"parses":  []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data"},
	}
	if to.one {
		s.mu.RLock()
		exists := t.rows[to.id] != nil
		s.mu.RUnlock()
		if !exists {
			action = "" // as Django REST Framework: no PUT on what is not there
		}
	}
	if slices.Contains(allowed, action) && s.cfg.Options != OptionsNoActions {
		meta["actions"] = map[string]json.RawMessage{action: s.fieldInfos(t)}
	}
	return jsonAnswer(http.StatusOK, meta)
}

// fieldInfos returns the fields in their order.
func (s *Sim) fieldInfos(t *table) json.RawMessage {
	b := []byte{'{'}
	for i := range t.res.fields {
		f := &t.res.fields[i]
		if t.view.names[i] == "" {
			continue
		}
		label := strings.ReplaceAll(t.view.names[i], "_", " ")
		info := fieldInfo{
			Type: s.typeName(t, f), Required: f.required, ReadOnly: f.readOnly,
			Label: strings.ToUpper(label[:1]) + label[1:],
		}
		if f.kind == kindChoice && s.cfg.Options == OptionsFull {
			for _, c := range s.cfg.StatusChoices {
				info.Choices = append(info.Choices, choiceInfo{c.Value, c.Label})
			}
		}
		j, err := json.Marshal(info)
		if err != nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, t.view.keys[i]...)
		b = append(b, j...)
	}
	return append(b, '}')
}

func (s *Sim) typeName(t *table, f *field) string {
	switch f.kind {
	case kindID, kindInt:
		return "integer"
	case kindFloat:
		return "float"
	case kindBool:
		return "boolean"
	case kindText:
		if t.res.name == "webhook" && f.name == "url" {
			return "url"
		}
		return "string"
	case kindDate:
		return "date"
	case kindTime:
		return "datetime"
	case kindChoice:
		return "choice"
	case kindSelf, kindRef, kindRefs, kindRaw:
	}
	return "field"
}
