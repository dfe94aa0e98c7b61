package mwl

import "slices"

// chunkSize is how many items a change copies.
const chunkSize = 128

// sorted is an immutable ordered list of items in chunks, none of them empty: a
// change copies one chunk and the list of chunks, however many items there are.
type sorted [][]*item

// newSorted cuts items that are in order into chunks. It keeps the slice.
func newSorted(items []*item) sorted {
	var s sorted
	for c := range slices.Chunk(items, chunkSize) {
		s = append(s, slices.Clip(c))
	}
	return s
}

func (s sorted) with(it *item, compare func(a, b *item) int) sorted {
	if len(s) == 0 {
		return sorted{{it}}
	}
	n := s.chunk(it, compare)
	old := s[n]
	i, _ := slices.BinarySearchFunc(old, it, compare)
	now := make([]*item, len(old)+1)
	copy(now, old[:i])
	now[i] = it
	copy(now[i+1:], old[i:])
	out := make(sorted, 0, len(s)+1)
	out = append(out, s[:n]...)
	if len(now) > 2*chunkSize {
		out = append(out, now[:chunkSize:chunkSize], now[chunkSize:])
	} else {
		out = append(out, now)
	}
	return append(out, s[n+1:]...)
}

// without returns the list without an item; one that is not there is no error.
func (s sorted) without(it *item, compare func(a, b *item) int) sorted {
	if len(s) == 0 {
		return s
	}
	n := s.chunk(it, compare)
	old := s[n]
	i, ok := slices.BinarySearchFunc(old, it, compare)
	if !ok {
		return s
	}
	out := make(sorted, 0, len(s))
	out = append(out, s[:n]...)
	if len(old) > 1 {
		now := make([]*item, 0, len(old)-1)
		out = append(out, append(append(now, old[:i]...), old[i+1:]...))
	}
	return append(out, s[n+1:]...)
}

// chunk returns the number of the chunk in which an item is, or belongs.
func (s sorted) chunk(it *item, compare func(a, b *item) int) int {
	n, ok := slices.BinarySearchFunc(s, it, func(c []*item, it *item) int { return compare(c[0], it) })
	if !ok && n > 0 {
		n--
	}
	return n
}
