package provet_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// A missing permission takes its details away, and nothing else.
func TestMissingPermissions(t *testing.T) {
	for res, check := range map[string]func(order.Content) bool{
		"client":       func(c order.Content) bool { return c.Owner.ID != "" && c.Owner.LastName == "" && c.Patient.Name != "" },
		"patient":      func(c order.Content) bool { return c.Patient.ID == "5004" && c.Patient.Name != "" }, // from the consultation
		"referral":     func(c order.Content) bool { return c.Remarks == "" && c.Patient.Name != "" && c.Owner.ID != "" },
		"consultation": func(c order.Content) bool { return c.Complaint == "" && c.ConsultationID != "" && c.Remarks == "r" },
		"modality":     func(c order.Content) bool { return c.Modalities[0] == order.Ref{ID: "12"} },
		"targetarea":   func(c order.Content) bool { return c.TargetAreas[0].ID != "" && c.TargetAreas[0].Name == "" },
		"user":         func(c order.Content) bool { return c.RequestingUser.ID != "" && c.RequestingUser.LastName == "" },
		"appointment":  func(c order.Content) bool { return c.AppointmentID != "" && c.ScheduledAt.IsZero() },
	} {
		t.Run(res, func(t *testing.T) {
			c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
			id := c.sim.CreateOrder(provetsim.NewOrder{
				PatientID: 5004, ModalityID: 12, TargetAreas: []string{"Skull"}, Remarks: "r", AppointmentAt: time.Now(),
			})
			c.sim.Forbid(res)
			up, err := c.Client.Order(t.Context(), strconv.Itoa(id))
			if err != nil {
				t.Fatal(err)
			}
			if !check(up.Content) {
				t.Errorf("%+v", up.Content)
			}
			if !slices.ContainsFunc(up.Content.Missing, func(s string) bool { return strings.Contains(s, ": 403 (permission ") }) {
				t.Errorf("missing: %v", up.Content.Missing)
			}
			perm := c.Permissions()
			if len(perm) != 1 || perm[0].Resource != res || perm[0].Permission == "" || perm[0].Write {
				t.Errorf("permissions: %+v", perm)
			}
		})
	}
}

func TestPermissionComesBack(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	id := strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{}))
	c.sim.Forbid("client")
	if _, err := c.Client.Order(t.Context(), id); err != nil || len(c.Permissions()) != 1 {
		t.Fatal(err, c.Permissions())
	}
	c.sim.Allow("client")
	up, err := c.Client.Order(t.Context(), id)
	if err != nil || len(c.Permissions()) != 0 || len(up.Content.Missing) != 0 {
		t.Fatal(err, c.Permissions(), up.Content.Missing)
	}
	c.sim.Forbid("worklist")
	_, err = c.Client.Order(t.Context(), id)
	e := provetError(t, err)
	if e.Class != provet.Permission || e.Problem().Code != problem.ProvetPermission || !strings.Contains(e.Problem().Help(), "Diagnostic imaging referrals") {
		t.Error(e.Problem())
	}
}

// A sub-resource that is gone is left out; one that fails fails the read.
func TestSubResources(t *testing.T) {
	bodies := map[string]string{
		"diagnosticimaging_worklist/7/": `{"id":7,"status":1,"patient":"/4321/api/0.1/patient/50/","client":51,"modality":"12","referral":9}`,
		"diagnosticimaging_referral/9/": `{"remarks":"r"}`,
		"patient/50/":                   `{"name":"Bella"}`,
		"modality/12/":                  `{"name":"X-ray"}`,
	}
	c, _ := scripted(t, answers(bodies), nil)
	up, err := c.Order(t.Context(), "7")
	if err != nil || up.Content.Patient.Name != "Bella" || !slices.Contains(up.Content.Missing, "client: 404") {
		t.Fatalf("%+v, %v", up.Content, err)
	}
	failing := func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/client/") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		answers(bodies)(w, r)
	}
	c, _ = scripted(t, failing, nil)
	_, err = c.Order(t.Context(), "7")
	if e := provetError(t, err); e.Resource != "client" || e.Class != provet.Transient {
		t.Error(e)
	}
}

// A 404 page of a wrong address withdraws nothing; one while the API otherwise
// answers does.
func TestGoneOrWrongAddress(t *testing.T) {
	page := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<h1>Not Found</h1>"))
	}
	c, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request) { page(w) }, nil)
	if _, err := c.Order(t.Context(), "7"); errors.Is(err, provet.ErrGone) {
		t.Error("a wrong address counts as gone")
	}
	c, _ = scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/7/") {
			page(w)
			return
		}
		_, _ = w.Write([]byte(`{"count":0,"next":null,"results":[]}`))
	}, nil)
	if _, err := c.Order(t.Context(), "7"); !errors.Is(err, provet.ErrGone) {
		t.Error(err)
	}
}

