package mwl

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// The persistent index behaves like a map, and old versions do not change.
func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, model := newIndex[int, int](), map[int]int{}
		type version struct {
			x     index[int, int]
			model map[int]int
		}
		var versions []version
		for i, op := range rapid.SliceOfN(rapid.IntRange(-300, 300), 0, 400).Draw(t, "ops") {
			if op < 0 {
				x = x.without(-op)
				delete(model, -op)
			} else {
				x = x.with(op, i)
				model[op] = i
			}
			if i%50 == 0 {
				m := map[int]int{}
				for k, v := range model {
					m[k] = v
				}
				versions = append(versions, version{x, m})
			}
		}
		for _, v := range append(versions, version{x, model}) {
			if v.x.n != len(v.model) {
				t.Fatalf("%d entries, want %d", v.x.n, len(v.model))
			}
			n := 0
			v.x.each(func(k, got int) bool { n++; return v.model[k] == got })
			if n != len(v.model) {
				t.Fatalf("each saw %d of %d", n, len(v.model))
			}
			for k := range 301 {
				got, ok := v.x.get(k)
				if want, there := v.model[k]; ok != there || got != want {
					t.Fatalf("%d: %d %v", k, got, ok)
				}
			}
		}
	})
}

// An index that was built in place is the one that with would have made.
func TestIndexBuiltInPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var built, copied index[int, int]
		built, copied = newIndex[int, int](), newIndex[int, int]()
		for i, k := range rapid.SliceOfN(rapid.IntRange(0, 300), 0, 400).Draw(t, "keys") {
			built.put(k, i)
			copied = copied.with(k, i)
		}
		if built.n != copied.n {
			t.Fatalf("%d entries, want %d", built.n, copied.n)
		}
		for k := range 301 {
			got, ok := built.get(k)
			if want, there := copied.get(k); ok != there || got != want {
				t.Fatalf("%d: %d %v, want %d %v", k, got, ok, want, there)
			}
		}
		old := built.with(1000, 1) // what comes later leaves it alone
		if _, ok := built.get(1000); ok || old.n != built.n+1 {
			t.Fatal("an index that was built in place changed")
		}
	})
}

// Whatever happened to the list, it answers like a list that was loaded just
// now, and both answer like a plain filter.
func TestListAgainstModel(t *testing.T) {
	ms := machines()
	rapid.Check(t, func(rt *rapid.T) {
		c := newClinic(t, ms)
		model := map[int64]*order.Order{}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			id := rapid.Int64Range(1, 12).Draw(rt, "id")
			if rapid.IntRange(0, 5).Draw(rt, "what") == 0 {
				c.list.Remove(id)
				delete(model, id)
				continue
			}
			o := drawOrder(rt, id)
			c.list.Put(o)
			model[id] = o.Clone()
			o.Content.Patient.Name = "changed by the caller"
			o.Steps[0].Stations = []string{"CT"}
		}
		var orders []*order.Order
		for _, o := range model {
			orders = append(orders, o)
		}
		fresh := newClinic(t, ms, orders...)
		if c.list.Len() != fresh.list.Len() {
			rt.Fatalf("%d steps, %d when loaded", c.list.Len(), fresh.list.Len())
		}
		day := rapid.SampledFrom([]string{"", "20261122", "20261121-", "-20261122", "20261123-20261124"}).Draw(rt, "date")
		for _, title := range []string{"DR1", "CT1", "US1"} {
			id := keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "PatientName", "step:ScheduledProcedureStepStartDate="+day, "step:ScheduledProcedureStepStartTime", "step:ScheduledProcedureStepID")
			a, b := c.ask(title, id), fresh.ask(title, id)
			if !slices.EqualFunc(a.raw, b.raw, slices.Equal) {
				rt.Fatalf("%s: %s, when loaded %s", title, a.accessions(), b.accessions())
			}
			var got []string
			for _, s := range a.sets {
				got = append(got, step(s).String(dataset.ScheduledProcedureStepStartDate)+step(s).String(dataset.ScheduledProcedureStepStartTime)+" "+s.String(dataset.AccessionNumber)+" "+step(s).String(dataset.ScheduledProcedureStepID))
			}
			if want := plain(ms, title, day, orders); !slices.Equal(got, want) {
				rt.Fatalf("%s, %q: %q, want %q", title, day, got, want)
			}
		}
	})
}

