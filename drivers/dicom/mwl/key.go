package mwl

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// Limits of a C-FIND identifier.
const (
	maxIdentifier = 256 << 10 // bytes
	maxElements   = 2000
	maxDepth      = 8
	maxValues     = 1000     // of one key
	maxKeyBytes   = 64 << 10 // of one key
)

// Key is one key of an identifier, for people.
type Key struct {
	Tag     dataset.Tag
	Keyword string // empty when the standard does not know it
	Value   string // as decoded, values separated by backslashes, at most 256 characters; empty means universal
	Step    bool   // inside the Scheduled Procedure Step Sequence
}

// identifier is a C-FIND identifier, read but not yet compiled for a machine.
type identifier struct {
	keys []Key       // what was asked, for the log
	root []criterion // keys of the root that may be matched, step keys at the top level included
	step [][]criterion

	want     []wanted  // return keys of the root
	wantStep *[]wanted // of the step: nil not requested, empty all
	zone     string    // Timezone Offset From UTC
	unused   bool      // a key with a value is not used for matching
	notes    []string
}

// criterion is a matched key with its values, decoded.
type criterion struct {
	tag    dataset.Tag
	vr     dataset.VR
	values []string // trimmed, at least one, none universal
}

// parseIdentifier reads an identifier. The error is a dimse.Status: A700 beyond
// the limits, A900 for what is no data set. Zero bytes are universal.
func parseIdentifier(b []byte, syntax dataset.Syntax, fallback dataset.Charset) (*identifier, error) {
	set, err := dataset.Parse(b, syntax, dataset.Limits{MaxBytes: maxIdentifier, MaxElements: maxElements, MaxDepth: maxDepth})
	if err != nil {
		var limit *dataset.LimitError
		if errors.As(err, &limit) {
			return nil, dimse.Status{Code: dimse.OutOfResources, Comment: fmt.Sprintf("identifier exceeds %d %s", limit.Limit, limit.What)}
		}
		return nil, dimse.Status{Code: dimse.IdentifierMismatch, Comment: "identifier cannot be read"}
	}
	id := &identifier{}
	if set.Stats != nil {
		id.notes = set.Stats.Notes()
	}
	cs := set.Charset().WithFallback(fallback)
	if err := id.readRoot(set, cs, fallback); err != nil {
		return nil, err
	}
	return id, nil
}

func (id *identifier) readRoot(set *dataset.Set, cs, fallback dataset.Charset) error {
	seen := make(map[dataset.Tag]bool, len(set.Elements))
	id.want = make([]wanted, 0, len(set.Elements)+2)
	id.keys = make([]Key, 0, len(set.Elements)+len(stepKeys))
	for i := range set.Elements {
		e := &set.Elements[i]
		if seen[e.Tag] || !standard(e.Tag) {
			continue
		}
		seen[e.Tag] = true
		switch {
		case e.Tag == dataset.ScheduledProcedureStepSequence:
			if err := id.readSteps(e, cs, fallback); err != nil {
				return err
			}
			continue
		case e.Tag == dataset.TimezoneOffsetFromUTC:
			id.zone = set.String(e.Tag)
		}
		c, err := id.read(set, e, cs, fallback, false)
		if err != nil {
			return err
		}
		if c != nil {
			id.root = append(id.root, *c)
		}
		id.want = append(id.want, want(e))
	}
	return nil
}

// readSteps reads the Scheduled Procedure Step Sequence. The standard allows
// one item; of several, any may match.
func (id *identifier) readSteps(e *dataset.Element, cs, fallback dataset.Charset) error {
	keys := []wanted{}
	for _, item := range e.Items {
		var group []criterion
		seen := make(map[dataset.Tag]bool, len(item.Elements))
		keys = slices.Grow(keys, len(item.Elements))
		inner := item.CharsetWithin(cs)
		for i := range item.Elements {
			k := &item.Elements[i]
			if seen[k.Tag] || !standard(k.Tag) || k.Tag == dataset.SpecificCharacterSet {
				continue
			}
			seen[k.Tag] = true
			c, err := id.read(item, k, inner, fallback, true)
			if err != nil {
				return err
			}
			if c != nil {
				group = append(group, *c)
			}
			keys = append(keys, want(k))
		}
		id.step = append(id.step, group)
	}
	id.wantStep = &keys
	if len(e.Items) == 0 {
		id.keys = append(id.keys, Key{Tag: e.Tag, Keyword: dataset.Keyword(e.Tag)})
	}
	return nil
}

