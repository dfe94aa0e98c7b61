package mwl

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// action is how one requested key is answered.
type action uint8

const (
	putConst    action = iota // the same bytes for every item
	putCharset                // (0008,0005) of the block
	putSlot                   // a slice of the block
	putSelected               // a sequence of the block, only the keys asked for
	putStation                // (0040,0001): the title asked with, else the station's own
	putModality               // (0008,0060): the code asked with, else the station's
	putName                   // (0040,0010): the station's name
	putDate                   // (0040,0002): today when floating
	putTime                   // (0040,0003)
	putAge                    // (0010,1010) on the day of the query
	putZone                   // (0008,0201) at the start of the step
	putStep                   // (0040,0100) with its one item
)

// op is one step of writing an answer.
type op struct {
	act  action
	slot slot
	tag  dataset.Tag
	data [2][]byte     // for putConst: in the charset of the form, and in UTF-8
	sub  []dataset.Tag // for putSelected
	ops  []op          // for putStep
}

// plan is a compiled list of return keys: every requested standard key in
// ascending order, with (0008,0005).
type plan struct {
	syntax   dataset.Syntax
	ops      []op
	today    int32
	zone     *time.Location
	date     []byte // the element (0040,0002) of today
	midnight []byte // the element (0040,0003) 000000
	noAge    []byte
}

// wanted is a requested key.
type wanted struct {
	tag   dataset.Tag
	vr    dataset.VR
	sub   []dataset.Tag // requested keys of a sequence
	items bool          // the request has an item with keys
}

// newPlan compiles return keys for a machine. step is nil when the Scheduled
// Procedure Step Sequence was not requested, empty when all of it was.
func newPlan(p *profile, f *form, syntax dataset.Syntax, root []wanted, step *[]wanted, today int32, zone *time.Location) *plan {
	pl := &plan{syntax: syntax, today: today, zone: zone}
	pl.date = dataset.AppendElement(nil, syntax, dataset.ScheduledProcedureStepStartDate, dataset.DA, appendDate(nil, today))
	pl.midnight = dataset.AppendElement(nil, syntax, dataset.ScheduledProcedureStepStartTime, dataset.TM, []byte("000000"))
	pl.noAge = dataset.AppendElement(nil, syntax, dataset.PatientAge, dataset.AS, nil)
	root = slices.DeleteFunc(slices.Clone(root), func(w wanted) bool { return w.tag == dataset.SpecificCharacterSet })
	root = append(root, wanted{tag: dataset.SpecificCharacterSet, vr: dataset.CS})
	if step != nil {
		root = append(root, wanted{tag: dataset.ScheduledProcedureStepSequence, vr: dataset.SQ})
	}
	pl.ops = pl.compile(p, f, root, step)
	return pl
}

func (pl *plan) compile(p *profile, f *form, keys []wanted, step *[]wanted) []op {
	slices.SortStableFunc(keys, func(a, b wanted) int { return int(int64(a.tag) - int64(b.tag)) })
	keys = slices.CompactFunc(keys, func(a, b wanted) bool { return a.tag == b.tag })
	ops := make([]op, 0, len(keys))
	for _, w := range keys {
		if slices.Contains(p.DropKeys, w.tag) && w.tag != dataset.SpecificCharacterSet {
			continue
		}
		o := pl.key(p, f, w)
		if w.tag == dataset.ScheduledProcedureStepSequence && step != nil {
			o = op{act: putStep, tag: w.tag, ops: pl.compile(p, f, pl.stepKeys(*step), nil)}
		}
		if n := len(ops); o.act == putConst && n > 0 && ops[n-1].act == putConst {
			for i := range o.data {
				ops[n-1].data[i] = append(ops[n-1].data[i], o.data[i]...)
			}
			continue
		}
		ops = append(ops, o)
	}
	return ops
}

// stepKeys returns the keys of the step's item: those asked for, or all.
func (pl *plan) stepKeys(keys []wanted) []wanted {
	if len(keys) > 0 {
		return slices.Clone(keys)
	}
	for _, t := range stepKeys {
		keys = append(keys, wanted{tag: t, vr: dataset.VROf(t)})
	}
	return keys
}

// key compiles one key.
func (pl *plan) key(p *profile, f *form, w wanted) op {
	if w.tag == dataset.SpecificCharacterSet {
		return op{act: putCharset, tag: w.tag}
	}
	if v, ok := p.FixedKeys[w.tag]; ok && fixable(w.tag, w.vr) {
		return pl.fixed(f, w, v)
	}
	switch w.tag {
	case dataset.ScheduledStationAETitle:
		return op{act: putStation, tag: w.tag}
	case dataset.Modality:
		return op{act: putModality, tag: w.tag}
	case dataset.ScheduledStationName:
		return op{act: putName, tag: w.tag}
	case dataset.ScheduledProcedureStepStartDate:
		s, _ := slotOf(w.tag)
		return op{act: putDate, tag: w.tag, slot: s}
	case dataset.ScheduledProcedureStepStartTime:
		s, _ := slotOf(w.tag)
		return op{act: putTime, tag: w.tag, slot: s}
	case dataset.PatientAge:
		return op{act: putAge, tag: w.tag}
	case dataset.TimezoneOffsetFromUTC:
		return op{act: putZone, tag: w.tag}
	}
	s, ok := slotOf(w.tag)
	switch {
	case !ok:
		e := dataset.AppendElement(nil, pl.syntax, w.tag, w.vr, nil)
		return op{act: putConst, tag: w.tag, data: [2][]byte{e, slices.Clone(e)}}
	case w.items:
		return op{act: putSelected, tag: w.tag, slot: s, sub: w.sub}
	}
	return op{act: putSlot, tag: w.tag, slot: s}
}

