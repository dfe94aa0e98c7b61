package provet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rayhound/rayhound/appliance/order"
)

// StatusResult says what SetStatus found and did.
type StatusResult struct {
	Changed  bool   // a new value was written
	From, To string // values as text
}

// MapsStatus reports whether a value is configured for a state.
func (c *Client) MapsStatus(st order.State) bool { return canonical(c.cfg.Status[st]) != "" }

// SetStatus writes the configured value of a state to an order: it reads the
// order, compares, and PATCHes the status field alone, and only when it differs.
// After a write whose outcome is unknown it reads again, so that nil means that
// Provet Cloud shows the value.
//
// It does not write over a withdrawal, which only a person makes; see
// OverwriteStatus.
//
// Errors are ErrUnmapped when no value is configured (nothing was sent), ErrGone
// when the order does not exist, ErrWithdrawn, else *Error.
func (c *Client) SetStatus(ctx context.Context, id string, st order.State) (StatusResult, error) {
	return c.setStatus(ctx, id, st, false)
}

// OverwriteStatus is SetStatus that writes over a withdrawal too, for an order
// that was imaged all the same.
func (c *Client) OverwriteStatus(ctx context.Context, id string, st order.State) (StatusResult, error) {
	return c.setStatus(ctx, id, st, true)
}

func (c *Client) setStatus(ctx context.Context, id string, st order.State, over bool) (StatusResult, error) {
	want := canonical(c.cfg.Status[st])
	if want == "" {
		return StatusResult{}, ErrUnmapped
	}
	row, err := c.worklistRow(ctx, id)
	if err != nil {
		return StatusResult{}, asOp(err, opSetStatus)
	}
	name, value, ok := c.fields.find(resWorklist, "status", row)
	if _, plain := row[name]; !ok || !plain { // a path into an embedded object cannot be written
		return StatusResult{}, &Error{
			Op: opSetStatus, Resource: resWorklist, Class: Permanent, Err: c.fields.fieldError(resWorklist, "status", row),
		}
	}
	res := StatusResult{To: want}
	if res.From, _ = scalar(value); res.From == want {
		return res, nil
	}
	if !over && st != order.Cancelled && c.withdrawn(res.From) {
		return res, ErrWithdrawn
	}
	shown, err := c.patchStatus(ctx, id, name, likeRead(value, want))
	var e *Error
	switch {
	case err == nil && (shown == want || shown == ""):
		res.Changed = true
		return res, nil
	case gone(err):
		return res, ErrGone
	case err != nil && (!errors.As(err, &e) || !e.Unknown):
		return res, err
	}
	// Unknown outcome, or another value in the answer: look.
	again, rerr := c.worklistRow(ctx, id)
	if rerr != nil {
		if err == nil {
			err = rerr
		}
		return res, asOp(err, opSetStatus)
	}
	if now, _ := c.statusOf(again); now == want {
		res.Changed = true
		return res, nil
	}
	if err == nil {
		err = &Error{Op: opSetStatus, Resource: resWorklist, Class: Permanent, HTTPStatus: http.StatusOK, Detail: "the value was accepted but is not shown"}
	}
	return res, err
}

// patchStatus sends the one field and returns the status in the answer.
func (c *Client) patchStatus(ctx context.Context, id, name string, value any) (string, error) {
	v, err := c.do(ctx, &call{
		op: opSetStatus, res: resWorklist, method: http.MethodPatch, id: id, body: encode(map[string]any{name: value}),
	})
	if err != nil {
		return "", err
	}
	o, _ := asObject(v)
	shown, _ := scalar(o[name])
	return shown, nil
}

// likeRead gives a value the JSON type of the one that was read: a number where
// a number (or nothing yet) was, text where text was.
func likeRead(read any, want string) any {
	if m, ok := asObject(read); ok {
		read = nil
		for _, k := range []string{"value", "id", "code", "key"} {
			if m[k] != nil {
				read = m[k]
				break
			}
		}
	}
	switch read.(type) {
	case json.Number, nil:
		if isInteger(want) {
			return json.Number(want)
		}
	case bool:
		if want == "true" || want == "false" {
			return want == "true"
		}
	}
	return want
}

func isInteger(s string) bool {
	if len(s) > 1 && s[0] == '-' {
		s = s[1:]
	}
	return isDigits(s) && (s == "0" || s[0] != '0') && len(s) < 19
}

// asOp names the operation of an error that came up on the way.
func asOp(err error, op string) error {
	var e *Error
	if !errors.As(err, &e) || e.Op == opToken {
		return err
	}
	other := *e
	other.Op = op
	return &other
}
