package provetsim

import (
	"cmp"
	"slices"
	"time"
)

// row is one stored object. It is never changed after it was put into a table:
// a change makes a new row, so that a row read under the lock stays true.
type row struct {
	id       int
	modified time.Time // of resources that have it
	archived bool
	vals     []any // by column: nil, int, float64, bool, string, time.Time, []int
}

func (r *row) clone() *row {
	c := *r
	c.vals = slices.Clone(r.vals)
	return &c
}

func (r *row) int(col int) int     { v, _ := r.vals[col].(int); return v }
func (r *row) text(col int) string { v, _ := r.vals[col].(string); return v }
func (r *row) bool(col int) bool   { v, _ := r.vals[col].(bool); return v }
func (r *row) ints(col int) []int  { v, _ := r.vals[col].([]int); return v }
func (r *row) time(col int) time.Time {
	v, _ := r.vals[col].(time.Time)
	return v
}

// table holds the rows of a resource with two indexes: by id, and by time of
// modification. The caller holds Sim.mu.
type table struct {
	res                *resource
	view               *view
	rows               map[int]*row
	byID               []*row
	byModified         []*row // empty for resources without a modified field
	created, mod, arch int    // columns, -1 when absent
	last               int    // highest id ever used
}

func newTable(res *resource, v *view) *table {
	return &table{
		res: res, view: v, rows: map[int]*row{}, last: res.firstID - 1,
		created: res.col("created"), mod: res.col("modified"), arch: res.col("archived"),
	}
}

func cmpID(a, b *row) int { return cmp.Compare(a.id, b.id) }

func cmpModified(a, b *row) int {
	if c := a.modified.Compare(b.modified); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// put stores r, replacing the row with its id.
func (t *table) put(r *row) {
	if t.mod >= 0 {
		r.modified = r.time(t.mod)
	}
	if t.arch >= 0 {
		r.archived = r.bool(t.arch)
	}
	old := t.rows[r.id]
	t.rows[r.id] = r
	t.last = max(t.last, r.id)
	i, found := slices.BinarySearchFunc(t.byID, r, cmpID)
	if found {
		t.byID[i] = r
	} else {
		t.byID = slices.Insert(t.byID, i, r)
	}
	if t.mod < 0 {
		return
	}
	if old != nil {
		t.unindex(old)
	}
	i, _ = slices.BinarySearchFunc(t.byModified, r, cmpModified)
	t.byModified = slices.Insert(t.byModified, i, r)
}

func (t *table) unindex(r *row) {
	if i, found := slices.BinarySearchFunc(t.byModified, r, cmpModified); found {
		t.byModified = slices.Delete(t.byModified, i, i+1)
	}
}

func (t *table) remove(id int) *row {
	r := t.rows[id]
	if r == nil {
		return nil
	}
	delete(t.rows, id)
	if i, found := slices.BinarySearchFunc(t.byID, r, cmpID); found {
		t.byID = slices.Delete(t.byID, i, i+1)
	}
	if t.mod >= 0 {
		t.unindex(r)
	}
	return r
}

// record is a row under construction: default names to values.
type record map[string]any

// build makes a row of rec; names it does not have are ignored.
func (t *table) build(id int, now time.Time, rec record) *row {
	if id == 0 {
		id = t.last + 1
	}
	r := &row{id: id, vals: make([]any, len(t.res.fields))}
	for i := range t.res.fields {
		f := &t.res.fields[i]
		v, ok := rec[f.name]
		switch {
		case ok:
			r.vals[i] = v
		case f.kind == kindText:
			r.vals[i] = ""
		case f.kind == kindBool:
			r.vals[i] = false
		case f.kind == kindRefs:
			r.vals[i] = []int(nil)
		case f.kind == kindRaw:
			r.vals[i] = "[]"
		}
	}
	for _, c := range []int{t.created, t.mod} {
		if c >= 0 && r.vals[c] == nil {
			r.vals[c] = now
		}
	}
	return r
}

// changed returns a copy of r with the values of rec and a new time of modification.
func (t *table) changed(r *row, now time.Time, rec record) *row {
	c := r.clone()
	for name, v := range rec {
		if i := t.res.col(name); i >= 0 {
			c.vals[i] = v
		}
	}
	if t.mod >= 0 {
		if _, set := rec["modified"]; !set {
			c.vals[t.mod] = now
		}
	}
	return c
}