// read notes a key for the log and returns its criterion, nil when it is
// universal or not matched.
func (id *identifier) read(set *dataset.Set, e *dataset.Element, cs, fallback dataset.Charset, step bool) (*criterion, error) {
	vr := e.VR
	if known := dataset.VROf(e.Tag); known != dataset.UN {
		vr = known
	}
	k := Key{Tag: e.Tag, Keyword: dataset.Keyword(e.Tag), Step: step}
	var c *criterion
	switch {
	case len(e.Value) > maxKeyBytes:
		return nil, dimse.Status{Code: dimse.OutOfResources, Comment: fmt.Sprintf("key %s exceeds %d bytes", e.Tag, maxKeyBytes)}
	case vr == dataset.SQ || e.VR == dataset.SQ:
		if hasValue(e.Items) {
			id.unused = true
		}
	case isBinary(vr) || e.Tag == dataset.SpecificCharacterSet:
	default:
		values := decodings(set, e.Tag, cs, fallback)
		if len(values) > 4*maxValues || bytes.Count(e.Value, []byte{'\\'}) >= maxValues {
			return nil, dimse.Status{Code: dimse.OutOfResources, Comment: fmt.Sprintf("key %s exceeds %d values", e.Tag, maxValues)}
		}
		if len(values) > 0 {
			k.Value = cut(strings.Join(set.Texts(e.Tag, cs), `\`), 256)
		}
		if universal(values, vr) {
			break
		}
		if _, ok := matched(e.Tag); !ok {
			id.unused = id.unused || !neverMatched(e.Tag)
			break
		}
		c = &criterion{tag: e.Tag, vr: vr, values: values}
	}
	id.keys = append(id.keys, k)
	return c, nil
}

// universal reports whether a key matches everything: it has no value, or one
// of its values does.
func universal(values []string, vr dataset.VR) bool {
	blank := " *"
	switch vr {
	case dataset.DA, dataset.TM:
		blank = " *-"
	case dataset.PN:
		blank = " *^="
	}
	none := true
	for _, v := range values {
		if v == "" {
			continue
		}
		if strings.Trim(v, blank) == "" {
			return true
		}
		none = false
	}
	return none
}

// decodings returns the values of a key. The request's character set counts;
// for bytes beyond ASCII so do the readings that consoles use without saying
// so: UTF-8, the machine's own set, ISO_IR 100.
func decodings(set *dataset.Set, t dataset.Tag, cs, fallback dataset.Charset) []string {
	values := set.Texts(t, cs)
	e := set.Find(t)
	if isASCII(e.Value) {
		return values
	}
	add := func(other dataset.Charset) {
		for _, v := range set.Texts(t, other) {
			if len(values) > 64 || !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	if utf8.Valid(e.Value) {
		add(dataset.UTF8)
	}
	add(fallback)
	add(dataset.Latin1)
	return values
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf || c == 0x1B {
			return false
		}
	}
	return true
}

// standard reports whether a key is one that is answered: no group length,
// nothing private.
func standard(t dataset.Tag) bool { return !t.IsPrivate() && !t.IsGroupLength() }

// neverMatched lists keys with a value that never counts as a wish.
func neverMatched(t dataset.Tag) bool {
	switch t {
	case dataset.SpecificCharacterSet, dataset.TimezoneOffsetFromUTC, dataset.QueryRetrieveLevel, dataset.PregnancyStatus:
		return true
	}
	return false
}

// want returns the return key that a key of the request asks for.
func want(e *dataset.Element) wanted {
	w := wanted{tag: e.Tag, vr: dataset.VROf(e.Tag)}
	if w.vr == dataset.UN {
		w.vr = e.VR
	}
	for _, item := range e.Items {
		for i := range item.Elements {
			if t := item.Elements[i].Tag; standard(t) && t != dataset.SpecificCharacterSet {
				w.items = true
				w.sub = append(w.sub, t)
			}
		}
	}
	slices.Sort(w.sub)
	w.sub = slices.Compact(w.sub)
	return w
}

// hasValue reports whether any key within items has a value.
func hasValue(items []*dataset.Set) bool {
	for _, item := range items {
		for i := range item.Elements {
			e := &item.Elements[i]
			if e.VR == dataset.SQ {
				if hasValue(e.Items) {
					return true
				}
				continue
			}
			if standard(e.Tag) && !neverMatched(e.Tag) && !isBinary(dataset.VROf(e.Tag)) && !dataset.IsUniversal(string(e.Value)) {
				return true
			}
		}
	}
	return false
}

func splitKey(v string) []string {
	if v == "" {
		return nil
	}
	values := strings.Split(v, `\`)
	for i := range values {
		values[i] = trim(values[i])
	}
	return values
}
