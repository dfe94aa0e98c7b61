package provet

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// nameCache keeps the rows behind relations that only give a name: modalities,
// target areas, departments, users. Refusals (403, 404) are kept too.
type nameCache struct {
	ttl time.Duration
	now func() time.Time
	mu  sync.Mutex
	m   map[string]cachedName
}

type cachedName struct {
	row object // nil: refused
	err error  // why, when row is nil
	at  time.Time
}

// maxNames bounds the cache; beyond it the cache starts anew.
const maxNames = 5000

func newNameCache(ttl time.Duration, now func() time.Time) *nameCache {
	return &nameCache{ttl: ttl, now: now, m: map[string]cachedName{}}
}

func (n *nameCache) get(key string) (e cachedName, fresh, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok = n.m[key]
	return e, ok && n.now().Sub(e.at) < n.ttl, ok
}

func (n *nameCache) put(key string, row object, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.m) >= maxNames {
		clear(n.m)
	}
	n.m[key] = cachedName{row: row, err: err, at: n.now()}
}

// lookup returns the row behind a relation, from the cache if it is fresh, and
// an old one if Provet cannot be asked.
func (c *Client) lookup(ctx context.Context, res, id string) (object, error) {
	key := res + "/" + id
	old, fresh, ok := c.names.get(key)
	if fresh {
		return old.row, old.err
	}
	row, err := c.get(ctx, res, id, "")
	if passes := !degradable(err) && ctx.Err() == nil; passes && row == nil && ok && old.row != nil {
		return old.row, nil
	}
	switch {
	case err == nil:
		c.names.put(key, row, nil)
	case degradable(err):
		c.names.put(key, nil, err)
	}
	return row, err
}

// degradable reports whether an order may be read without what err withholds:
// a missing permission, an object that is gone, a request refused for good.
// Failures that pass are not: the whole read is repeated instead.
func degradable(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.WrongBase {
		return false
	}
	return e.Class == Permission || e.Class == Permanent
}

// gone reports whether err is a 404 or 410 in the words of the API.
func gone(err error) bool {
	var e *Error
	return errors.As(err, &e) && !e.WrongBase && (e.HTTPStatus == http.StatusNotFound || e.HTTPStatus == http.StatusGone)
}

// person turns a relation to a user into a person.
func (c *Client) person(ctx context.Context, r relation) (order.Person, error) {
	out := order.Person{ID: r.ID}
	row := r.Embedded
	if row != nil {
		c.fillPerson(&out, row)
	}
	if out.FirstName == "" && out.LastName == "" {
		if out.ID == "" {
			out.LastName = r.Name
			return out, nil
		}
		row, err := c.lookup(ctx, resUser, out.ID)
		if err != nil {
			out.LastName = r.Name
			return out, err
		}
		c.fillPerson(&out, row)
	}
	if out.FirstName == "" && out.LastName == "" {
		out.LastName = r.Name
	}
	return out, nil
}

func (c *Client) fillPerson(p *order.Person, row object) {
	p.FirstName = line(c.fields.value(resUser, "first_name", row))
	p.LastName = line(c.fields.value(resUser, "last_name", row))
	p.Title = line(c.fields.value(resUser, "title", row))
}
