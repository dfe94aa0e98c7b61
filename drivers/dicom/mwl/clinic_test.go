package mwl

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

var helsinki = mustZone("Europe/Helsinki")

func mustZone(name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return z
}

// noon of the clinic's day in most tests.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, helsinki)

// clinic is a list and a service with an invented day.
type clinic struct {
	t       testing.TB
	list    *List
	service *Service
	clock   atomic.Pointer[time.Time]
	records []QueryRecord
	notes   []Note
	seen    [][]int64
}

func newClinic(t testing.TB, machines []Machine, orders ...*order.Order) *clinic {
	t.Helper()
	c := &clinic{t: t}
	c.at(noon)
	c.list = NewList(Config{
		Clinic: "Riverside Veterinary Clinic", Zone: helsinki, Machines: machines, Tables: tables(),
		Now: func() time.Time { return *c.clock.Load() },
	})
	c.list.Load(slices.Values(orders))
	c.service = NewService(ServiceConfig{
		List: c.list,
		Log:  func(r QueryRecord) { c.records = append(c.records, r) },
		Note: func(n Note) { c.notes = append(c.notes, n) },
		Seen: func(_ string, ids []int64) { c.seen = append(c.seen, ids) },
	})
	return c
}

func (c *clinic) at(t time.Time) { c.clock.Store(&t) }

func tables() Tables {
	return Tables{
		Species:    map[string]Species{"Canine": {Orientation: Quadruped, Code: Code{Value: "448771007", Scheme: "SCT", Meaning: "Canis lupus subspecies familiaris"}}},
		Breeds:     map[string]Code{"labrador": {Value: "58108001", Scheme: "SCT", Meaning: "Golden retriever"}},
		BodyParts:  map[string]string{"abdomen": "ABDOMEN"},
		Procedures: map[string]Code{"X-ray": {Value: "XR", Scheme: "99CLINIC", Meaning: "X-ray"}},
		Protocols:  map[string]Code{"X-ray": {Value: "P1", Scheme: "99CLINIC", Version: "1", Meaning: "Two views"}},
	}
}

func machines() []Machine {
	return []Machine{
		{Name: "X-ray room 1", AETitle: "DR1", Aliases: []string{"DR1_OLD"}, Code: "DX", CodeAliases: []string{"CR"}},
		{Name: "CT", AETitle: "CT1", Code: "CT"},
		{Name: "Ultrasound", AETitle: "US1", Code: "US", Sees: []string{"X-ray room 1"}},
	}
}

// dog returns an order for the X-ray room, received this morning, with no
// scheduled time.
func dog(id int64) *order.Order {
	acc := fmt.Sprint(1000 + id)
	return &order.Order{
		ID: id, ProvetID: acc, AccessionNumber: acc, RequestedProcedureID: acc, Revision: 1,
		StudyInstanceUID: fmt.Sprintf("2.25.%d", 900000+id), State: order.Scheduled, CreatedAt: noon.Add(-2 * time.Hour),
		Steps: []order.Step{{ScheduledProcedureStepID: acc, Modality: order.Ref{ID: "7", Name: "X-ray"}, Stations: []string{"X-ray room 1"}, State: order.Scheduled}},
		Content: order.Content{
			Patient: order.Patient{
				ID: fmt.Sprint(4700 + id), Name: "Bella", Species: "Canine", Breed: "Labrador", Sex: order.Female,
				Neutered: order.Altered, BirthDate: "2020-02-29", WeightKG: 31.25, Microchip: "978101080000001", Alerts: "bites",
			},
			Owner:          order.Owner{FirstName: "Anna", LastName: "Müller"},
			Modalities:     []order.Ref{{ID: "7", Name: "X-ray"}},
			TargetAreas:    []order.Ref{{Name: "Abdomen"}, {Name: "Thorax"}},
			Department:     order.Ref{Name: "Surgery"},
			RequestingUser: order.Person{FirstName: "Rita", LastName: "Quester"}, Veterinarian: order.Person{FirstName: "Vera", LastName: "Vet"},
			ConsultationID: "c77", Ward: "W2", Complaint: "limping", Remarks: "rule out fracture", InternalNotes: "secret",
		},
	}
}

