package mwl

import (
	"sync"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// defaultBlockBytes bounds the encoded answers that are kept.
const defaultBlockBytes = 32 << 20

// cache keeps encoded blocks on their items and remembers the order in which
// they were built; over its limit the oldest go. Reading takes no lock.
type cache struct {
	set *settings
	max int

	mu          sync.Mutex
	bytes       int
	first, last *block
}

// get returns the block of an item, building it on first use.
func (c *cache) get(it *item, r *roster, form int, syntax dataset.Syntax) *block {
	if p := it.blocks.Load(); p != nil {
		for _, b := range *p {
			if b.form == form && b.syntax == syntax && b.roster == r {
				return b
			}
		}
	}
	b := newBlock(it, c.set, form, &r.forms[form], syntax)
	b.roster = r
	c.add(b)
	return b
}

func (c *cache) add(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.item.gone || b.roster.gone {
		return // answered from an older snapshot; nobody will ask again
	}
	var all []*block
	if p := b.item.blocks.Load(); p != nil {
		for _, o := range *p {
			if o.form == b.form && o.syntax == b.syntax && o.roster == b.roster {
				return // another query was faster
			}
		}
		all = *p
	}
	all = append(all[:len(all):len(all)], b)
	b.item.blocks.Store(&all)
	c.bytes += b.size()
	if b.prev = c.last; b.prev != nil {
		b.prev.next = b
	} else {
		c.first = b
	}
	c.last = b
	for c.bytes > c.max && c.first != nil {
		c.remove(c.first)
	}
}

// remove takes a block out. The caller holds the lock.
func (c *cache) remove(b *block) {
	if p := b.item.blocks.Load(); p != nil {
		left := make([]*block, 0, len(*p))
		for _, o := range *p {
			if o != b {
				left = append(left, o)
			}
		}
		if len(left) == 0 {
			b.item.blocks.Store(nil)
		} else {
			b.item.blocks.Store(&left)
		}
	}
	c.bytes -= b.size()
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		c.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		c.last = b.prev
	}
	b.prev, b.next = nil, nil
}

// drop forgets the blocks of items that are no longer on the list.
func (c *cache) drop(items []*item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, it := range items {
		it.gone = true
		if p := it.blocks.Load(); p != nil {
			for _, b := range *p {
				c.remove(b)
			}
		}
	}
}

// dropRoster forgets every block: the forms have changed.
func (c *cache) dropRoster(r *roster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.gone = true
	for c.first != nil {
		c.remove(c.first)
	}
}
