package mwl

import (
	"iter"
	"slices"
)

// candidates yields what can match, in the order of the answers: start date,
// start time, accession number. Nothing is yielded twice.
func (q *query) candidates(s *snapshot) iter.Seq[*item] {
	if q.lookup != nil {
		return q.found(q.lookup(s))
	}
	from, to := int32(lastDay), int32(firstDay)
	var vias []*profile
	for i := range q.groups {
		g := &q.groups[i]
		if len(g.vias) == 0 || g.when.wrong != "" {
			continue
		}
		from, to = min(from, g.when.first), max(to, g.when.last)
		for j := range g.vias {
			if !slices.Contains(vias, g.vias[j].p) {
				vias = append(vias, g.vias[j].p)
			}
		}
	}
	return merged(q.streams(s, vias, from, to), vias, q.now.day)
}

// scope yields everything that is routed to the machine, whatever the keys say.
func (q *query) scope(s *snapshot) iter.Seq[*item] {
	return merged(q.streams(s, q.profile.vias, firstDay, lastDay), q.profile.vias, q.now.day)
}

// found sorts the few candidates that an index gave.
func (q *query) found(items []*item) iter.Seq[*item] {
	slices.SortFunc(items, func(a, b *item) int { return compareStart(a, b, q.now.day) })
	return slices.Values(slices.Compact(items))
}

func compareStart(a, b *item, today int32) int {
	switch at, bt := a.start(today), b.start(today); {
	case at.before(bt):
		return -1
	case bt.before(at):
		return 1
	}
	return compareID(a, b)
}

// stream is items of one station in the order of the answers.
type stream struct {
	via     int      // whose
	items   []*item  // what is next
	chunks  sorted   // what follows of the same day
	buckets []bucket // what follows
	skip    bool     // leave out items received today, which another stream has
}

func (q *query) streams(s *snapshot, vias []*profile, from, to int32) []stream {
	var all []stream
	add := func(st stream) {
		if st.next(q.now.day); len(st.items) > 0 {
			all = append(all, st)
		}
	}
	for i, p := range vias {
		v := s.views[p.Name]
		if v == nil || from > to {
			continue
		}
		add(stream{via: i, buckets: between(v.days, from, to)})
		if q.now.day < from || q.now.day > to {
			continue
		}
		fresh := on(v.fresh, q.now.day)
		add(stream{via: i, chunks: v.floats, skip: len(fresh) > 0})
		add(stream{via: i, chunks: fresh})
	}
	return all
}

// next makes items begin with something that the stream has to say, or leaves
// it empty.
func (st *stream) next(today int32) {
	for {
		for len(st.items) > 0 && st.skip && st.items[0].at.day == today {
			st.items = st.items[1:]
		}
		switch {
		case len(st.items) > 0:
			return
		case len(st.chunks) > 0:
			st.items, st.chunks = st.chunks[0], st.chunks[1:]
		case len(st.buckets) > 0:
			st.chunks, st.buckets = st.buckets[0].items, st.buckets[1:]
		default:
			return
		}
	}
}

// merged yields the items of all streams in order. What several stations have
// comes once, from the first of them.
func merged(all []stream, vias []*profile, today int32) iter.Seq[*item] {
	return func(yield func(*item) bool) {
		streams := slices.Clone(all)
		for len(streams) > 0 {
			least := 0
			for i := 1; i < len(streams); i++ {
				if compareStart(streams[i].items[0], streams[least].items[0], today) < 0 {
					least = i
				}
			}
			st := &streams[least]
			it := st.items[0]
			st.items = st.items[1:]
			seen := slices.ContainsFunc(vias[:st.via], func(p *profile) bool { return it.routed(p.Name) })
			if !seen && !yield(it) {
				return
			}
			if st.next(today); len(st.items) == 0 {
				streams = slices.Delete(streams, least, least+1)
			}
		}
	}
}
