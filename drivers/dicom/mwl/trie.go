package mwl

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// index is an immutable map: with and without return a new index that shares
// all but a few small nodes with the old one, so that a change among ten
// thousand entries copies some hundred bytes. The zero value is empty.
//
// It is a hash trie of 32-way nodes compressed by a bitmap. Keys whose hashes
// collide completely share a leaf.
type index[K comparable, V any] struct {
	root *node[K, V]
	seed *maphash.Seed
	n    int
}

type node[K comparable, V any] struct {
	bitmap   uint32
	children []child[K, V]
}

// child is either an inner node or a leaf of at least one entry.
type child[K comparable, V any] struct {
	inner *node[K, V]
	hash  uint64
	leaf  []entry[K, V]
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newIndex[K comparable, V any]() index[K, V] {
	seed := maphash.MakeSeed()
	return index[K, V]{seed: &seed}
}

func (x index[K, V]) hash(k K) uint64 { return maphash.Comparable(*x.seed, k) }

// get returns the value of a key.
func (x index[K, V]) get(k K) (v V, ok bool) {
	if x.root == nil {
		return v, false
	}
	h := x.hash(k)
	for n, shift := x.root, 0; ; shift += 5 {
		bit := uint32(1) << (h >> shift & 31)
		if n.bitmap&bit == 0 {
			return v, false
		}
		c := &n.children[bits.OnesCount32(n.bitmap&(bit-1))]
		if c.inner != nil {
			n = c.inner
			continue
		}
		for i := range c.leaf {
			if c.leaf[i].key == k {
				return c.leaf[i].value, true
			}
		}
		return v, false
	}
}

// with returns the index with a key set to a value.
func (x index[K, V]) with(k K, v V) index[K, V] {
	root := x.root
	if root == nil {
		root = &node[K, V]{}
	}
	var added bool
	x.root = root.with(x.hash(k), 0, k, v, &added)
	if added {
		x.n++
	}
	return x
}

func (n *node[K, V]) with(h uint64, shift int, k K, v V, added *bool) *node[K, V] {
	bit := uint32(1) << (h >> shift & 31)
	at := bits.OnesCount32(n.bitmap & (bit - 1))
	if n.bitmap&bit == 0 {
		*added = true
		c := make([]child[K, V], len(n.children)+1)
		copy(c, n.children[:at])
		copy(c[at+1:], n.children[at:])
		c[at] = child[K, V]{hash: h, leaf: []entry[K, V]{{k, v}}}
		return &node[K, V]{bitmap: n.bitmap | bit, children: c}
	}
	c := make([]child[K, V], len(n.children))
	copy(c, n.children)
	old := c[at]
	switch {
	case old.inner != nil:
		c[at] = child[K, V]{inner: old.inner.with(h, shift+5, k, v, added)}
	case old.hash == h:
		leaf := make([]entry[K, V], 0, len(old.leaf)+1)
		*added = true
		for _, e := range old.leaf {
			if e.key == k {
				*added = false
				continue
			}
			leaf = append(leaf, e)
		}
		c[at] = child[K, V]{hash: h, leaf: append(leaf, entry[K, V]{k, v})}
	default: // the leaf moves one level down, next to the new one
		down := &node[K, V]{bitmap: 1 << (old.hash >> (shift + 5) & 31), children: []child[K, V]{old}}
		c[at] = child[K, V]{inner: down.with(h, shift+5, k, v, added)}
	}
	return &node[K, V]{bitmap: n.bitmap, children: c}
}

// put sets a key to a value in place. It is for an index under construction that
// nobody else has seen: with would leave a trail of copies behind it.
func (x *index[K, V]) put(k K, v V) {
	if x.root == nil {
		x.root = &node[K, V]{}
	}
	if x.root.put(x.hash(k), 0, k, v) {
		x.n++
	}
}

func (n *node[K, V]) put(h uint64, shift int, k K, v V) (added bool) {
	bit := uint32(1) << (h >> shift & 31)
	at := bits.OnesCount32(n.bitmap & (bit - 1))
	if n.bitmap&bit == 0 {
		n.bitmap |= bit
		n.children = slices.Insert(n.children, at, child[K, V]{hash: h, leaf: []entry[K, V]{{k, v}}})
		return true
	}
	c := &n.children[at]
	switch {
	case c.inner != nil:
		return c.inner.put(h, shift+5, k, v)
	case c.hash == h:
		for i := range c.leaf {
			if c.leaf[i].key == k {
				c.leaf[i].value = v
				return false
			}
		}
		c.leaf = append(c.leaf, entry[K, V]{k, v})
		return true
	}
	// The leaf moves one level down, next to the new one.
	down := &node[K, V]{bitmap: 1 << (c.hash >> (shift + 5) & 31), children: []child[K, V]{*c}}
	*c = child[K, V]{inner: down}
	return down.put(h, shift+5, k, v)
}

// without returns the index with a key removed.
func (x index[K, V]) without(k K) index[K, V] {
	if _, ok := x.get(k); !ok {
		return x
	}
	x.root = x.root.without(x.hash(k), 0, k)
	x.n--
	return x
}

// without is called for keys that are there. It returns nil for an empty node.
func (n *node[K, V]) without(h uint64, shift int, k K) *node[K, V] {
	bit := uint32(1) << (h >> shift & 31)
	at := bits.OnesCount32(n.bitmap & (bit - 1))
	old := n.children[at]
	var now child[K, V]
	if old.inner != nil {
		now.inner = old.inner.without(h, shift+5, k)
	} else {
		now.hash = old.hash
		for _, e := range old.leaf {
			if e.key != k {
				now.leaf = append(now.leaf, e)
			}
		}
	}
	if now.inner != nil || len(now.leaf) > 0 {
		c := make([]child[K, V], len(n.children))
		copy(c, n.children)
		c[at] = now
		return &node[K, V]{bitmap: n.bitmap, children: c}
	}
	if len(n.children) == 1 {
		return nil
	}
	c := make([]child[K, V], 0, len(n.children)-1)
	c = append(append(c, n.children[:at]...), n.children[at+1:]...)
	return &node[K, V]{bitmap: n.bitmap &^ bit, children: c}
}

// each calls fn for every entry, in no particular order, until it returns false.
func (x index[K, V]) each(fn func(K, V) bool) {
	if x.root != nil {
		x.root.each(fn)
	}
}

func (n *node[K, V]) each(fn func(K, V) bool) bool {
	for i := range n.children {
		c := &n.children[i]
		if c.inner != nil {
			if !c.inner.each(fn) {
				return false
			}
			continue
		}
		for _, e := range c.leaf {
			if !fn(e.key, e.value) {
				return false
			}
		}
	}
	return true
}