// A referral found by the order's id is used only if it belongs to the order.
func TestGuessedReferral(t *testing.T) {
	for name, tc := range map[string]struct {
		worklist, referral, consultation string
		remarks                          string
	}{
		"same patient":     {`{"patient":50}`, `{"remarks":"mine","consultation":3}`, `{"patients":[{"id":50}]}`, "mine"},
		"other patient":    {`{"patient":50}`, `{"remarks":"other","consultation":3}`, `{"patients":[51]}`, ""},
		"names the order":  {`{"patient":50}`, `{"remarks":"mine","worklist":7}`, ``, "mine"},
		"names another":    {`{"patient":50}`, `{"remarks":"other","worklist":8}`, ``, ""},
		"cannot be told":   {`{}`, `{"remarks":"other","consultation":3}`, `{"patients":[50]}`, ""},
		"link set to none": {`{"patient":50,"referral":null}`, `{"remarks":"other"}`, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := map[string]string{"diagnosticimaging_worklist/7/": tc.worklist, "diagnosticimaging_referral/7/": tc.referral, "patient/50/": `{}`}
			if tc.consultation != "" {
				b["consultation/3/"] = tc.consultation
			}
			c, _ := scripted(t, answers(b), nil)
			up, err := c.Order(t.Context(), "7")
			if err != nil || up.Content.Remarks != tc.remarks {
				t.Errorf("remarks %q, %v", up.Content.Remarks, err)
			}
		})
	}
}

// The animal is the order's; the consultation's only when there is exactly one.
func TestWhichPatient(t *testing.T) {
	for name, tc := range map[string]struct{ worklist, patients, want string }{
		"the order's":  {`"patient":50,`, `[51,52]`, "50"},
		"the only one": {``, `[51]`, "51"},
		"several":      {``, `[51,52]`, ""},
		"none":         {``, `[]`, ""},
		"two in order": {`"patient":[50,51],`, `[]`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := scripted(t, answers(map[string]string{
				"diagnosticimaging_worklist/7/": `{` + tc.worklist + `"referral":9}`,
				"diagnosticimaging_referral/9/": `{"consultation":3}`,
				"consultation/3/":               `{"patients":` + tc.patients + `}`,
				"patient/50/":                   `{}`, "patient/51/": `{}`,
			}), nil)
			up, err := c.Order(t.Context(), "7")
			if err != nil || up.Content.Patient.ID != tc.want {
				t.Errorf("%q, %v", up.Content.Patient.ID, err)
			}
		})
	}
}

func TestContentMapping(t *testing.T) {
	c, _ := scripted(t, answers(map[string]string{
		"diagnosticimaging_worklist/7/": `{"status":{"value":3,"label":"Klar"},"patient":"Bella","client":{"url":"/4321/api/0.1/client/51/"},
			"modality":["https://x/api/0.1/modality/12/",13],"priority":"Emergency","created":"2026-11-20T10:00:00","referral":{"url":"/4321/api/0.1/diagnosticimaging_referral/9/"},
			"modified":"2026-11-20 10:00:01+02:00","department":2}`,
		"diagnosticimaging_referral/9/": `{"remarks":"  Cafe\u0301\r\nline two\u0000 ","consultation":"3"}`,
		"consultation/3/":               `{"patients":[{"url":"https://x/4321/api/0.1/patient/50/","name":"embedded"}],"complaint":null,"ward":{"name":"Cats"}}`,
		"patient/50/": `{"name":" Bella \n II ","species":{"code":15461002,"name":"Hund"},"breed":"Pudel","breed_code":14884002,"gender":"Castrated male",
			"weight":"12,5","date_of_birth":"2020-02-29T00:00:00Z","microchip":985000000000001,"critical_notes":"Bites","deceased":"2026-01-01","archived":0,"merge_patient":"/4321/api/0.1/patient/99/"}`,
		"client/51/":    `{"firstname":"","lastname":"","organization_name":"Cat Café Oy","phone_numbers":[{"number":""},{"number":"+358 1"}]}`,
		"modality/12/":  `{"name":"X-ray"}`,
		"modality/13/":  `{"name":"CT"}`,
		"department/2/": `{"name":"Main"}`,
	}), func(c *provet.Config) {
		c.WeightUnit, c.Zone = "lb", time.FixedZone("", 7200)
		c.Departments, c.Status = []string{"1"}, map[order.State]string{order.Completed: "3"}
	})
	up, err := c.Order(t.Context(), "7")
	if err != nil {
		t.Fatal(err)
	}
	got := up.Content
	for what, ok := range map[string]bool{
		"status":     up.Status == "3" && up.StatusLabel == "Klar" && up.Finished,
		"scope":      !up.InScope,
		"modified":   up.Modified.Equal(time.Date(2026, 11, 20, 8, 0, 1, 0, time.UTC)),
		"created":    got.RequestedAt.Equal(time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)),
		"patient":    got.Patient.ID == "50" && got.Patient.Name == "Bella II",
		"species":    got.Patient.Species == "Hund" && got.Patient.SpeciesCode == "15461002",
		"breed":      got.Patient.Breed == "Pudel" && got.Patient.BreedCode == "14884002",
		"sex":        got.Patient.Sex == order.Male && got.Patient.Neutered == order.Altered,
		"weight":     got.Patient.WeightKG == 5.67,
		"birth":      got.Patient.BirthDate == "2020-02-29",
		"chip":       got.Patient.Microchip == "985000000000001",
		"flags":      got.Patient.Deceased && !got.Patient.Archived && got.UpstreamPatient == "99",
		"alerts":     got.Patient.Alerts == "Bites",
		"owner":      got.Owner == order.Owner{ID: "51", Organization: "Cat Café Oy", Phone: "+358 1"},
		"modalities": slices.Equal(got.Modalities, []order.Ref{{ID: "12", Name: "X-ray"}, {ID: "13", Name: "CT"}}),
		"remarks":    got.Remarks == "Caf\u00e9\nline two",
		"ward":       got.Ward == "Cats",
		"priority":   got.Priority == "STAT",
		"department": got.Department == order.Ref{ID: "2", Name: "Main"},
		"missing":    len(got.Missing) == 0,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, up)
		}
	}
}

