package provet

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"
)

const maxChoices = 200

// Probe asks a tenant for the names and choices of its imaging objects: OPTIONS
// on the worklist and the referral (Django REST Framework metadata), and where
// that says nothing, one real row. It changes nothing; the labels of the status
// values it finds are used for StatusLabel from then on.
//
// The error is not nil only when the worklist cannot be reached at all.
func (c *Client) Probe(ctx context.Context) (Report, error) {
	rep := Report{Source: "probe"}
	row, err := c.firstRow(ctx, &rep)
	if err != nil {
		return rep, err
	}
	id := ""
	if r, ok := c.row(row); ok {
		id = r.ID
	}
	seen, err := c.metadata(ctx, resWorklist, id, &rep)
	if err != nil {
		return rep, err
	}
	addRow(seen, row)
	work := c.fields.matchFields(resWorklist, seen)
	rep.Resources = append(rep.Resources, work)
	rep.Status = statusReport(work, seen)
	if err := c.probeReferral(ctx, row, id, &rep); err != nil {
		return rep, err
	}
	for _, res := range []string{resModality, resTargetArea} {
		if err := c.probeNames(ctx, res, &rep); err != nil {
			return rep, err
		}
	}
	if len(rep.Status.Choices) == 0 {
		rep.Notes = append(rep.Notes, "no status values were offered: look at the values of some orders in Provet Cloud, or use the OpenAPI file")
	} else {
		known := rep.Status.Choices
		c.choices.Store(&known)
	}
	return rep, nil
}

// firstRow reads one worklist row, nil when there is none.
func (c *Client) firstRow(ctx context.Context, rep *Report) (object, error) {
	p, err := c.page(ctx, 1, 1, nil)
	switch {
	case err != nil && degradable(err):
		rep.Notes = append(rep.Notes, missingEntry("worklist list", err))
		return nil, nil
	case err != nil:
		return nil, asOp(err, opProbe)
	case len(p.rows) == 0:
		rep.Notes = append(rep.Notes, "there is no imaging order yet; make one and probe again to see its fields")
		return nil, nil
	}
	return p.rows[0], nil
}

// metadata asks for OPTIONS on one object (actions.PUT) and, when that shows no
// fields, on the collection (actions.POST).
func (c *Client) metadata(ctx context.Context, res, id string, rep *Report) (map[string]seenField, error) {
	seen := map[string]seenField{}
	ids := []string{""}
	if id != "" {
		ids = []string{id, ""}
	}
	for _, id := range ids {
		o, err := c.object(ctx, &call{op: opProbe, res: res, method: http.MethodOptions, id: id})
		if err != nil {
			if !degradable(err) && !isClass(err, Protocol) {
				return seen, err
			}
			rep.Notes = append(rep.Notes, missingEntry(res+" metadata", err))
			continue
		}
		readActions(seen, o)
		if len(seen) > 0 {
			return seen, nil
		}
	}
	rep.Notes = append(rep.Notes, res+": the metadata names no fields (writing is probably not permitted)")
	return seen, nil
}

// readActions reads actions.PUT|POST|PATCH of DRF metadata.
func readActions(seen map[string]seenField, o object) {
	actions, _ := asObject(o["actions"])
	for _, method := range []string{"PUT", "PATCH", "POST"} {
		fields, _ := asObject(actions[method])
		for name, v := range fields {
			if len(seen) >= maxRefs*2 {
				return
			}
			f, ok := asObject(v)
			if !ok || name == "" {
				continue
			}
			had := seen[name]
			if t := line(f["type"]); t != "" {
				had.Type = t
			}
			if ch := readChoices(f["choices"]); len(ch) > 0 {
				had.Choices = ch
			}
			seen[cleanLine(name)] = had
		}
	}
}

// readChoices reads [{"value": 1, "display_name": "New"}], [[1, "New"]] or {"1": "New"}.
func readChoices(v any) []Choice {
	var out []Choice
	add := func(value, label any) {
		if s, _ := scalarFlat(value); s != "" && len(out) < maxChoices {
			out = append(out, Choice{Value: s, Label: line(label)})
		}
	}
	switch t := v.(type) {
	case []any:
		for _, e := range t {
			switch ch := e.(type) {
			case map[string]any:
				label := ch["display_name"]
				if label == nil {
					label = ch["label"]
				}
				add(ch["value"], label)
			case []any:
				if len(ch) == 2 {
					add(ch[0], ch[1])
				}
			default:
				add(e, "")
			}
		}
	case map[string]any:
		for k, label := range t {
			add(k, label)
		}
		sortChoices(out)
	}
	return out
}

// addRow adds the names of a real row, with what its value looks like.
func addRow(seen map[string]seenField, row object) {
	for name, v := range row {
		f := seen[name]
		if f.Type == "" {
			f.Type = shapeOf(v)
		}
		seen[name] = f
	}
}

func shapeOf(v any) string {
	switch t := v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "list"
	case string:
		if !instant(t, time.UTC).IsZero() {
			return "datetime"
		}
		return "text"
	case nil:
		return ""
	case bool:
		return "boolean"
	}
	return "number"
}

// probeReferral looks at the referral of the row, or the one with its id.
func (c *Client) probeReferral(ctx context.Context, row object, id string, rep *Report) error {
	ref := relationTo(resReferral, c.fields.value(resWorklist, "referral", row))
	if ref.ID == "" {
		ref.ID = id
	}
	seen, err := c.metadata(ctx, resReferral, ref.ID, rep)
	if err != nil {
		return err
	}
	addRow(seen, ref.Embedded)
	if ref.ID != "" {
		full, err := c.get(ctx, resReferral, ref.ID, "")
		if err != nil && !degradable(err) {
			return err
		}
		if err != nil {
			rep.Notes = append(rep.Notes, missingEntry("referral", err))
		}
		addRow(seen, full)
	}
	rep.Resources = append(rep.Resources, c.fields.matchFields(resReferral, seen))
	return nil
}

// probeNames looks at one row of a table of names.
func (c *Client) probeNames(ctx context.Context, res string, rep *Report) error {
	p, err := c.pageOf(ctx, res, 1, 1, nil)
	if err != nil {
		if !degradable(err) {
			return err
		}
		rep.Notes = append(rep.Notes, missingEntry(res, err))
		return nil
	}
	if len(p.rows) == 0 {
		rep.Notes = append(rep.Notes, fmt.Sprintf("%s: there is no row yet", res))
		return nil
	}
	seen := map[string]seenField{}
	addRow(seen, maps.Clone(p.rows[0]))
	rep.Resources = append(rep.Resources, c.fields.matchFields(res, seen))
	return nil
}
