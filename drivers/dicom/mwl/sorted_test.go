package mwl

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rayhound/rayhound/appliance/order"
)

// A sorted list is in order whatever was added and taken away, and old versions
// do not change.
func TestSorted(t *testing.T) {
	byID := func(a, b *item) int { return cmp.Compare(a.order.ID, b.order.ID) }
	all := make([]*item, 2000)
	for i := range all {
		all[i] = &item{order: &order.Order{ID: int64(i)}}
	}
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 1000).Draw(rt, "loaded")
		s := newSorted(slices.Clone(all[:n]))
		model := map[int]bool{}
		for i := range n {
			model[i] = true
		}
		before, size := s, n
		from := rapid.IntRange(0, 1500).Draw(rt, "from")
		for _, d := range rapid.SliceOfN(rapid.IntRange(-499, 499), 0, 600).Draw(rt, "ops") {
			switch i := from + max(d, -d); {
			case d > 0 && !model[i]:
				s, model[i] = s.with(all[i], byID), true
			case d < 0:
				s = s.without(all[i], byID)
				delete(model, i)
			}
		}
		var got []int
		for _, c := range s {
			if len(c) == 0 || len(c) > 2*chunkSize {
				rt.Fatalf("a chunk of %d", len(c))
			}
			for _, it := range c {
				got = append(got, int(it.order.ID))
			}
		}
		if !slices.IsSorted(got) || len(got) != len(model) {
			rt.Fatalf("%d items, want %d", len(got), len(model))
		}
		for _, i := range got {
			if !model[i] {
				rt.Fatalf("%d should be gone", i)
			}
		}
		count := 0
		for _, c := range before {
			count += len(c)
		}
		if count != size {
			rt.Fatal("an old version changed")
		}
	})
}
