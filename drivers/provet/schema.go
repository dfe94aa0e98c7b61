package provet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/problem"
)

// Limits of an OpenAPI file.
const (
	maxSchemaFile = 16 << 20
	maxSchemas    = 20000
	maxSchemaRefs = 16       // $ref in a row
	maxSchemaWork = 64 << 20 // bytes of schemas looked at, counting repeats
)

// schemaNames are the names a resource may have in components/schemas, folded.
var schemaNames = map[string][]string{
	resWorklist:   {"diagnosticimagingworklist"},
	resReferral:   {"diagnosticimagingreferral", "referral"},
	resModality:   {"modality", "diagnosticimagingmodality", "imagingmodality"},
	resTargetArea: {"targetarea", "imagingtargetarea"},
	resWebhook:    {"webhook", "hookwebhook"},
}

// ImportSchema reads an OpenAPI 3.0 document in JSON (at most 16 MiB) and
// compares its schemas of the imaging objects with the mapping. It makes no
// network call. The error is a *problem.Error when the file cannot be used.
func (c *Client) ImportSchema(r io.Reader) (Report, error) {
	rep, err := c.fields.ImportSchema(r)
	if err == nil && len(rep.Status.Choices) > 0 {
		known := rep.Status.Choices
		c.choices.Store(&known)
	}
	return rep, err
}

// ImportSchema is Client.ImportSchema without a client.
func (f Fields) ImportSchema(r io.Reader) (Report, error) {
	doc, err := readSchemas(r)
	if err != nil {
		return Report{}, problem.New(problem.FileUnusable, problem.Args{"file": "schema", "reason": err.Error()}, err)
	}
	rep := Report{Source: "schema"}
	for _, res := range []string{resWorklist, resReferral, resModality, resTargetArea, resWebhook} {
		name, ok := doc.find(res)
		if !ok && res == resWebhook {
			continue // orders come without it
		}
		if !ok {
			rep.Notes = append(rep.Notes, "the file has no schema for "+res)
			continue
		}
		seen := map[string]seenField{}
		doc.properties(doc.schemas[name], seen, 0)
		part := f.matchFields(res, seen)
		rep.Resources = append(rep.Resources, part)
		if res == resWorklist {
			rep.Status = statusReport(part, seen)
		}
	}
	if !slices.ContainsFunc(rep.Resources, func(r ResourceReport) bool { return r.Resource != resWebhook }) {
		err := errors.New("it describes none of Provet Cloud's imaging objects")
		return Report{}, problem.New(problem.FileUnusable, problem.Args{"file": "schema", "reason": err.Error()}, err)
	}
	if len(rep.Status.Choices) == 0 {
		rep.Notes = append(rep.Notes, "the file names no status values")
	}
	return rep, nil
}

// schemas is the part of an OpenAPI document that we look at.
type schemas struct {
	schemas map[string]json.RawMessage
	byPath  map[string]string // resource -> schema name, from its GET operation
	work    int               // bytes looked at, see maxSchemaWork
}

// readSchemas streams the document and keeps components/schemas and the
// operations of our resources.
func readSchemas(r io.Reader) (*schemas, error) {
	lim := &io.LimitedReader{R: r, N: maxSchemaFile + 1}
	d := json.NewDecoder(lim)
	doc := &schemas{schemas: map[string]json.RawMessage{}, byPath: map[string]string{}}
	err := eachKey(d, func(key string) error {
		switch key {
		case "components":
			return eachKey(d, func(key string) error {
				if key != "schemas" {
					return skipValue(d)
				}
				return eachKey(d, func(name string) error {
					var raw json.RawMessage
					if err := d.Decode(&raw); err != nil {
						return err
					}
					if len(doc.schemas) >= maxSchemas {
						return errors.New("it has too many schemas")
					}
					doc.schemas[name] = raw
					return nil
				})
			})
		case "paths":
			return eachKey(d, func(path string) error {
				res, ok := resourceOfPath(path)
				if !ok {
					return skipValue(d)
				}
				var raw json.RawMessage
				if err := d.Decode(&raw); err != nil {
					return err
				}
				if name := responseSchema(raw); name != "" {
					doc.byPath[res] = name
				}
				return nil
			})
		}
		return skipValue(d)
	})
	switch {
	case lim.N <= 0:
		return nil, errors.New("it is larger than 16 MiB")
	case err != nil:
		return nil, errors.New("it is not an OpenAPI document in JSON")
	case len(doc.schemas) == 0:
		return nil, errors.New("it has no components/schemas")
	}
	return doc, nil
}