// fixed compiles a key with a value from the machine's profile.
func (pl *plan) fixed(f *form, w wanted, value string) op {
	o := op{act: putConst, tag: w.tag}
	for i, cs := range [2]dataset.Charset{f.charset, dataset.UTF8} {
		if f.auto && i == 0 {
			cs = dataset.Latin1
		}
		e := encoder{syntax: pl.syntax, cs: cs}
		e.text(w.tag, w.vr, dataset.Clean(value, w.vr), dataset.MaxLen(w.vr))
		o.data[i] = e.buf
	}
	return o
}

// answer appends the identifier of a pending response.
func (pl *plan) answer(b []byte, it *item, blk *block, via *viaKeys) []byte {
	return pl.write(b, pl.ops, it, blk, via)
}

func (pl *plan) write(b []byte, ops []op, it *item, blk *block, via *viaKeys) []byte {
	alt := 0
	if blk.utf8 {
		alt = 1
	}
	for i := range ops {
		switch o := &ops[i]; o.act {
		case putConst:
			b = append(b, o.data[alt]...)
		case putCharset:
			b = append(b, blk.charset()...)
		case putSlot:
			b = append(b, blk.element(o.slot)...)
		case putSelected:
			b = appendSelected(b, pl.syntax, o.tag, blk.element(o.slot), o.sub)
		case putStation:
			b = append(b, via.title...)
		case putModality:
			b = append(b, via.modality...)
		case putName:
			b = append(b, via.name[alt]...)
		case putDate:
			if it.floating {
				b = append(b, pl.date...)
			} else {
				b = append(b, blk.element(o.slot)...)
			}
		case putTime:
			if it.floating && it.at.day != pl.today {
				b = append(b, pl.midnight...)
			} else {
				b = append(b, blk.element(o.slot)...)
			}
		case putAge:
			b = pl.appendAge(b, it)
		case putZone:
			b = pl.appendZone(b, it)
		case putStep:
			b = dataset.AppendHeader(b, pl.syntax, o.tag, dataset.SQ, 0)
			seq := len(b)
			b = dataset.AppendItemHeader(b, 0)
			body := len(b)
			b = pl.write(b, o.ops, it, blk, via)
			binary.LittleEndian.PutUint32(b[body-4:], uint32(len(b)-body))
			binary.LittleEndian.PutUint32(b[seq-4:], uint32(len(b)-seq))
		}
	}
	return b
}

func (pl *plan) appendAge(b []byte, it *item) []byte {
	as, ok := it.age(pl.today)
	if !ok {
		return append(b, pl.noAge...)
	}
	b = dataset.AppendHeader(b, pl.syntax, dataset.PatientAge, dataset.AS, len(as))
	return append(b, as[:]...)
}

// appendZone says in which offset the dates and times of the answer are.
func (pl *plan) appendZone(b []byte, it *item) []byte {
	_, offset := it.start(pl.today).time(pl.zone).Zone()
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	h, m := offset/3600, offset/60%60
	b = dataset.AppendHeader(b, pl.syntax, dataset.TimezoneOffsetFromUTC, dataset.SH, 6)
	return append(b, sign, '0'+byte(h/10), '0'+byte(h%10), '0'+byte(m/10), '0'+byte(m%10), ' ')
}

// appendSelected appends a sequence of a block with only some keys of its item.
// Keys that the item does not have are empty. Items of blocks hold text with
// 16-bit lengths only.
func appendSelected(b []byte, syntax dataset.Syntax, t dataset.Tag, element []byte, keys []dataset.Tag) []byte {
	head := 8
	if syntax == dataset.ExplicitLE {
		head = 12
	}
	if len(element) <= head+8 {
		return append(b, element...)
	}
	item := element[head+8:]
	b = dataset.AppendHeader(b, syntax, t, dataset.SQ, 0)
	seq := len(b)
	b = dataset.AppendItemHeader(b, 0)
	body := len(b)
	for _, k := range keys {
		var found bool
		for at := item; len(at) >= 8; {
			n := int(binary.LittleEndian.Uint16(at[4:]))
			if syntax == dataset.ExplicitLE {
				n = int(binary.LittleEndian.Uint16(at[6:]))
			}
			if dataset.NewTag(binary.LittleEndian.Uint16(at), binary.LittleEndian.Uint16(at[2:])) == k {
				b, found = append(b, at[:8+n]...), true
				break
			}
			at = at[8+n:]
		}
		if !found {
			b = dataset.AppendHeader(b, syntax, k, dataset.VROf(k), 0)
		}
	}
	binary.LittleEndian.PutUint32(b[body-4:], uint32(len(b)-body))
	binary.LittleEndian.PutUint32(b[seq-4:], uint32(len(b)-seq))
	return b
}