func drawOrder(t *rapid.T, id int64) *order.Order {
	o := dog(id)
	o.Revision = 2
	o.State = rapid.SampledFrom([]order.State{order.Scheduled, order.Scheduled, order.InProgress, order.Held, order.Completed}).Draw(t, "state")
	for i := range rapid.IntRange(0, 2).Draw(t, "more steps") {
		s := o.Steps[0]
		s.ScheduledProcedureStepID += fmt.Sprintf("-%d", i+2)
		o.Steps = append(o.Steps, s)
	}
	for i := range o.Steps {
		o.Steps[i].State = rapid.SampledFrom([]order.State{order.Scheduled, order.InProgress, order.Discontinued}).Draw(t, "step state")
		o.Steps[i].Stations = rapid.SliceOfN(rapid.SampledFrom([]string{"X-ray room 1", "CT", "Ultrasound", "gone"}), 0, 3).Draw(t, "stations")
	}
	switch rapid.IntRange(0, 3).Draw(t, "when") {
	case 0:
		o.CreatedAt = noon.Add(-time.Duration(rapid.IntRange(0, 90).Draw(t, "hours")) * time.Hour)
	case 1:
		o.CreatedAt = time.Time{}
	default:
		at(o, 2026, 11, rapid.IntRange(20, 25).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), 0)
	}
	return o
}

// plain is the list written as one would explain it.
func plain(ms []Machine, title, day string, orders []*order.Order) []string {
	sees := map[string][]string{"DR1": {"X-ray room 1"}, "CT1": {"CT"}, "US1": {"Ultrasound", "X-ray room 1"}}[title]
	key, _ := dataset.ParseDateKey(day)
	var out []string
	for _, o := range orders {
		for _, s := range o.Steps {
			if !offered(o, &s) || !slices.ContainsFunc(s.Stations, func(n string) bool { return slices.Contains(sees, n) }) {
				continue
			}
			start := o.Content.ScheduledAt
			if start.IsZero() {
				start = time.Date(2026, 11, 22, 0, 0, 0, 0, helsinki)
				if !o.CreatedAt.IsZero() && o.CreatedAt.Format(time.DateOnly) == "2026-11-22" {
					start = o.CreatedAt
				}
			}
			if date := start.Format("20060102"); key.Match(date) {
				out = append(out, start.Format("20060102150405")+" "+o.AccessionNumber+" "+s.ScheduledProcedureStepID)
			}
		}
	}
	slices.Sort(out)
	return out
}

// A burst of changes is not quadratic, and each is visible when Put returns.
func TestPutBurst(t *testing.T) {
	c := newClinic(t, machines())
	orders := make([]*order.Order, 10_000)
	for i := range orders {
		orders[i] = dog(int64(i + 1)) // all floating, all on one machine: the worst case
	}
	began := time.Now()
	for i, o := range orders {
		c.list.Put(o)
		if i%1000 == 0 {
			if got := c.find("DR1", "AccessionNumber="+o.AccessionNumber); got != o.AccessionNumber {
				t.Fatal("not visible when Put returned")
			}
		}
	}
	t.Logf("10,000 Puts in %v", time.Since(began))
	if c.list.Len() != 10_000 {
		t.Error(c.list.Len())
	}
	for _, o := range orders[:5000] {
		o.State = order.Completed
		c.list.Put(o)
	}
	if c.list.Len() != 5000 {
		t.Error(c.list.Len())
	}
}

func TestSetMachines(t *testing.T) {
	o := dog(1)
	o.AccessionNumber = "100000001"
	c := newClinic(t, machines(), o)
	id := keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "PatientName", "step:Modality")
	if got := c.ask("DR1", id).accessions(); got != "100000001" {
		t.Fatal(got)
	}
	ms := machines()
	ms[0].TextLimits = map[TextField]int{LimitAccession: 6}
	c.list.SetMachines(ms)
	if got := c.ask("DR1", id).accessions(); got != "" {
		t.Error("an accession number that does not fit is offered:", got)
	}
	if got := c.ask("US1", id).accessions(); got != "" {
		t.Error("also to a machine that sees it:", got)
	}
	ms[0].TextLimits, ms[0].PatientName, ms[0].Code = nil, PatientOnly, "CR"
	c.list.SetMachines(ms)
	s := c.ask("DR1", id).sets[0]
	if s.String(dataset.PatientName) != "Bella" || step(s).String(dataset.Modality) != "CR" {
		t.Error(s.String(dataset.PatientName), step(s).String(dataset.Modality))
	}
	if got := c.list.Machines(); len(got) != 3 || got[0].Code != "CR" {
		t.Error(got)
	}
}