func TestNamesAreCached(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	id := strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{ModalityID: 12}))
	for range 5 {
		if _, err := c.Client.Order(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for route, n := range c.sim.Requests() {
		if strings.Contains(route, "modality") && n != 1 {
			t.Errorf("%s: %d", route, n)
		}
	}
}

func TestStatusWriteDoubts(t *testing.T) {
	open := func(t *testing.T) (*tenant, string) {
		c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
		return c, strconv.Itoa(c.sim.CreateOrder(provetsim.NewOrder{}))
	}
	t.Run("done but the answer is lost", func(t *testing.T) {
		c, id := open(t)
		c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultResetAfter, Method: http.MethodPatch, Count: 1})
		res, err := c.SetStatus(t.Context(), id, order.Completed)
		if err != nil || !res.Changed || len(c.sim.Patches()) != 1 {
			t.Error(res, err)
		}
	})
	t.Run("not done", func(t *testing.T) {
		c, id := open(t)
		c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultStatus, Status: 503, Method: http.MethodPatch, Count: 1})
		_, err := c.SetStatus(t.Context(), id, order.Completed)
		if e := provetError(t, err); e.Class != provet.Transient || len(c.sim.Patches()) != 0 {
			t.Error(e)
		}
	})
	t.Run("refused", func(t *testing.T) {
		c, id := open(t)
		c.sim.Inject(provetsim.Fault{Kind: provetsim.FaultRefuse, Method: http.MethodPatch, Count: 1})
		_, err := c.SetStatus(t.Context(), id, order.Completed)
		if e := provetError(t, err); e.Class != provet.Permanent || e.Problem().Code != problem.ReportRefused {
			t.Error(e)
		}
	})
	t.Run("accepted and not shown", func(t *testing.T) {
		c, _ := scripted(t, answers(map[string]string{"diagnosticimaging_worklist/7/": `{"status":"a"}`}),
			func(c *provet.Config) { c.Status = map[order.State]string{order.Completed: "b"} })
		_, err := c.SetStatus(t.Context(), "7", order.Completed)
		if e := provetError(t, err); e.Class != provet.Permanent {
			t.Error(e)
		}
	})
	t.Run("no such field", func(t *testing.T) {
		c, _ := scripted(t, answers(map[string]string{"diagnosticimaging_worklist/7/": `{"phase":"a"}`}),
			func(c *provet.Config) { c.Status = map[order.State]string{order.Completed: "b"} })
		_, err := c.SetStatus(t.Context(), "7", order.Completed)
		if e := provetError(t, err); e.Problem().Code != problem.ProvetField {
			t.Error(e)
		}
	})
}

