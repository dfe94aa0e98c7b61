package provet

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// Upstream is what Provet Cloud says about an order now.
type Upstream struct {
	Content     order.Content
	Status      string // raw value as text; numbers as decimals
	StatusLabel string // as shown to people, when known
	Withdrawn   bool   // the status is one of Config.Withdrawn
	Finished    bool   // the status is one we write for completed, discontinued or cancelled
	Modified    time.Time
	InScope     bool // belongs to one of Config.Departments
	// Unmapped are the fields without which an order does not work (status,
	// patient, modality) and that the order has under no candidate name: RH-106.
	Unmapped []*FieldError
}

// Order reads an order and everything about it: the worklist row, then the
// referral, its consultation (with patients), client and patient, and the names
// behind the other relations. Independent reads run at the same time.
//
// What the integration may not read, or what no longer exists, is left out and
// named in Content.Missing. A failure that passes fails the whole read. Errors
// are ErrGone when the order does not exist, else *Error.
func (c *Client) Order(ctx context.Context, id string) (Upstream, error) {
	row, err := c.worklistRow(ctx, id)
	if err != nil {
		return Upstream{}, err
	}
	g := newGathering(c, id, row)
	if err := g.run(ctx); err != nil {
		return Upstream{}, err
	}
	up := Upstream{Content: g.content, Modified: instant(c.fields.value(resWorklist, "modified", row), c.cfg.Zone)}
	for _, logical := range neededFields {
		if _, _, ok := c.fields.find(resWorklist, logical, row); !ok {
			up.Unmapped = append(up.Unmapped, c.fields.fieldError(resWorklist, logical, row))
		}
	}
	up.Status, up.StatusLabel = c.statusOf(row)
	up.Withdrawn, up.Finished = c.withdrawn(up.Status), c.finished(up.Status)
	up.InScope = c.inScope(up.Content.Department.ID)
	if len(c.cfg.Departments) > 0 && up.Content.Department.ID == "" {
		up.Content.Missing = append(up.Content.Missing, "department: not stated, so the department filter does not apply")
	}
	slices.Sort(up.Content.Missing)
	up.Content.Missing = slices.Compact(up.Content.Missing)
	return up, nil
}

// worklistRow reads the worklist row of an order. A 404 counts as gone only in
// the words of the API, or when the API answers otherwise: a wrong base URL must
// not withdraw every order.
func (c *Client) worklistRow(ctx context.Context, id string) (object, error) {
	row, err := c.get(ctx, resWorklist, id, "")
	if err == nil {
		return row, nil
	}
	if gone(err) {
		return nil, ErrGone
	}
	var e *Error
	if errors.As(err, &e) && (e.HTTPStatus == http.StatusNotFound || e.HTTPStatus == http.StatusGone) {
		if _, lerr := c.page(ctx, 1, 1, nil); lerr == nil {
			return nil, ErrGone
		}
	}
	return nil, err
}

// statusOf returns the status of a worklist row as text, and its label.
func (c *Client) statusOf(row object) (value, label string) {
	value, label = scalar(c.fields.value(resWorklist, "status", row))
	if label == "" {
		label = line(c.fields.value(resWorklist, "status_label", row))
	}
	if label == "" {
		if known := c.choices.Load(); known != nil {
			for _, ch := range *known {
				if ch.Value == value {
					label = ch.Label
				}
			}
		}
	}
	return value, label
}

func (c *Client) withdrawn(status string) bool {
	return status != "" && slices.ContainsFunc(c.cfg.Withdrawn, func(v string) bool { return canonical(v) == status })
}

// finished reports whether a status is one we write for a final state, and for
// no open state besides.
func (c *Client) finished(status string) bool {
	if status == "" {
		return false
	}
	final := false
	for st, v := range c.cfg.Status {
		if v == "" || canonical(v) != status {
			continue
		}
		if st.Open() {
			return false
		}
		final = true
	}
	return final
}

// inScope applies the departments filter. An order that names no department is
// in scope: it is better shown than lost.
func (c *Client) inScope(department string) bool {
	return len(c.cfg.Departments) == 0 || department == "" || slices.Contains(c.cfg.Departments, department)
}

// missingEntry is one line of Content.Missing.
func missingEntry(what string, err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return what + ": not read"
	}
	s := what + ": " + strconv.Itoa(e.HTTPStatus)
	if e.Class == Permission {
		s += " (permission " + permissionOf(e.Resource) + ")"
	}
	return s
}
