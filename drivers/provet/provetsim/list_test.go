package provetsim_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// history makes n orders, an hour apart, and returns their ids.
func history(c *clinic, n int) []int {
	ids := make([]int, n)
	start := time.Date(2026, 3, 1, 8, 0, 0, 123456000, time.UTC)
	for i := range ids {
		ids[i] = c.sim.CreateOrder(provetsim.NewOrder{
			PatientID: 5001 + i%3, Modality: []string{"X-ray", "CT"}[i%2], Created: start.Add(time.Duration(i) * time.Hour),
			Status: []string{"new", "done"}[i%2], DepartmentID: 1 + i%2,
		})
	}
	return ids
}

func idsOf(t *testing.T, m map[string]any) []string {
	t.Helper()
	var ids []string
	for _, o := range m["results"].([]any) {
		ids = append(ids, num(o.(map[string]any)["id"]))
	}
	return ids
}

func TestPaging(t *testing.T) {
	c := open(t, provetsim.Config{NoLimits: true})
	history(c, 120)
	seen := map[string]bool{}
	next := c.url + "/api/0.1/diagnosticimaging_worklist/?ordering=-modified"
	pages := 0
	for next != "" {
		m := c.object(c.do("GET", next, "", ""), 200)
		if num(m["count"]) != "120" || num(m["num_pages"]) != "3" {
			t.Fatalf("count %v, pages %v", m["count"], m["num_pages"])
		}
		for _, id := range idsOf(t, m) {
			seen[id] = true
		}
		if (m["previous"] == nil) != (pages == 0) {
			t.Errorf("page %d: previous %v", pages, m["previous"])
		}
		next, _ = m["next"].(string)
		pages++
	}
	if pages != 3 || len(seen) != 120 {
		t.Errorf("%d pages, %d orders", pages, len(seen))
	}
	for query, want := range map[string]int{"page=4": 404, "page=0": 404, "page=x": 404, "page_size=1000": 200, "page_size=5000": 200} {
		if r := c.get("diagnosticimaging_worklist/?" + query); r.status != want {
			t.Errorf("%s: %d", query, r.status)
		}
	}
	m := c.object(c.get("diagnosticimaging_worklist/?page_size=7&page=2"), 200)
	if got := idsOf(t, m); len(got) != 7 || got[0] != "70008" {
		t.Errorf("second page of seven: %v", got)
	}
}

func TestEmptyList(t *testing.T) {
	c := open(t, provetsim.Config{})
	r := c.get("diagnosticimaging_worklist/")
	if want := `{"count":0,"num_pages":1,"next":null,"previous":null,"results":[]}`; string(r.body) != want {
		t.Errorf("%s", r.body)
	}
}

func TestFilters(t *testing.T) {
	c := open(t, provetsim.Config{NoLimits: true})
	history(c, 6) // 70001 to 70006, from 08:00 to 13:00 UTC
	for _, tc := range []struct{ query, want string }{
		{"id__gt=70004", "70005 70006"},
		{"id__gte=70004&id__lt=70006", "70004 70005"},
		{"id__in=70002,70005,99", "70002 70005"},
		{"id__not_in=70002,70005", "70001 70003 70004 70006"},
		{"id__range=70002,70003", "70002 70003"},
		{"id__not_in_range=70002,70005", "70001 70006"},
		{"status__is=3", "70002 70004 70006"},
		{"status__in=0,3&id__lte=70002", "70001 70002"},
		{"status__neq=3", "70001 70003 70005"},
		{"patient__is=5002", "70002 70005"},
		{"patient.name__is=M%C3%BCrbchen", "70002 70005"},
		{"patient.name__icontains=m%C3%BCrb", "70002 70005"},
		{"department__eq=2", "70002 70004 70006"},
		{"modified__gte=2026-03-01T12:00:00", "70003 70004 70005 70006"}, // local time, UTC+02:00
		{"modified__gte=2026-03-01%2012:00%2B00:00", "70005 70006"},
		{"modified__gt=2026-03-01T12:00:00.123456Z", "70006"},
		{"modified__lte=2026-03-01T08:00:00.123456Z", "70001"},
		{"modified__range=2026-03-01T09:00:00Z,2026-03-01T11:00:00Z", "70002 70003"},
		{"modified__gte=2026-03-01T12:00:00Z&ordering=-id", "70006 70005"},
		{"ordering=-modified&id__lt=70003", "70002 70001"},
		{"ordering=status,-id", "70005 70003 70001 70006 70004 70002"},
		{"ordering=nothing", "70001 70002 70003 70004 70005 70006"},
		{"filter_type=or&id__is=70001&id__is=70006", "70001 70006"},
		{"referral__is_null=true", ""},
		{"referral__is_null=false&id__lt=70002", "70001"},
		{"target_areas__is_null=true&id__lt=70002", "70001"},
		{"patient=5002&id__lt=70003", "70001 70002"},    // no method: ignored
		{"colour__is=blue&id__lt=70003", "70001 70002"}, // no such field: ignored
		{"status__like=3&id__lt=70003", "70001 70002"},  // no such method: ignored
		{"page_size=2&modified__gt=2026-03-01T09:30:00Z", "70003 70004"},
	} {
		m := c.object(c.get("diagnosticimaging_worklist/?"+tc.query), 200)
		if got := strings.Join(idsOf(t, m), " "); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.query, got, tc.want)
		}
	}
	for _, query := range []string{"modified__gte=soon", "id__gt=x", "id__range=1", "modified__gte=2026-03-01T12:00:00+00:00"} {
		if r := c.get("diagnosticimaging_worklist/?" + query); r.status != 400 {
			t.Errorf("%s: %d", query, r.status)
		}
	}
}