// The type of the value is that of what was read.
func TestStatusKeepsItsType(t *testing.T) {
	for read, want := range map[string]string{
		`1`: `{"status":3}`, `"1"`: `{"status":"3"}`, `null`: `{"status":3}`, `{"id":1,"name":"New"}`: `{"status":3}`, `{"value":"1"}`: `{"status":"3"}`,
	} {
		var body string
		c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch {
				b := make([]byte, 100)
				n, _ := r.Body.Read(b)
				body = string(b[:n])
				_, _ = w.Write([]byte(`{}`))
				return
			}
			fmt.Fprintf(w, `{"status":%s}`, read)
		}, func(c *provet.Config) { c.Status = map[order.State]string{order.Completed: "3"} })
		if _, err := c.SetStatus(t.Context(), "7", order.Completed); err != nil || body != want {
			t.Errorf("read %s: sent %s, %v", read, body, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for _, tc := range []struct {
		url  string
		code problem.Code
	}{
		{"", problem.ProvetUnconfigured},
		{"http://provet.example/1", problem.ProvetBaseURL},
		{"ftp://provet.example/1", problem.ProvetBaseURL},
		{"https://user:pw@provet.example/1", problem.ProvetBaseURL},
		{"https://provet.example/1?x=1", problem.ProvetBaseURL},
		{"https://provet.example/../1", problem.ProvetBaseURL},
		{"provet.example/1", problem.ProvetBaseURL},
		{"https://provet.example/1/api/0.1/", ""},
		{"https://provet.example/1", ""},
		{"http://127.0.0.1:8080/1", ""},
		{"http://[::1]:8080/1", ""},
	} {
		_, err := provet.New(provet.Config{BaseURL: tc.url, ClientID: "x", Secret: secret("s")})
		p := problem.Of(err)
		if (tc.code == "") != (err == nil) || (p != nil && p.Code != tc.code) {
			t.Errorf("%q: %v", tc.url, err)
		}
	}
}

func TestIsTenant(t *testing.T) {
	c, err := provet.New(provet.Config{BaseURL: "https://us.provetcloud.com/4321/", ClientID: "x", Secret: secret("s")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		id, url string
		want    bool
	}{
		{"4321", "https://us.provetcloud.com/4321/", true},
		{"4321", "", true},
		{"", "us.provetcloud.com", true},
		{"4321", "https://US.provetcloud.com", true},
		{"4322", "https://us.provetcloud.com/4322/", false},
		{"4321", "https://evil.example/4321/", false},
		{"4321", "https://us.provetcloud.com/43210/", false},
	} {
		if got := c.IsTenant(tc.id, tc.url); got != tc.want {
			t.Errorf("%s %s: %v", tc.id, tc.url, got)
		}
	}
}

func TestProxyAndRoots(t *testing.T) {
	var through int
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through++
		if r.Method != http.MethodConnect || r.Header.Get("Authorization") != "" {
			t.Errorf("%s with Authorization %q", r.Method, r.Header.Get("Authorization"))
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	c, err := provet.New(provet.Config{BaseURL: "https://provet.invalid/1", ClientID: "x", Secret: secret("s"), ProxyURL: proxy.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Order(t.Context(), "1")
	if e := provetError(t, err); e.Class != provet.Destination || through == 0 || e.Detail != "the proxy refused (HTTP 403)" {
		t.Error(e, through)
	}
	for _, bad := range []provet.Config{{CAFile: "does-not-exist.pem"}, {CAFile: "doc.go"}, {ProxyURL: "gopher://x"}} {
		bad.BaseURL, bad.ClientID, bad.Secret = "https://provet.invalid/1", "x", secret("s")
		if _, err := provet.New(bad); problem.Of(err) == nil {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Client.Order(ctx, "1"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Departments limit what is in scope; an order that names none stays in.
func TestDepartments(t *testing.T) {
	c, _ := scripted(t, answers(map[string]string{
		"diagnosticimaging_worklist/":   `{"count":3,"next":null,"results":[{"id":1,"department":1},{"id":2,"department":"/department/2/"},{"id":3}]}`,
		"diagnosticimaging_worklist/3/": `{"id":3,"referral":null}`,
	}), func(c *provet.Config) { c.Departments = []string{"2"} })
	got := map[string]bool{}
	if err := c.Changed(t.Context(), time.Time{}, func(r provet.Row) error { got[r.ID] = r.InScope; return nil }); err != nil {
		t.Fatal(err)
	}
	if got["1"] || !got["2"] || !got["3"] {
		t.Error(got)
	}
	up, err := c.Order(t.Context(), "3")
	if err != nil || !up.InScope || len(up.Unmapped) != 3 {
		t.Errorf("%+v, %v", up, err)
	}
}

// The error of the callback ends the list and comes back as it is, whatever it is.
func TestChangedCallbackError(t *testing.T) {
	calls := 0
	c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		answers(map[string]string{"diagnosticimaging_worklist/": `{"count":1,"next":null,"results":[{"id":1}]}`})(w, r)
	}, nil)
	stop := &provet.Error{Class: provet.Permanent, HTTPStatus: http.StatusBadRequest}
	err := c.Changed(t.Context(), time.Time{}, func(provet.Row) error { return stop })
	if !errors.Is(err, stop) || calls > 1 {
		t.Error(err, calls)
	}
}
