package mwl

import (
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// Config is what all answers of a clinic have in common.
type Config struct {
	Clinic            string         // Institution Name (0008,0080)
	IssuerOfPatientID string         // (0010,0021); usually empty
	Zone              *time.Location // of the clinic; nil is UTC
	Tables            Tables
	Machines          []Machine
	BlockBytes        int              // bound of the encoded answers that are kept; 0 is 32 MiB
	Now               func() time.Time // nil is time.Now
}

// List is the worklist: every scheduled step of every open order, in memory.
// Queries read an immutable snapshot; changes make a new one that shares what
// did not change. All methods may be called by several goroutines.
type List struct {
	set   settings
	now   func() time.Time
	cache cache

	mu   sync.Mutex // of writers
	snap atomic.Pointer[snapshot]
}

// snapshot is one state of the list. It never changes.
type snapshot struct {
	roster *roster
	views  map[string]*view // by station; copied with every change, there are few

	orders    index[int64, []*item]
	accession index[string, []*item]
	patient   index[string, []*item]
	step      index[string, []*item]
	study     index[string, []*item]
	n         int
}

// NewList returns an empty list.
func NewList(c Config) *List {
	l := &List{
		set: settings{clinic: c.Clinic, issuer: c.IssuerOfPatientID, zone: c.Zone, tables: c.Tables.normalised()},
		now: c.Now,
	}
	if l.set.zone == nil {
		l.set.zone = time.UTC
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.cache.set, l.cache.max = &l.set, c.BlockBytes
	if l.cache.max <= 0 {
		l.cache.max = defaultBlockBytes
	}
	l.snap.Store(build(newRoster(c.Machines), nil))
	return l
}

// Len returns the number of steps on the list, of all machines.
func (l *List) Len() int { return l.snap.Load().n }

// Load replaces the whole list. Orders of which nothing is offered are passed
// over; they may come too.
func (l *List) Load(orders iter.Seq[*order.Order]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.snap.Load()
	latest := map[int64]int{}
	var items [][]*item
	for o := range orders {
		made := l.items(old.roster, o.Clone())
		if i, ok := latest[o.ID]; ok {
			items[i] = made
			continue
		}
		latest[o.ID] = len(items)
		items = append(items, made)
	}
	l.snap.Store(build(old.roster, items))
	old.orders.each(func(_ int64, gone []*item) bool { l.cache.drop(gone); return true })
}

// Put adds an order or replaces what the list has of it. When Put returns, the
// next query sees it. The order is copied. One that is held or closed leaves
// the list.
func (l *List) Put(o *order.Order) {
	c := o.Clone()
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.snap.Load()
	l.replace(old, o.ID, l.items(old.roster, c))
}

// Remove takes an order off the list. Removing what is not there does nothing.
func (l *List) Remove(orderID int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replace(l.snap.Load(), orderID, nil)
}

// SetMachines replaces the profiles. Orders stay; what they look like on each
// machine, and whether it can take them, is decided anew.
func (l *List) SetMachines(machines []Machine) {
	r := newRoster(machines)
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.snap.Load()
	var items [][]*item
	old.orders.each(func(_ int64, have []*item) bool {
		items = append(items, l.items(r, have[0].order))
		return true
	})
	l.snap.Store(build(r, items))
	l.cache.dropRoster(old.roster)
}

// Machines returns the profiles in use.
func (l *List) Machines() []Machine { return cloneMachines(l.snap.Load().roster.machines) }

// items makes the items of an order, with the stations that cannot take them.
func (l *List) items(r *roster, o *order.Order) []*item {
	items := newItems(o, l.set.zone)
	for _, it := range items {
		for _, s := range it.step.Stations {
			var m *Machine
			if p := r.byName(s); p != nil {
				m = p.Machine
			}
			if len(Check(o, m)) > 0 {
				it.unfit = append(it.unfit, s)
			}
		}
	}
	return items
}

// replace publishes a snapshot in which an order has other items.
func (l *List) replace(old *snapshot, orderID int64, items []*item) {
	gone, _ := old.orders.get(orderID)
	if len(gone) == 0 && len(items) == 0 {
		return
	}
	now := *old
	now.views = maps.Clone(old.views)
	for _, it := range gone {
		now.remove(it)
	}
	for _, it := range items {
		now.add(it)
	}
	if len(items) > 0 {
		now.orders = now.orders.with(orderID, items)
	} else {
		now.orders = now.orders.without(orderID)
	}
	l.snap.Store(&now)
	l.cache.drop(gone)
}

// build makes a snapshot of many orders at once.
func build(r *roster, orders [][]*item) *snapshot {
	s := &snapshot{
		roster: r, views: map[string]*view{}, orders: newIndex[int64, []*item](),
		accession: newIndex[string, []*item](), patient: newIndex[string, []*item](),
		step: newIndex[string, []*item](), study: newIndex[string, []*item](),
	}
	stations := map[string][]*item{}
	for _, items := range orders {
		if len(items) == 0 {
			continue
		}
		s.orders.put(items[0].order.ID, items)
		for _, it := range items {
			s.n++
			s.index(it, putItem)
			for _, name := range it.step.Stations {
				if it.routed(name) && !last(stations[name], it) {
					stations[name] = append(stations[name], it)
				}
			}
		}
	}
	for name, items := range stations {
		s.views[name] = newView(items)
	}
	return s
}

// last reports whether an item was appended just now, for a station that is
// named twice.
func last(items []*item, it *item) bool { return len(items) > 0 && items[len(items)-1] == it }

func (s *snapshot) add(it *item) {
	s.n++
	s.index(it, withItem)
	for i, name := range it.step.Stations {
		if !it.routed(name) || repeated(it.step.Stations, i) {
			continue
		}
		v := s.views[name]
		if v == nil {
			v = &view{}
		}
		s.views[name] = v.with(it)
	}
}

func (s *snapshot) remove(it *item) {
	s.n--
	s.index(it, withoutItem)
	for i, name := range it.step.Stations {
		if v := s.views[name]; v != nil && it.routed(name) && !repeated(it.step.Stations, i) {
			s.views[name] = v.without(it)
		}
	}
}

func repeated(names []string, i int) bool {
	for _, n := range names[:i] {
		if n == names[i] {
			return true
		}
	}
	return false
}

// index adds an item to the indexes by key, or removes it.
func (s *snapshot) index(it *item, change func(index[string, []*item], string, *item) index[string, []*item]) {
	s.accession = change(s.accession, it.order.AccessionNumber, it)
	s.patient = change(s.patient, it.order.Content.Patient.ID, it)
	s.step = change(s.step, it.step.ScheduledProcedureStepID, it)
	s.study = change(s.study, it.order.StudyInstanceUID, it)
}

func withItem(x index[string, []*item], key string, it *item) index[string, []*item] {
	have, _ := x.get(key)
	return x.with(key, append(have[:len(have):len(have)], it))
}

// putItem is withItem for a snapshot under construction.
func putItem(x index[string, []*item], key string, it *item) index[string, []*item] {
	have, _ := x.get(key)
	x.put(key, append(have, it))
	return x
}

func withoutItem(x index[string, []*item], key string, it *item) index[string, []*item] {
	have, _ := x.get(key)
	left := make([]*item, 0, len(have))
	for _, o := range have {
		if o != it {
			left = append(left, o)
		}
	}
	if len(left) == 0 {
		return x.without(key)
	}
	return x.with(key, left)
}