func TestFiltersOfOtherResources(t *testing.T) {
	c := open(t, provetsim.Config{NoLimits: true})
	for _, tc := range []struct{ query, want string }{
		{"patient/?name__is=Bello", "5001 5018"},
		{"patient/?weight__gt=100", "5007 5008"},
		{"patient/?weight__is_null=true", "5018"},
		{"patient/?date_of_birth__lt=1990-01-01", "5015"},
		{"patient/?microchip__is_null=true&species__contains=Parrot", "5005"},
		{"patient/?client.lastname__is=Gr%C3%B6%C3%9Flinger", "5002 5003"},
		{"client/?patients__is=5003", "102"},
		{"client/?customer_type__gt=0", "106 107"},
		{"modality/?name__icontains=ray", "11 14"},
	} {
		m := c.object(c.get(tc.query), 200)
		if got := strings.Join(idsOf(t, m), " "); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.query, got, tc.want)
		}
	}
}

func TestArchivedRows(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.MergePatient(5018, 5001)
	m := c.object(c.get("patient/?name__is=Bello"), 200)
	if got := idsOf(t, m); !slices.Equal(got, []string{"5001"}) {
		t.Errorf("without archived: %v", got)
	}
	m = c.object(c.get("patient/?name__is=Bello&include_archived=true"), 200)
	if got := idsOf(t, m); !slices.Equal(got, []string{"5001", "5018"}) {
		t.Errorf("with archived: %v", got)
	}
	p := c.object(c.get("patient/5018/"), 200)
	if p["archived"] != true || p["merge_patient"] != c.url+"/api/0.1/patient/5001/" {
		t.Errorf("archived %v, merge_patient %v", p["archived"], p["merge_patient"])
	}
}

func TestStrictFilters(t *testing.T) {
	c := open(t, provetsim.Config{StrictFilters: true, DeepPagingLimit: 50})
	history(c, 60)
	if r := c.get("diagnosticimaging_worklist/?colour__is=blue"); r.status != 400 {
		t.Errorf("unknown filter: %d", r.status)
	}
	if r := c.get("diagnosticimaging_worklist/?expose_patient&page=1"); r.status != 200 {
		t.Errorf("expose: %d", r.status)
	}
	if r := c.get("diagnosticimaging_worklist/?page=2"); r.status != 400 {
		t.Errorf("deep page: %d", r.status)
	}
}

func TestUnfilterable(t *testing.T) {
	c := open(t, provetsim.Config{Unfilterable: []string{"worklist.modified"}, Unorderable: []string{"worklist.modified"}})
	history(c, 3)
	m := c.object(c.get("diagnosticimaging_worklist/?modified__gte=2099-01-01T00:00:00Z&ordering=-modified"), 200)
	if got := strings.Join(idsOf(t, m), " "); got != "70001 70002 70003" {
		t.Errorf("got %s", got)
	}
}

