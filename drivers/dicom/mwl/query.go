package mwl

import (
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// query is an identifier compiled for one machine and one snapshot.
type query struct {
	profile *profile
	form    *form
	set     *settings
	now     moment
	today   string // of now, as DA

	rest   []test // keys of the root
	groups []group
	plan   *plan
	lookup func(*snapshot) []*item // candidates by an index; nil when none applies
}

// group is one item of the Scheduled Procedure Step Sequence; there is always
// at least one. Several are alternatives.
type group struct {
	vias    []viaKeys // stations that fit the group's keys
	tests   []test
	when    when
	station string // why no station fits; the key that failed is stationKey
	key     dataset.Tag
}

// viaKeys is a station through which the machine sees orders, with what the
// answer says of it.
type viaKeys struct {
	p        *profile
	title    []byte    // the element (0040,0001)
	modality []byte    // the element (0008,0060)
	name     [2][]byte // the element (0040,0010), in the charset of the form and in UTF-8
}

// newQuery compiles an identifier.
func newQuery(id *identifier, p *profile, r *roster, set *settings, syntax dataset.Syntax, now time.Time) *query {
	q := &query{profile: p, form: &r.forms[p.form], set: set, now: momentOf(now.In(set.zone))}
	q.today = string(appendDate(nil, q.now.day))
	q.plan = newPlan(p, q.form, syntax, id.want, id.wantStep, q.now.day, set.zone)
	var flat []criterion // step keys at the top level
	for _, c := range id.root {
		how, _ := matched(c.tag)
		if isStepKey(c.tag) {
			flat = append(flat, c)
			continue
		}
		q.rest = append(q.rest, newTest(&c, how, p, q.form, set))
	}
	groups := id.step
	if len(groups) == 0 {
		groups = [][]criterion{nil}
	}
	var zone *time.Location
	if id.zone != "" {
		if z, err := dataset.ParseTimezoneOffset(id.zone); err == nil {
			zone = z
		}
	}
	for _, g := range groups {
		q.groups = append(q.groups, q.newGroup(slices.Concat(g, flat), syntax, zone))
	}
	q.lookup = newLookup(id, groups)
	return q
}

func (q *query) newGroup(criteria []criterion, syntax dataset.Syntax, zone *time.Location) group {
	var g group
	var date, clock *criterion
	station := stationKeys{self: q.profile}
	for i := range criteria {
		c := &criteria[i]
		how, _ := matched(c.tag)
		switch how {
		case byStation:
			if q.profile.StationKey != StationIgnore {
				station.titles = append(station.titles, c.values)
			} else if station.echo == "" {
				station.echo = single(c.values)
			}
		case byModality:
			station.codes = append(station.codes, c.values)
		case byStationName:
			station.names = append(station.names, textMatcher(c.values, c.vr))
		case byStart:
			if c.tag == dataset.ScheduledProcedureStepStartDate {
				date = first(date, c)
			} else {
				clock = first(clock, c)
			}
		case byText, byCode, byName, byDate, byUID:
			g.tests = append(g.tests, newTest(c, how, q.profile, q.form, q.set))
		}
	}
	g.when = newWhen(date, clock, q.profile.Machine, q.now.day)
	if zone != nil {
		g.when.in(zone)
	}
	g.key, g.station = station.resolve(&g, q.form, syntax)
	return g
}

// first keeps the criterion inside the sequence when a key came at both places.
func first(have, c *criterion) *criterion {
	if have != nil {
		return have
	}
	return c
}

// single returns a value that can be repeated in the answer: the only one, and
// a valid AE title.
func single(values []string) string {
	if len(values) == 1 && ValidAETitle(values[0]) && !dataset.HasWildcard(values[0]) {
		return values[0]
	}
	return ""
}

// match returns the station through which an item answers the query, nil when
// it does not.
func (q *query) match(it *item) *viaKeys {
	for i := range q.groups {
		g := &q.groups[i]
		via := q.via(g, it)
		if via == nil || !q.starts(g, it) {
			continue
		}
		if all(g.tests, it) && all(q.rest, it) {
			return via
		}
	}
	return nil
}

// via returns the first station of a group through which the machine sees an
// item.
func (q *query) via(g *group, it *item) *viaKeys {
	for i := range g.vias {
		v := &g.vias[i]
		if it.routed(v.p.Name) && (v.p == q.profile || q.profile.fits(it)) {
			return v
		}
	}
	return nil
}

func (q *query) starts(g *group, it *item) bool {
	at := it.start(q.now.day)
	date, clock := it.date, it.clock
	if it.floating {
		date = q.today
		if it.at.day != q.now.day {
			clock = "000000"
		}
	}
	return g.when.match(at, date, clock, q.set.zone)
}

func all(tests []test, it *item) bool {
	for i := range tests {
		if !tests[i].match(tests[i].value(it)) {
			return false
		}
	}
	return true
}

// newLookup returns candidates by accession number, study, step or patient when
// a key names them literally.
func newLookup(id *identifier, groups [][]criterion) func(*snapshot) []*item {
	criteria := id.root
	if len(groups) == 1 {
		criteria = slices.Concat(id.root, groups[0])
	}
	for _, l := range []struct {
		tag   dataset.Tag
		index func(*snapshot) index[string, []*item]
	}{
		{dataset.AccessionNumber, func(s *snapshot) index[string, []*item] { return s.accession }},
		{dataset.ScheduledProcedureStepID, func(s *snapshot) index[string, []*item] { return s.step }},
		{dataset.StudyInstanceUID, func(s *snapshot) index[string, []*item] { return s.study }},
		{dataset.PatientID, func(s *snapshot) index[string, []*item] { return s.patient }},
	} {
		i := slices.IndexFunc(criteria, func(c criterion) bool { return c.tag == l.tag })
		if i < 0 {
			continue
		}
		values, ok := criteria[i].literals()
		if !ok {
			continue
		}
		slices.Sort(values)
		values = slices.Compact(values)
		return func(s *snapshot) []*item {
			var out []*item
			x := l.index(s)
			for _, v := range values {
				have, _ := x.get(v)
				out = append(out, have...)
			}
			return out
		}
	}
	return nil
}

// stationKeys are the keys that are decided per station and not per item.
type stationKeys struct {
	self   *profile
	titles [][]string // values of each (0040,0001)
	codes  [][]string // values of each (0008,0060)
	names  []func(string) bool
	echo   string // a title that is repeated without being matched
}

// resolve finds the stations that fit, and when none does the key that failed
// and why.
func (k *stationKeys) resolve(g *group, f *form, syntax dataset.Syntax) (dataset.Tag, string) {
	failed, reason := dataset.ScheduledStationAETitle, ""
	for _, v := range k.self.vias {
		title, ok := k.title(v)
		if !ok {
			if reason == "" {
				reason = "not a title of this machine, nor of one it may see"
			}
			continue
		}
		code, ok := k.code(v)
		if !ok {
			failed, reason = dataset.Modality, "the machine's modality is "+v.Code
			continue
		}
		if slices.ContainsFunc(k.names, func(m func(string) bool) bool { return !m(v.Name) && !m(cut(v.Name, 16)) }) {
			failed, reason = dataset.ScheduledStationName, "the machine's name is "+v.Name
			continue
		}
		g.vias = append(g.vias, newViaKeys(v, title, code, f, syntax))
	}
	if len(g.vias) > 0 {
		return 0, ""
	}
	return failed, reason
}

// title returns what (0040,0001) answers for a station: the title the machine
// asked with, else the station's own. A title of the machine itself stands for
// everything in its scope; one of another station for that one's orders.
func (k *stationKeys) title(v *profile) (string, bool) {
	title := v.AETitle
	if k.echo != "" {
		title = k.echo
	}
	for _, values := range k.titles {
		t, ok := pick(values, k.self.titles())
		if !ok && v != k.self {
			t, ok = pick(values, v.titles())
		}
		if !ok {
			return "", false
		}
		title = t
	}
	return title, true
}

// code returns what (0008,0060) answers for a station: its code, or an alias
// that was asked for.
func (k *stationKeys) code(v *profile) (string, bool) {
	code := v.Code
	for _, values := range k.codes {
		c, ok := pick(values, append([]string{v.Code}, v.CodeAliases...))
		if !ok {
			return "", false
		}
		code = c
	}
	return code, true
}

// pick returns the first of ours that one of the asked values means, as it was
// asked.
func pick(asked, ours []string) (string, bool) {
	for _, o := range ours {
		for _, a := range asked {
			switch {
			case a == "":
			case strings.EqualFold(a, o):
				return o, true
			case dataset.HasWildcard(a) && dataset.MatchWildcard(strings.ToUpper(a), strings.ToUpper(o), false):
				return o, true
			}
		}
	}
	return "", false
}

func newViaKeys(v *profile, title, code string, f *form, syntax dataset.Syntax) viaKeys {
	k := viaKeys{p: v}
	k.title = dataset.AppendElement(nil, syntax, dataset.ScheduledStationAETitle, dataset.AE, []byte(title))
	k.modality = dataset.AppendElement(nil, syntax, dataset.Modality, dataset.CS, []byte(code))
	for i, cs := range [2]dataset.Charset{f.charset, dataset.UTF8} {
		if f.auto && i == 0 {
			cs = dataset.Latin1
		}
		e := encoder{syntax: syntax, cs: cs}
		e.text(dataset.ScheduledStationName, dataset.SH, dataset.Clean(v.Name, dataset.SH), dataset.MaxLen(dataset.SH))
		k.name[i] = e.buf
	}
	return k
}
