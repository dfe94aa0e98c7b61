package mwl

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

func request(title string, data []byte) *dimse.Request {
	return &dimse.Request{
		Peer:        &dimse.Peer{CallingAETitle: title, Addr: netip.MustParseAddrPort("192.0.2.7:1234")},
		SOPClassUID: SOPClass, TransferSyntaxUID: dataset.ImplicitLE.UID(), Data: data,
	}
}

// D50: a cancelled query ends between two items with FE00, one at its deadline
// with C002, one whose peer is gone with neither.
func TestD50Cancel(t *testing.T) {
	c := newClinic(t, machines(), many(100)...)
	for _, tt := range []struct {
		cause error
		want  error
		end   string
	}{
		{dimse.ErrCancelled, dimse.Status{Code: dimse.Cancel}, EndCancelled},
		{dimse.ErrDeadline, dimse.Status{Code: dimse.Deadline}, EndDeadline},
		{errors.New("connection reset"), nil, EndLost},
	} {
		for _, after := range []int{0, 50} {
			ctx, cancel := context.WithCancelCause(t.Context())
			n := 0
			if after == 0 {
				cancel(tt.cause)
			}
			err := c.service.find(ctx, request("DR1", nil), func([]byte, uint16) error {
				if n++; n == after {
					cancel(tt.cause)
				}
				return nil
			})
			cancel(nil)
			if n != after || tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil && !errors.Is(err, tt.cause) {
				t.Errorf("%v after %d: %d answers, %v", tt.cause, after, n, err)
			}
			if r := c.last(); r.End != tt.end || r.Matches != after {
				t.Errorf("%v: recorded as %s with %d matches", tt.cause, r.End, r.Matches)
			}
		}
	}
}

// D51: more matches than the limit.
func TestD51Limit(t *testing.T) {
	ms := machines()
	ms[0].MaxAnswers = 5
	c := newClinic(t, ms, many(6)...)
	r := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber"))
	st, _ := dimse.StatusOf(r.err)
	if len(r.sets) != 5 || st.Code != 0xA700 || st.Comment == "" || len(st.Comment) > 64 {
		t.Fatal(len(r.sets), r.err)
	}
	if len(c.notes) != 1 || c.notes[0].Code != problem.MachineLimit || c.notes[0].Args["limit"] != "5" || c.last().End != EndLimit || c.last().Status != 0xA700 {
		t.Error(c.notes, c.last().End)
	}
	c.list.Remove(6)
	if got := c.ask("DR1", nil); got.err != nil || len(got.sets) != 5 {
		t.Error("exactly the limit:", got.err)
	}
	ms[0].MaxAnswers = -1
	c.list.SetMachines(ms)
	c.list.Load(slices.Values(many(10_001)))
	if got := c.ask("DR1", nil); got.err != nil || len(got.sets) != 10_001 {
		t.Error("no limit:", len(got.sets), got.err)
	}
	ms[0].MaxAnswers = 0
	c.list.SetMachines(ms)
	if got := c.ask("DR1", nil); got.err == nil || len(got.sets) != DefaultMaxAnswers {
		t.Error("the default:", len(got.sets), got.err)
	}
}

// The server's own limit counts like the machine's.
func TestServerLimit(t *testing.T) {
	c := newClinic(t, machines(), many(3)...)
	n := 0
	err := c.service.find(t.Context(), request("DR1", nil), func([]byte, uint16) error {
		if n++; n > 2 {
			return dimse.Status{Code: dimse.OutOfResources}
		}
		return nil
	})
	if err == nil || c.last().End != EndLimit || len(c.notes) != 1 || c.notes[0].Code != problem.MachineLimit {
		t.Error(err, c.last().End, c.notes)
	}
}