// eachKey reads an object and calls f after each key; f reads the value.
func eachKey(d *json.Decoder, f func(string) error) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return errNotObject
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return errNotObject
		}
		if err := f(key); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func skipValue(d *json.Decoder) error {
	var raw json.RawMessage
	return d.Decode(&raw)
}

// resourceOfPath returns our resource of a detail path such as
// /api/0.1/diagnosticimaging_worklist/{id}/.
func resourceOfPath(path string) (string, bool) {
	seg := strings.Split(strings.Trim(path, "/"), "/")
	if len(seg) < 2 || !strings.HasPrefix(seg[len(seg)-1], "{") {
		return "", false
	}
	if len(seg) > 2 {
		if res, ok := resourceByPath(seg[len(seg)-3] + "/" + seg[len(seg)-2]); ok {
			return res, true
		}
	}
	return resourceByPath(seg[len(seg)-2])
}

// responseSchema returns the schema name of the 200 answer of GET.
func responseSchema(raw json.RawMessage) string {
	var p struct {
		Get struct {
			Responses map[string]struct {
				Content map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					} `json:"schema"`
				} `json:"content"`
			} `json:"responses"`
		} `json:"get"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return ""
	}
	content := p.Get.Responses["200"].Content
	if m, ok := content["application/json"]; ok && m.Schema.Ref != "" {
		return refName(m.Schema.Ref)
	}
	for _, m := range content {
		if m.Schema.Ref != "" {
			return refName(m.Schema.Ref)
		}
	}
	return ""
}

func refName(ref string) string {
	name, ok := strings.CutPrefix(ref, "#/components/schemas/")
	if !ok {
		return ""
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
}

// find returns the schema name of a resource: by its path, else by its name.
func (s *schemas) find(res string) (string, bool) {
	if name := s.byPath[res]; name != "" {
		if _, ok := s.schemas[name]; ok {
			return name, true
		}
	}
	for _, want := range schemaNames[res] {
		var found []string
		for name := range s.schemas {
			if strings.EqualFold(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name), want) {
				found = append(found, name)
			}
		}
		if len(found) > 0 {
			slices.Sort(found)
			return found[0], true
		}
	}
	return "", false
}

// schema is a schema object of OpenAPI 3.0, as far as we read it.
type schema struct {
	Ref          string                     `json:"$ref"`
	Type         any                        `json:"type"`
	Format       string                     `json:"format"`
	Title        string                     `json:"title"`
	Description  string                     `json:"description"`
	Enum         []any                      `json:"enum"`
	Descriptions any                        `json:"x-enum-descriptions"`
	Varnames     any                        `json:"x-enum-varnames"`
	EnumNames    any                        `json:"x-enumNames"`
	Properties   map[string]json.RawMessage `json:"properties"`
	Items        json.RawMessage            `json:"items"`
	AllOf        []json.RawMessage          `json:"allOf"`
	OneOf        []json.RawMessage          `json:"oneOf"`
	AnyOf        []json.RawMessage          `json:"anyOf"`
}

// parse reads a schema object. It refuses to go on when references have made
// it look at more than any real document holds.
func (s *schemas) parse(raw json.RawMessage) (schema, bool) {
	var sc schema
	s.work += len(raw) + 100
	if len(raw) == 0 || s.work > maxSchemaWork || scanLimits(raw) != nil {
		return sc, false
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	// A field of another type than expected leaves the rest readable.
	var typeErr *json.UnmarshalTypeError
	if err := d.Decode(&sc); err != nil && !errors.As(err, &typeErr) {
		return sc, false
	}
	return sc, true
}

// properties collects the properties of an object schema, through $ref and allOf.
func (s *schemas) properties(raw json.RawMessage, into map[string]seenField, depth int) {
	sc, ok := s.parse(raw)
	if !ok || depth > maxSchemaRefs || len(into) > 1000 {
		return
	}
	if name := refName(sc.Ref); name != "" {
		s.properties(s.schemas[name], into, depth+1)
	}
	for i, part := range sc.AllOf {
		if i == 20 {
			break
		}
		s.properties(part, into, depth+1)
	}
	for name, prop := range sc.Properties {
		if len(into) > 1000 {
			return
		}
		var f seenField
		s.describe(prop, &f, 0)
		into[cleanLine(name)] = f
	}
}

// describe reads type and choices of one property, through $ref, allOf, oneOf
// and anyOf.
func (s *schemas) describe(raw json.RawMessage, f *seenField, depth int) {
	sc, ok := s.parse(raw)
	if !ok || depth > maxSchemaRefs {
		return
	}
	if f.Type == "" {
		f.Type = typeText(sc)
	}
	if len(f.Choices) == 0 {
		f.Choices = enumChoices(sc)
	}
	if name := refName(sc.Ref); name != "" {
		s.describe(s.schemas[name], f, depth+1)
	}
	for _, list := range [][]json.RawMessage{sc.AllOf, sc.OneOf, sc.AnyOf} {
		for _, part := range list {
			s.describe(part, f, depth+1)
		}
	}
	labelChoices(f.Choices, sc.Description)
}

func typeText(sc schema) string {
	t, _ := sc.Type.(string)
	switch {
	case sc.Format == "date-time":
		return "datetime"
	case t == "" || sc.Format == "":
		return cleanLine(t)
	}
	return cleanLine(fmt.Sprintf("%.40s %.40s", t, sc.Format))
}

// enumChoices reads an enum with the labels beside it.
func enumChoices(sc schema) []Choice {
	var out []Choice
	for i, v := range sc.Enum {
		if len(out) == maxChoices {
			break
		}
		value, _ := scalarFlat(v)
		if value == "" {
			continue // null and "" of nullable enums
		}
		ch := Choice{Value: value}
		for _, labels := range []any{sc.Descriptions, sc.EnumNames, sc.Varnames} {
			if ch.Label == "" {
				ch.Label = enumLabel(labels, i, value)
			}
		}
		out = append(out, ch)
	}
	labelChoices(out, sc.Description)
	return out
}

func enumLabel(labels any, i int, value string) string {
	switch t := labels.(type) {
	case []any:
		if i < len(t) {
			return line(t[i])
		}
	case map[string]any:
		return line(t[value])
	}
	return ""
}

// describedChoice is a line such as "* `1` - New", "1: New" or "1 = New".
var describedChoice = regexp.MustCompile("(?:^|[\\n;,*•])[ \\t]*[*•-]?[ \\t]*[`'\"]?(-?[A-Za-z0-9_]{1,40})[`'\"]?[ \\t]*(?:[-–—:=]|->)[ \\t]+?([^\\n;,*•]{1,120})")

// labelChoices fills in missing labels from the text of a description.
func labelChoices(choices []Choice, description string) {
	if len(choices) == 0 || description == "" {
		return
	}
	if len(description) > maxText {
		description = description[:maxText]
	}
	for _, m := range describedChoice.FindAllStringSubmatch(description, maxChoices*2) {
		for i := range choices {
			if choices[i].Label == "" && choices[i].Value == m[1] {
				choices[i].Label = cleanLine(strings.Trim(m[2], "`'\" ."))
			}
		}
	}
}