// at returns the order scheduled at a time of the clinic.
func at(o *order.Order, y int, m time.Month, d, h, mi int) *order.Order {
	o.Content.ScheduledAt = time.Date(y, m, d, h, mi, 0, 0, helsinki)
	return o
}

// keys builds an identifier from "Keyword=value" and "step:Keyword=value".
func keys(t testing.TB, syntax dataset.Syntax, cs dataset.Charset, lines ...string) []byte {
	t.Helper()
	b, step, steps := dataset.NewBuilder(syntax, cs), dataset.NewBuilder(syntax, cs), false
	if cs != dataset.DefaultCharset {
		b.Charset()
	}
	for _, l := range lines {
		in := b
		if rest, ok := strings.CutPrefix(l, "step:"); ok {
			in, l, steps = step, rest, true
		}
		name, value, _ := strings.Cut(l, "=")
		tag, ok := dataset.TagByKeyword(name)
		if !ok {
			t.Fatalf("no keyword %q", name)
		}
		switch vr := dataset.VROf(tag); {
		case vr == dataset.SQ:
			in.Seq(tag)
		case vr == dataset.PN || vr == dataset.LO || vr == dataset.SH:
			raw, _ := cs.Encode(value, vr)
			in.Raw(tag, vr, raw)
		default:
			in.Raw(tag, vr, []byte(value))
		}
	}
	if steps {
		b.Seq(dataset.ScheduledProcedureStepSequence, step)
	}
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// reply is what a machine got.
type reply struct {
	sets    []*dataset.Set
	raw     [][]byte
	pending []uint16
	err     error
}

func (c *clinic) ask(title string, identifier []byte) reply {
	return c.askAs(context.Background(), title, dataset.ImplicitLE, identifier)
}

func (c *clinic) askAs(ctx context.Context, title string, syntax dataset.Syntax, identifier []byte) reply {
	c.t.Helper()
	var r reply
	peer := &dimse.Peer{CallingAETitle: title, CalledAETitle: "RAYHOUND", Addr: netip.MustParseAddrPort("192.0.2.7:1234")}
	r.err = c.service.find(ctx, &dimse.Request{Peer: peer, SOPClassUID: SOPClass, TransferSyntaxUID: syntax.UID(), Data: identifier},
		func(b []byte, pending uint16) error {
			raw := slices.Clone(b)
			set, err := dataset.Parse(raw, syntax, dataset.Limits{})
			if err != nil {
				c.t.Fatalf("answer cannot be read: %v", err)
			}
			r.sets, r.raw, r.pending = append(r.sets, set), append(r.raw, raw), append(r.pending, pending)
			return nil
		})
	return r
}

// find asks with keys and returns the accession numbers that came.
func (c *clinic) find(title string, lines ...string) string {
	c.t.Helper()
	return c.findIn(dataset.UTF8, title, lines...)
}

func (c *clinic) findIn(cs dataset.Charset, title string, lines ...string) string {
	c.t.Helper()
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "AccessionNumber") }) {
		lines = append(lines, "AccessionNumber")
	}
	r := c.ask(title, keys(c.t, dataset.ImplicitLE, cs, lines...))
	if r.err != nil {
		c.t.Fatal(r.err)
	}
	return r.accessions()
}

func (r reply) accessions() string {
	var out []string
	for _, s := range r.sets {
		out = append(out, s.String(dataset.AccessionNumber))
	}
	return strings.Join(out, " ")
}

func (c *clinic) last() *QueryRecord { return &c.records[len(c.records)-1] }

func step(s *dataset.Set) *dataset.Set { return s.Item(dataset.ScheduledProcedureStepSequence) }

func tags(s *dataset.Set) []string {
	var out []string
	for i := range s.Elements {
		out = append(out, s.Elements[i].Tag.String())
	}
	return out
}