func TestExpose(t *testing.T) {
	c := open(t, provetsim.Config{})
	c.sim.CreateOrder(provetsim.NewOrder{})
	for _, query := range []string{"?expose_patient", "?expose_patient=true"} {
		m := c.object(c.get("diagnosticimaging_worklist/"+query), 200)
		o := m["results"].([]any)[0].(map[string]any)
		p, ok := o["patient"].(map[string]any)
		if !ok || p["name"] != "Bello" || p["client"] != c.url+"/api/0.1/client/101/" || p["id"] != nil {
			t.Errorf("%s: %v", query, o["patient"])
		}
	}
	m := c.object(c.get("diagnosticimaging_worklist/?expose_patient=false&expose_status&expose_nothing"), 200)
	if _, ok := m["results"].([]any)[0].(map[string]any)["patient"].(string); !ok {
		t.Error("exposed though not asked to")
	}
}

func TestModifiedMovesWithWrites(t *testing.T) {
	c := open(t, provetsim.Config{NoLimits: true})
	ids := history(c, 10)
	var since string
	{
		o := c.object(c.get("diagnosticimaging_worklist/70010/"), 200)
		since = url.QueryEscape(o["modified"].(string))
	}
	changed := func() string {
		return strings.Join(idsOf(t, c.object(c.get("diagnosticimaging_worklist/?ordering=modified&modified__gt="+since), 200)), " ")
	}
	c.object(c.patch("diagnosticimaging_worklist/70003/", `{"status": 2}`), 200)
	c.sim.SetStatus(ids[0], "cancelled")
	c.sim.UpdateOrder(ids[7], func(o *provetsim.Order) { o.Remarks = "new" })
	if got := changed(); got != "70003 70001 70008" {
		t.Errorf("changed: %s", got)
	}
	c.sim.DeleteOrder(ids[0])
	if got := changed(); got != "70003 70008" {
		t.Errorf("after the deletion: %s", got)
	}
	if r := c.get("diagnosticimaging_worklist/70001/"); r.status != 404 || string(r.body) != `{"detail":"Not found."}` {
		t.Errorf("deleted: %d %s", r.status, r.body)
	}
}

func TestStaleReferral(t *testing.T) {
	c := open(t, provetsim.Config{StaleReferral: true})
	id := c.sim.CreateOrder(provetsim.NewOrder{Remarks: "old"})
	before, _ := c.sim.Order(id)
	c.sim.UpdateOrder(id, func(o *provetsim.Order) { o.Remarks = "new" })
	after, _ := c.sim.Order(id)
	if after.Remarks != "new" || !after.Modified.Equal(before.Modified) {
		t.Errorf("%+v", after)
	}
}

func TestDatetimeStyles(t *testing.T) {
	at := time.Date(2026, 7, 1, 10, 20, 30, 456789000, time.UTC)
	zone := time.FixedZone("", -4*3600)
	for style, want := range map[provetsim.DatetimeStyle]string{
		provetsim.DatetimeOffset:  "2026-07-01T06:20:30.456789-04:00",
		provetsim.DatetimeUTC:     "2026-07-01T10:20:30.456789Z",
		provetsim.DatetimeSeconds: "2026-07-01T06:20:30-04:00",
		provetsim.DatetimeNaive:   "2026-07-01T06:20:30.456789",
	} {
		c := open(t, provetsim.Config{Zone: zone, Datetimes: style})
		id := c.sim.CreateOrder(provetsim.NewOrder{Created: at})
		o := c.object(c.get(fmt.Sprintf("diagnosticimaging_worklist/%d/", id)), 200)
		if o["created"] != want {
			t.Errorf("style %d: %v, want %s", style, o["created"], want)
		}
	}
	c := open(t, provetsim.Config{Zone: zone})
	history(c, 40)
	var z, offset bool
	for _, o := range c.object(c.get("diagnosticimaging_worklist/"), 200)["results"].([]any) {
		v := o.(map[string]any)["modified"].(string)
		z = z || strings.HasSuffix(v, "Z")
		offset = offset || strings.HasSuffix(v, "-04:00")
	}
	if !z || !offset {
		t.Errorf("mixed style: some Z %v, some offsets %v", z, offset)
	}
}
