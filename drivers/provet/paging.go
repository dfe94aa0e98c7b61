package provet

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// maxPages bounds one list.
const maxPages = 2000

// errDeep marks the refusal of a page far into a list (Provet ends at 10 000
// rows); the list then has to be read by id ranges.
var errDeep = errors.New("the list is too long for pages")

// listPage is one page of a list.
type listPage struct {
	rows  []object
	count int  // of all pages; -1 when not said
	more  bool // there is a page after this one
}

// page reads page n. The address of the next page is always made here; "next"
// only tells whether there is one.
func (c *Client) page(ctx context.Context, n, size int, q url.Values) (listPage, error) {
	return c.pageOf(ctx, resWorklist, n, size, q)
}

func (c *Client) pageOf(ctx context.Context, res string, n, size int, q url.Values) (listPage, error) {
	query := url.Values{}
	for k, v := range q {
		query[k] = v
	}
	query.Set("page_size", strconv.Itoa(size))
	if n > 1 {
		query.Set("page", strconv.Itoa(n))
	}
	v, err := c.do(ctx, &call{op: opList, res: res, method: http.MethodGet, query: query})
	if n > 1 && gone(err) {
		return listPage{count: -1}, nil // the list became shorter
	}
	if err != nil {
		if e, ok := asError(err); ok && n > 1 && e.HTTPStatus == http.StatusBadRequest {
			e.Err = errDeep
		}
		return listPage{}, err
	}
	p := listPage{count: -1}
	list, bare := v.([]any)
	if !bare {
		o, _ := asObject(v)
		var ok bool
		if list, ok = o["results"].([]any); !ok {
			return p, &Error{Op: opList, Resource: res, Class: Protocol, HTTPStatus: http.StatusOK, Detail: "the list has no results"}
		}
		if f, ok := decimal(o["count"]); ok && f >= 0 && f < 1e9 {
			p.count = int(f)
		}
		if next, said := o["next"]; said {
			s, isText := next.(string)
			p.more = isText && s != ""
		} else if pages, ok := decimal(o["num_pages"]); ok {
			p.more = float64(n) < pages
		} else {
			p.more = len(list) >= size
		}
	}
	for _, e := range list {
		if o, ok := asObject(e); ok {
			p.rows = append(p.rows, o)
		}
	}
	p.more = p.more && len(list) > 0 && n < maxPages
	return p, nil
}
