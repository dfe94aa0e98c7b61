package mwl

import (
	"cmp"
	"slices"
)

// view is what is routed to one station, in buckets. A view never changes; with
// and without return a new one that shares the untouched buckets.
type view struct {
	days   []bucket // items with a scheduled time, by day
	floats sorted   // floating items, by accession
	fresh  []bucket // the same floating items by the day they were received
	n      int
}

// bucket is the items of one day, by time and accession.
type bucket struct {
	day   int32
	items sorted
}

func (v *view) with(it *item) *view {
	now := *v
	now.n++
	if it.floating {
		now.floats = v.floats.with(it, compareID)
		now.fresh = bucketed(v.fresh, it)
	} else {
		now.days = bucketed(v.days, it)
	}
	return &now
}

func (v *view) without(it *item) *view {
	now := *v
	now.n--
	if it.floating {
		now.floats = v.floats.without(it, compareID)
		now.fresh = unbucketed(v.fresh, it)
	} else {
		now.days = unbucketed(v.days, it)
	}
	return &now
}

// newView sorts many items at once. It keeps the slice.
func newView(items []*item) *view {
	v := &view{n: len(items)}
	var timed, floats []*item
	for _, it := range items {
		if it.floating {
			floats = append(floats, it)
		} else {
			timed = append(timed, it)
		}
	}
	slices.SortFunc(floats, compareID)
	v.floats = newSorted(floats)
	v.days = grouped(timed)
	v.fresh = grouped(slices.Clone(floats))
	return v
}

func grouped(items []*item) []bucket {
	slices.SortFunc(items, func(a, b *item) int {
		if c := cmp.Compare(a.at.day, b.at.day); c != 0 {
			return c
		}
		return compareTime(a, b)
	})
	var out []bucket
	for i := 0; i < len(items); {
		j := i + 1
		for j < len(items) && items[j].at.day == items[i].at.day {
			j++
		}
		out = append(out, bucket{day: items[i].at.day, items: newSorted(items[i:j])})
		i = j
	}
	return out
}

// on returns the items of one day.
func on(buckets []bucket, day int32) sorted {
	if i, ok := findDay(buckets, day); ok {
		return buckets[i].items
	}
	return nil
}

// between returns the buckets from one day to another, both included.
func between(buckets []bucket, from, to int32) []bucket {
	i, _ := findDay(buckets, from)
	j, ok := findDay(buckets, to)
	if ok {
		j++
	}
	if j < i {
		return nil
	}
	return buckets[i:j]
}

func findDay(buckets []bucket, day int32) (int, bool) {
	return slices.BinarySearchFunc(buckets, day, func(b bucket, d int32) int { return cmp.Compare(b.day, d) })
}

func bucketed(buckets []bucket, it *item) []bucket {
	i, ok := findDay(buckets, it.at.day)
	out := make([]bucket, 0, len(buckets)+1)
	out = append(out, buckets[:i]...)
	var items sorted
	if ok {
		items = buckets[i].items
	}
	out = append(out, bucket{day: it.at.day, items: items.with(it, compareTime)})
	if ok {
		i++
	}
	return append(out, buckets[i:]...)
}

func unbucketed(buckets []bucket, it *item) []bucket {
	i, ok := findDay(buckets, it.at.day)
	if !ok {
		return buckets
	}
	out := make([]bucket, 0, len(buckets))
	out = append(out, buckets[:i]...)
	if items := buckets[i].items.without(it, compareTime); len(items) > 0 {
		out = append(out, bucket{day: it.at.day, items: items})
	}
	return append(out, buckets[i+1:]...)
}