// D52: what cannot be read is A900, what is too large A700; 0 bytes match
// everything.
func TestD52Identifier(t *testing.T) {
	c := newClinic(t, machines(), dog(1))
	if r := c.ask("DR1", nil); len(r.sets) != 1 || strings.Join(tags(r.sets[0]), " ") != "(0008,0005)" {
		t.Error("0 bytes:", r.err)
	}
	deep := []byte{}
	for range 9 {
		deep = dataset.AppendSequence(nil, dataset.ImplicitLE, dataset.ReferencedStudySequence, deep)
	}
	wide := []byte{}
	for i := range 2001 {
		wide = dataset.AppendElement(wide, dataset.ImplicitLE, dataset.Tag(0x00200000+i+1), dataset.LO, nil)
	}
	text := func(n int) []byte {
		return dataset.AppendElement(nil, dataset.ImplicitLE, dataset.PatientID, dataset.LO, []byte(strings.Repeat("x", n)))
	}
	for name, tt := range map[string]struct {
		id   []byte
		want uint16
	}{
		"truncated":       {[]byte{0x10, 0, 0x20, 0, 0xFF, 0xFF, 0, 0, 'x'}, 0xA900},
		"group 0000":      {[]byte{0, 0, 0, 1, 0, 0, 0, 0}, 0xA900},
		"noise":           {[]byte("GET / HTTP/1.1\r\n\r\n"), 0xA900},
		"too deep":        {deep, 0xA700},
		"too many keys":   {wide, 0xA700},
		"too many bytes":  {text(maxIdentifier), 0xA700},
		"long key":        {text(maxKeyBytes + 1), 0xA700},
		"too many values": {dataset.AppendElement(nil, dataset.ImplicitLE, dataset.PatientID, dataset.LO, []byte(strings.Repeat(`x\`, 1000))), 0xA700},
		"fitting":         {text(maxKeyBytes), 0},
	} {
		r := c.ask("DR1", tt.id)
		st, _ := dimse.StatusOf(r.err)
		if st.Code != tt.want || len(r.sets) != 0 || len(st.Comment) > 64 {
			t.Errorf("%s: %v", name, r.err)
		}
		if tt.want != 0 && (c.last().End != EndRefused || c.last().Status != tt.want || len(c.notes) > 0) {
			t.Errorf("%s: recorded as %s", name, c.last().End)
		}
	}
	if got := c.find("DR1"); got != "1001" {
		t.Error("afterwards:", got)
	}
}

// D53: a list that is being sent is of one moment.
func TestD53Snapshot(t *testing.T) {
	c := newClinic(t, machines(), many(50)...)
	id := keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "PatientName")
	n := 0
	err := c.service.find(t.Context(), request("DR1", id), func(b []byte, _ uint16) error {
		if n++; n == 1 {
			for _, o := range many(60) {
				o.Revision, o.Content.Patient.Name = 2, "New"
				c.list.Put(o)
			}
			c.list.Remove(7)
			c.list.SetMachines(nil)
		}
		set, err := dataset.Parse(slices.Clone(b), dataset.ImplicitLE, dataset.Limits{})
		if err != nil {
			return err
		}
		if name := set.Text(dataset.PatientName, set.Charset()); strings.HasSuffix(name, "New") {
			t.Error("a new order among old ones")
		}
		return nil
	})
	if err != nil || n != 50 {
		t.Fatal(n, err)
	}
	c.list.SetMachines(machines())
	if r := c.ask("DR1", id); len(r.sets) != 59 || !strings.HasSuffix(r.sets[0].Text(dataset.PatientName, r.sets[0].Charset()), "New") {
		t.Error(len(r.sets))
	}
}

// D53 under load: readers see every order in one revision or the other, and the
// order of what Put returned.
func TestD53Concurrent(t *testing.T) {
	orders := many(200)
	for _, o := range orders {
		o.Content.Remarks = o.Content.Patient.ID
	}
	c := newClinic(t, machines(), orders...)
	svc := NewService(ServiceConfig{List: c.list})
	id := keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "PatientID", "RequestedProcedureComments")
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				n := 0
				err := svc.find(t.Context(), request("DR1", id), func(b []byte, _ uint16) error {
					n++
					s, err := dataset.Parse(slices.Clone(b), dataset.ImplicitLE, dataset.Limits{})
					if err == nil && s.String(dataset.PatientID) != s.Text(dataset.RequestedProcedureComments, dataset.Latin1) {
						t.Error("two revisions in one answer")
					}
					return err
				})
				if err != nil || n != 200 {
					t.Error(n, err)
					return
				}
			}
		})
	}
	for rev := range 5 {
		for _, o := range many(200) {
			o.Content.Patient.ID = string(rune('A'+rev)) + o.AccessionNumber
			o.Content.Remarks = o.Content.Patient.ID
			c.list.Put(o)
		}
	}
	done.Store(true)
	wg.Wait()
}

// D54: a query needs nothing but memory: the package does not import what could
// reach the disk, the database or the network.
func TestD54MemoryOnly(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			switch path, _ := strconv.Unquote(i.Path.Value); path {
			case "os", "io", "net", "net/http", "database/sql", "github.com/rayhound/rayhound/localdb", "github.com/rayhound/rayhound/drivers/provet":
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	c := newClinic(t, machines(), dog(1))
	if got := c.find("DR1"); got != "1001" {
		t.Error(got)
	}
}

// D55: a machine that asks all the time is answered, and what is kept of it is
// bounded.
func TestD55Busy(t *testing.T) {
	c := newClinic(t, machines(), dog(1))
	o := dog(2)
	o.Content.Patient.Name = "Ж"
	c.list.Put(o)
	id := keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "PatientName")
	for range 1000 {
		if r := c.ask("DR1", id); r.err != nil || len(r.sets) != 2 {
			t.Fatal(r.err)
		}
	}
	if len(c.records) != 1000 || len(c.seen) != 1000 || !slices.Equal(c.seen[0], []int64{1, 2}) {
		t.Error(len(c.records), len(c.seen))
	}
	many := []string{}
	for _, tag := range table {
		many = append(many, dataset.Keyword(tag)+"="+strings.Repeat("*", 3000))
	}
	c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, slices.DeleteFunc(many, func(s string) bool {
		return strings.Contains(s, "Sequence") || strings.Contains(s, "Pregnancy")
	})...))
	for _, k := range c.last().Keys {
		if len(k.Value) > 256 {
			t.Error("a logged key is too long:", len(k.Value))
		}
	}
}

// D56: what identifies an order is the same after every update and a new start.
func TestD56Identity(t *testing.T) {
	o := dog(1)
	id := keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "StudyInstanceUID", "RequestedProcedureID", "step:ScheduledProcedureStepID")
	c := newClinic(t, machines(), o)
	first := c.ask("DR1", id).raw[0]
	o.Revision, o.Content.Patient.Name, o.Content.ScheduledAt = 2, "Rex", noon
	c.list.Put(o)
	if !slices.Equal(c.ask("DR1", id).raw[0], first) {
		t.Error("changed by an update")
	}
	if again := newClinic(t, machines(), o); !slices.Equal(again.ask("DR1", id).raw[0], first) {
		t.Error("changed by a restart")
	}
}

// D57: the record names each excluded order and the first key that failed.
func TestD57Record(t *testing.T) {
	ct := dog(5)
	ct.Steps[0].Stations = []string{"CT"}
	c := newClinic(t, machines(), dog(1), dog(2), at(dog(3), 2026, 11, 25, 9, 0), at(dog(4), 2026, 11, 22, 15, 0), ct)
	r := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.Latin1, "PatientName=müller*", `AccessionNumber=1001\1003\1004`,
		"step:ScheduledStationAETitle=DR1", "step:ScheduledProcedureStepStartDate=20261122", "step:ScheduledProcedureStepStartTime=0800-1300"))
	rec := c.last()
	if r.accessions() != "1001" || rec.Matches != 1 || rec.Machine != "X-ray room 1" || rec.CallingAETitle != "DR1" ||
		rec.Address != "192.0.2.7:1234" || rec.Bytes != len(r.raw[0]) || rec.End != EndComplete || !rec.At.Equal(noon) || !slices.Equal(rec.MatchedOrderIDs, []int64{1}) {
		t.Errorf("%+v", rec)
	}
	got := map[string]string{}
	for _, k := range rec.Keys {
		got[k.Keyword] = k.Value
	}
	if got["PatientName"] != "müller*" || got["ScheduledProcedureStepStartDate"] != "20261122" {
		t.Error(got)
	}
	ex, n := rec.Excluded()
	want := map[int64]string{2: "AccessionNumber", 3: "ScheduledProcedureStepStartDate", 4: "ScheduledProcedureStepStartTime"}
	if n != 3 || len(ex) != 3 {
		t.Fatal(ex, n)
	}
	for _, e := range ex {
		if want[e.OrderID] != e.Key || e.Reason == "" {
			t.Errorf("%+v", e)
		}
		var o *order.Order
		for _, it := range must(c.list.snap.Load().orders.get(e.OrderID)) {
			o = it.order
		}
		if x := c.list.Explain("X-ray room 1", o, rec.Keys); len(x) != 1 || x[0].Key != e.Key || x[0].Reason != e.Reason || x[0].Listed {
			t.Errorf("explained as %+v, recorded as %+v", x, e)
		}
	}
	c.list.Load(slices.Values(many(1000)))
	c.find("DR1", "AccessionNumber=none")
	if ex, n := c.last().Excluded(); n != 1000 || len(ex) != maxExcluded {
		t.Error(len(ex), n)
	}
}

func must[T any](v T, _ bool) T { return v }

func TestExplainScope(t *testing.T) {
	c := newClinic(t, machines())
	for want, change := range map[string]func(*order.Order){
		"": func(*order.Order) {},
		"the order is held: modality Dental": func(o *order.Order) {
			o.State, o.Holds = order.Held, []order.Hold{{Field: "modality", Detail: "Dental"}}
		},
		"the order is completed":               func(o *order.Order) { o.State = order.Completed },
		"the step is discontinued":             func(o *order.Order) { o.Steps[0].State = order.Discontinued },
		"the step is routed to other machines": func(o *order.Order) { o.Steps[0].Stations = []string{"CT"} },
		"the step is routed to no machine":     func(o *order.Order) { o.Steps[0].Stations = nil },
	} {
		o := dog(1)
		change(o)
		if e := c.list.Explain("X-ray room 1", o, nil); len(e) != 1 || e[0].Reason != want || e[0].Listed != (want == "") {
			t.Errorf("%q: %+v", want, e)
		}
	}
	if e := c.list.Explain("none", dog(1), nil); len(e) != 1 || e[0].Listed {
		t.Error(e)
	}
}

// Two steps are two entries, and both orders of one patient stay (P7).
func TestSeveralSteps(t *testing.T) {
	o := dog(1)
	o.Steps = append(o.Steps, order.Step{ScheduledProcedureStepID: "1001-2", Modality: order.Ref{Name: "CT"}, Stations: []string{"X-ray room 1"}, State: order.Scheduled})
	other := dog(2)
	other.Content.Patient.ID = o.Content.Patient.ID
	c := newClinic(t, machines(), o, other)
	r := c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber", "PatientID="+o.Content.Patient.ID, "step:ScheduledProcedureStepID"))
	if r.accessions() != "1001 1001 1002" || step(r.sets[1]).String(dataset.ScheduledProcedureStepID) != "1001-2" {
		t.Error(r.accessions())
	}
	if !slices.Equal(c.last().MatchedOrderIDs, []int64{1, 2}) || !slices.Equal(c.seen[0], []int64{1, 2}) {
		t.Error(c.last().MatchedOrderIDs)
	}
	o.Content.Patient.Name = "Renamed" // the step did not change
	c.list.Put(o)
	r = c.ask("DR1", keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber=1001", "PatientName"))
	for _, s := range r.sets {
		if s.Text(dataset.PatientName, s.Charset()) != "Müller^Renamed" {
			t.Error("an old name")
		}
	}
}

func TestCallerByTag(t *testing.T) {
	c := newClinic(t, machines(), dog(1))
	for _, tag := range []any{"X-ray room 1", Machine{Name: "X-ray room 1"}, &Machine{Name: "X-ray room 1"}} {
		r := request("SOMETHING", nil)
		r.Peer.Tag = tag
		n := 0
		if err := c.service.find(t.Context(), r, func([]byte, uint16) error { n++; return nil }); err != nil || n != 1 {
			t.Errorf("%T: %d %v", tag, n, err)
		}
	}
	if got := c.ask("NOBODY", nil); got.err != nil || len(got.sets) != 0 || c.last().Machine != "" {
		t.Error(got.err)
	}
}