// The cache stays within its bound, forgets what left the list, and answers are
// the same whether they were in it or not.
func TestCacheBound(t *testing.T) {
	l := NewList(Config{Zone: helsinki, Machines: machines(), BlockBytes: 64 << 10, Now: func() time.Time { return noon }})
	l.Load(slices.Values(many(500)))
	c := &clinic{t: t, list: l, service: NewService(ServiceConfig{List: l})}
	id := usual(t, dataset.ImplicitLE)
	first := c.ask("DR1", id)
	for range 3 {
		if again := c.ask("DR1", id); !slices.EqualFunc(first.raw, again.raw, slices.Equal) {
			t.Fatal("answers differ")
		}
	}
	if l.cache.bytes > 64<<10 || l.cache.bytes == 0 {
		t.Error(l.cache.bytes)
	}
	for i := range 500 {
		l.Remove(int64(i + 1))
	}
	if l.cache.bytes != 0 || l.cache.first != nil || l.cache.last != nil {
		t.Error("blocks of orders that left:", l.cache.bytes)
	}
	if got := l.Len(); got != 0 {
		t.Error(got)
	}
}

// FuzzQuery throws identifiers at a list. What is answered can be read, has even
// lengths and exactly the standard keys that were asked for.
func FuzzQuery(f *testing.F) {
	f.Add(everything(f, dataset.ImplicitLE), false)
	f.Add(everything(f, dataset.ExplicitLE), true)
	f.Add(usual(f, dataset.ImplicitLE, "PatientName=m*", "step:ScheduledProcedureStepStartDate=20261122-", "step:ScheduledProcedureStepStartTime=0800-1200"), false)
	f.Add(usual(f, dataset.ExplicitLE, `AccessionNumber=1001\100?`, "TimezoneOffsetFromUTC=-0330", "step:Modality=CR"), true)
	f.Add([]byte{}, false)
	f.Add([]byte(strings.Repeat("a", 40)), true)
	c := newClinic(f, machines(), dog(1), at(dog(2), 2026, 11, 22, 9, 0))
	f.Fuzz(func(t *testing.T, id []byte, explicit bool) {
		syntax := dataset.ImplicitLE
		if explicit {
			syntax = dataset.ExplicitLE
		}
		c.t, c.records, c.notes, c.seen = t, nil, nil, nil
		r := c.askAs(t.Context(), "DR1", syntax, id)
		for i, s := range r.sets {
			if st := s.Stats; st.OddLengths+st.OutOfOrder+st.Duplicates+st.GroupLengths+st.Private != 0 {
				t.Fatalf("%+v", *st)
			}
			if !s.Has(dataset.SpecificCharacterSet) || len(r.raw[i])%2 != 0 {
				t.Fatal("no character set, or an odd length")
			}
		}
		asked, err := dataset.Parse(id, syntax, dataset.Limits{MaxBytes: maxIdentifier, MaxElements: maxElements, MaxDepth: maxDepth})
		if err != nil {
			if r.err == nil {
				t.Fatal("accepted what cannot be read")
			}
			return
		}
		for _, s := range r.sets {
			for j := range s.Elements {
				if tag := s.Elements[j].Tag; !asked.Has(tag) && tag != dataset.SpecificCharacterSet {
					t.Fatalf("%s was not asked for", tag)
				}
			}
			for j := range asked.Elements {
				if tag := asked.Elements[j].Tag; standard(tag) && !s.Has(tag) {
					t.Fatalf("%s was asked for", tag)
				}
			}
		}
		c.records[0].Excluded()
		c.list.Explain("X-ray room 1", dog(1), c.records[0].Keys)
	})
}
