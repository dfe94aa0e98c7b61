package mwl

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// big is 10,000 steps on ten machines over fifty days, twenty per day and
// machine, and one machine that sees them all.
func big() ([]Machine, []*order.Order) {
	all := Machine{Name: "all", AETitle: "ALL", Code: "OT"}
	var ms []Machine
	for i := range 10 {
		m := Machine{Name: fmt.Sprintf("room %d", i), AETitle: fmt.Sprintf("DR%d", i), Code: "DX"}
		ms, all.Sees = append(ms, m), append(all.Sees, m.Name)
	}
	orders := make([]*order.Order, 0, 10_000)
	for i := range 10_000 {
		o := dog(int64(i + 1))
		o.Steps[0].Stations = []string{ms[i%10].Name}
		o.Content.Patient.Name = []string{"Bella", "Rex", "Luna", "Max"}[i%4]
		o.Content.ScheduledAt = noon.AddDate(0, 0, i/10%50-25).Add(time.Duration(i/500) * time.Minute)
		orders = append(orders, o)
	}
	return append(ms, all), orders
}

// usual is what a console asks for: 31 keys.
func usual(t testing.TB, syntax dataset.Syntax, lines ...string) []byte {
	for _, k := range []string{
		"AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight",
		"MedicalAlerts", "Allergies", "PregnancyStatus", "PatientSpeciesDescription", "PatientBreedDescription", "ResponsiblePerson",
		"StudyInstanceUID", "RequestingPhysician", "RequestedProcedureDescription", "RequestedProcedureCodeSequence", "AdmissionID",
		"CurrentPatientLocation", "RequestedProcedureID", "RequestedProcedurePriority", "step:Modality", "step:ScheduledStationAETitle",
		"step:ScheduledProcedureStepStartDate", "step:ScheduledProcedureStepStartTime", "step:ScheduledPerformingPhysicianName",
		"step:ScheduledProcedureStepDescription", "step:ScheduledProtocolCodeSequence", "step:ScheduledProcedureStepID",
		"step:ScheduledStationName", "step:ScheduledProcedureStepLocation",
	} {
		if !slices.ContainsFunc(lines, func(l string) bool { return len(l) > len(k) && l[:len(k)+1] == k+"=" }) {
			lines = append(lines, k)
		}
	}
	return keys(t, syntax, dataset.Latin1, lines...)
}

// cells are the three queries of the table of targets.
func cells(t testing.TB) []cell {
	return []cell{
		{"accession", "DR5", 1, usual(t, dataset.ImplicitLE, "AccessionNumber=1006")},
		{"today", "DR0", 20, usual(t, dataset.ImplicitLE, "step:ScheduledStationAETitle=DR0", "step:ScheduledProcedureStepStartDate=20261122")},
		{"all", "ALL", 10_000, usual(t, dataset.ImplicitLE)},
	}
}

type cell struct {
	name, title string
	matches     int
	id          []byte
}

