package provet

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

func TestRelationShapes(t *testing.T) {
	for _, tc := range []struct {
		json, id, name string
	}{
		{`"https://provetcloud.com/4321/api/0.1/patient/17/"`, "17", ""},
		{`"https://provetcloud.com/4321/api/0.1/patient/17"`, "17", ""},
		{`"/4321/api/0.1/patient/17/"`, "17", ""},
		{`"/patient/17/"`, "17", ""},
		{`"patient/17/"`, "17", ""},
		{`"https://evil.example/x/17/?token=1#f"`, "17", ""},
		{`17`, "17", ""},
		{`"17"`, "17", ""},
		{`" 17 "`, "17", ""},
		{`17.0`, "17", ""},
		{`{"id":17,"name":"Bella"}`, "17", "Bella"},
		{`{"id":"17"}`, "17", ""},
		{`{"url":"https://p/4321/api/0.1/patient/17/","name":"Bella"}`, "17", "Bella"},
		{`{"id":null,"url":"/4321/api/0.1/patient/17/"}`, "17", ""},
		{`{"name":"Bella"}`, "", "Bella"},
		{`[17]`, "17", ""},
		{`["/patient/17/"]`, "17", ""},
		{`[{"id":17}]`, "17", ""},
		{`"Bella"`, "", "Bella"},
		{`"Bella/Rex"`, "", "Bella/Rex"},
		{`null`, "", ""},
		{`""`, "", ""},
		{`true`, "", ""},
		{`-4`, "", ""},
		{`1.5`, "", ""},
		{`[]`, "", ""},
		{`[[[17]]]`, "", ""},
		{`{}`, "", ""},
		{`"https://provetcloud.com/4321/api/0.1/client/17/"`, "", ""}, // another resource
		{`"https://provetcloud.com/4321/api/0.1/patient/../17/"`, "17", ""},
		{`"https://provetcloud.com/4321/api/0.1/patient/a%2Fb/"`, "", ""},
		{`"https://provetcloud.com/"`, "", ""},
		{`"http://[::1"`, "", ""},
		{`"111111111111111111111111111111111111111111111111111111111111111111111111"`, "", ""},
	} {
		v, err := decode([]byte(tc.json))
		if err != nil {
			t.Fatal(tc.json, err)
		}
		if r := relationTo(resPatient, v); r.ID != tc.id || r.Name != tc.name {
			t.Errorf("%s: id %q, name %q", tc.json, r.ID, r.Name)
		}
	}
}

func TestRelationLists(t *testing.T) {
	for json, want := range map[string]int{
		`[1,"2","/patient/3/",{"id":4},{"url":"/patient/5/"},1,null,[]]`: 5,
		`7`: 1, `null`: 0, `[{"name":"Skull"},{"name":"Thorax"}]`: 2, `"Skull"`: 1,
	} {
		v, err := decode([]byte(json))
		if err != nil {
			t.Fatal(err)
		}
		if got := relationsTo(resPatient, v); len(got) != want {
			t.Errorf("%s: %v", json, got)
		}
	}
}