func BenchmarkFind(b *testing.B) {
	ms, orders := big()
	c := newClinic(b, ms, orders...)
	svc := NewService(ServiceConfig{List: c.list})
	for _, cell := range cells(b) {
		b.Run(cell.name, func(b *testing.B) {
			b.ReportAllocs()
			r := request(cell.title, cell.id)
			for b.Loop() {
				n := 0
				if err := svc.find(b.Context(), r, func([]byte, uint16) error { n++; return nil }); err != nil || n != cell.matches {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	q, it, blk, via := oneAnswer(b)
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = q.plan.answer(buf[:0], it, blk, via)
	}
}

func BenchmarkBlock(b *testing.B) {
	q, it, _, _ := oneAnswer(b)
	b.ReportAllocs()
	for b.Loop() {
		newBlock(it, q.set, 0, q.form, dataset.ImplicitLE)
	}
}

func BenchmarkMatchName(b *testing.B) {
	ms, orders := big()
	c := newClinic(b, ms, orders...)
	svc := NewService(ServiceConfig{List: c.list})
	r := request("ALL", usual(b, dataset.ImplicitLE, "PatientName=*nosuch*"))
	for b.Loop() {
		if err := svc.find(b.Context(), r, func([]byte, uint16) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	ms, orders := big()
	c := newClinic(b, ms, orders...)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		c.list.Put(orders[i%len(orders)])
		i++
	}
}

func BenchmarkExcluded(b *testing.B) {
	ms, orders := big()
	c := newClinic(b, ms, orders...)
	c.ask("ALL", usual(b, dataset.ImplicitLE, "AccessionNumber=none"))
	for b.Loop() {
		if _, n := c.last().Excluded(); n != 10_000 {
			b.Fatal(n)
		}
	}
}

func oneAnswer(t testing.TB) (*query, *item, *block, *viaKeys) {
	t.Helper()
	c := newClinic(t, machines(), dog(1))
	id, err := parseIdentifier(everything(t, dataset.ImplicitLE), dataset.ImplicitLE, dataset.Latin1)
	if err != nil {
		t.Fatal(err)
	}
	snap := c.list.snap.Load()
	p := snap.roster.byName("X-ray room 1")
	q := newQuery(id, p, snap.roster, &c.list.set, dataset.ImplicitLE, noon)
	it := must(snap.orders.get(1))[0]
	return q, it, c.list.cache.get(it, snap.roster, p.form, dataset.ImplicitLE), q.match(it)
}

// An answer is copied without allocating anything, whatever is asked for.
func TestNoAllocationPerAnswer(t *testing.T) {
	q, it, blk, via := oneAnswer(t)
	floating := *it.order
	buf := make([]byte, 0, 8192)
	if n := testing.AllocsPerRun(100, func() { buf = q.plan.answer(buf[:0], it, blk, via) }); n != 0 {
		t.Errorf("%v allocations per answer of %d bytes for order %d", n, len(buf), floating.ID)
	}
	if n := testing.AllocsPerRun(100, func() { via = q.match(it) }); n != 0 {
		t.Errorf("%v allocations per match", n)
	}
}

// A whole query allocates for the query, not for its answers.
func TestAllocationsOfAQuery(t *testing.T) {
	ms, orders := big()
	c := newClinic(t, ms, orders...)
	svc := NewService(ServiceConfig{List: c.list})
	per := map[string]float64{}
	for _, cell := range cells(t) {
		r := request(cell.title, cell.id)
		per[cell.name] = testing.AllocsPerRun(3, func() {
			if err := svc.find(t.Context(), r, func([]byte, uint16) error { return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
	if extra := per["all"] - per["today"]; extra > 500 {
		t.Errorf("10,000 answers allocate %v times more than 20: %v", extra, per)
	}
	t.Log(per)
}

// Ten thousand steps with their encoded answers fit into 60 MB.
func TestMemory(t *testing.T) {
	ms, orders := big()
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	list := NewList(Config{Zone: helsinki, Machines: ms, Tables: tables(), Now: func() time.Time { return noon }})
	list.Load(slices.Values(orders))
	loaded := heap()
	svc := NewService(ServiceConfig{List: list})
	for _, syntax := range []dataset.Syntax{dataset.ImplicitLE, dataset.ExplicitLE} {
		r := request("ALL", usual(t, syntax))
		r.TransferSyntaxUID = syntax.UID()
		if err := svc.find(t.Context(), r, func([]byte, uint16) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	full := heap()
	t.Logf("items %.1f MB, encoded %.1f MB (%.1f MB by its own count)", float64(loaded-before)/1e6, float64(full-loaded)/1e6, float64(list.cache.bytes)/1e6)
	if full-before > 60<<20 {
		t.Errorf("%d bytes", full-before)
	}
	if list.cache.bytes > defaultBlockBytes {
		t.Errorf("cache holds %d bytes", list.cache.bytes)
	}
	runtime.KeepAlive(orders)
}