func TestTimes(t *testing.T) {
	hel := time.FixedZone("", 2*3600)
	at := time.Date(2026, 11, 24, 10, 20, 30, 0, time.UTC)
	for s, want := range map[string]time.Time{
		"2026-11-24T12:20:30+02:00":        at,
		"2026-11-24T10:20:30Z":             at,
		"2026-11-24T12:20:30.123456+02:00": at.Add(123456 * time.Microsecond),
		"2026-11-24T10:20:30.5Z":           at.Add(500 * time.Millisecond),
		"2026-11-24T12:20:30":              at,
		"2026-11-24T12:20:30.000001":       at.Add(time.Microsecond),
		"2026-11-24 12:20:30+02:00":        at,
		"2026-11-24 12:20:30 +0200":        at,
		"2026-11-24T05:20:30-05":           at,
		"2026-11-24T12:20":                 at.Truncate(time.Minute),
		"2026-11-24T12:20+02:00":           at.Truncate(time.Minute),
		"2026-11-24":                       time.Date(2026, 11, 24, 0, 0, 0, 0, hel),
		"":                                 {}, "now": {}, "2026-13-01": {}, "0001-01-01T00:00:00Z": {}, "24.11.2026": {},
	} {
		if got := instant(s, hel); !got.Equal(want) {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
	if _, off := instant("2026-11-24T05:20:30-05:00", hel).Zone(); off != -5*3600 {
		t.Error("the offset given is not kept")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"30": 30 * time.Second, "0": 0, "-5": 0, "1.5": 1500 * time.Millisecond, "999999999": time.Hour, "NaN": 0, "soon": 0, "": 0,
		"Tue, 24 Nov 2026 10:00:20 GMT": 20 * time.Second, "Tue, 24 Nov 2026 09:00:00 GMT": 0,
	} {
		h := http.Header{"Retry-After": {v}}
		if got := retryAfter(h, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
	// Our clock is wrong by a day: the Date of the answer counts.
	h := http.Header{"Retry-After": {"Tue, 24 Nov 2026 10:00:20 GMT"}, "Date": {"Tue, 24 Nov 2026 10:00:00 GMT"}}
	if got := retryAfter(h, now.Add(24*time.Hour)); got != 20*time.Second {
		t.Error(got)
	}
}

func TestSexes(t *testing.T) {
	c := &Client{sexes: sexTable(map[string]SexMeaning{"Uros, leikattu": {order.Male, order.Altered}, "9": {Sex: order.SexOther}})}
	for _, tc := range []struct {
		code, label string
		want        SexMeaning
		ok          bool
	}{
		{"1", "", SexMeaning{Sex: order.Male}, true},
		{"4", "anything", SexMeaning{order.Female, order.Altered}, true},
		{"", "Male (castrated)", SexMeaning{order.Male, order.Altered}, true},
		{"", "castrated male", SexMeaning{order.Male, order.Altered}, true},
		{"", "Sterilized female", SexMeaning{order.Female, order.Altered}, true},
		{"", "Uros (leikattu)", SexMeaning{order.Male, order.Altered}, true},
		{"9", "", SexMeaning{Sex: order.SexOther}, true},
		{"0", "", SexMeaning{}, true},
		{"", "", SexMeaning{}, true},
		{"", "Unknown", SexMeaning{}, true},
		{"", "Tik", SexMeaning{}, false},
		{"77", "", SexMeaning{}, false},
	} {
		if got, ok := c.sex(tc.code, tc.label); got != tc.want || ok != tc.ok {
			t.Errorf("%q %q: %+v %v", tc.code, tc.label, got, ok)
		}
	}
}

func TestStateOfLabel(t *testing.T) {
	for label, want := range map[string]order.State{
		"Done": order.Completed, "Valmis": order.Completed, "Klar": order.Completed, "Fertig": order.Completed, "Terminé": order.Completed,
		"Utförd": order.Completed, "In progress": order.InProgress, "Käynnissä": order.InProgress, "Pågår": order.InProgress,
		"New": order.Scheduled, "Beställd": order.Scheduled, "Cancelled": order.Cancelled, "Peruttu": order.Cancelled,
		"Keskeytetty": order.Discontinued, "Not completed": "", "Ei valmis": "", "Incomplete": "", "Done or cancelled": "", "Foo": "", "": "",
	} {
		if got, _ := stateOf(label); got != want {
			t.Errorf("%q: %q, want %q", label, got, want)
		}
	}
}

func TestGuardComparesAddresses(t *testing.T) {
	base, err := parseBase("https://provetcloud.com/4321")
	if err != nil {
		t.Fatal(err)
	}
	api := base.JoinPath("api", "0.1/")
	for raw, want := range map[string]bool{
		"https://provetcloud.com/4321/api/0.1/patient/1/":          true,
		"https://PROVETCLOUD.com:443/4321/api/0.1/patient/1/":      true,
		"http://provetcloud.com/4321/api/0.1/patient/1/":           false,
		"https://provetcloud.com:8443/4321/api/0.1/patient/1/":     false,
		"https://provetcloud.com.evil.example/4321/api/0.1/":       false,
		"https://provetcloud.com/9999/api/0.1/patient/1/":          false,
		"https://provetcloud.com/4321/api/0.1/../../../9999/":      false,
		"https://provetcloud.com/4321/api/0.1/%2e%2e/%2e%2e/9999/": false,
		"https://provetcloud.com/4321/api/0.1/x%2f..%2fy/":         false,
		"https://u:p@provetcloud.com/4321/api/0.1/patient/1/":      false,
		"https://provetcloud.com/4321/api/0.10/":                   false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(raw, err)
		}
		if got := inside(api, u); got != want {
			t.Errorf("%s: %v", raw, got)
		}
	}
}

// In any minute a resource gets at most nine tenths of its documented limit.
func TestBudgetStaysBelowTheLimit(t *testing.T) {
	for name, r := range resources {
		for kind, n := range map[string]int{callList: r.list, callGet: r.get, callWrite: r.write} {
			l := newLimiter(name, kind)
			if got := float64(l.Burst()) + float64(l.Limit())*60; got > 0.9*float64(n)+0.001 || l.Burst() < 1 {
				t.Errorf("%s %s: %v of %d", name, kind, got, n)
			}
		}
	}
}

func TestBudgetGivesUpInTime(t *testing.T) {
	b := newBudgets(true)
	burst := newLimiter(resReferral, callList).Burst()
	for range burst {
		if d, err := b.wait(t.Context(), resReferral, callList, 1); d != 0 || err != nil {
			t.Fatal(d, err)
		}
	}
	if d, err := b.wait(t.Context(), resReferral, callList, 40); d < maxPatience || err != nil {
		t.Error(d, err)
	}
	b.block(resClient, callGet, time.Hour)
	if d, _ := b.wait(t.Context(), resClient, callGet, 1); d < 50*time.Minute {
		t.Error(d)
	}
}
