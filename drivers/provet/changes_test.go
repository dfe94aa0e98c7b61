package provet_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// Every way a tenant may treat filters leads to the changed rows.
func TestChangedWhateverTheFilters(t *testing.T) {
	for name, sc := range map[string]provetsim.Config{
		"as documented":          {},
		"filter ignored":         {Unfilterable: []string{"worklist.modified"}},
		"filter refused":         {Unfilterable: []string{"worklist.modified"}, StrictFilters: true},
		"order ignored":          {Unorderable: []string{"worklist.modified"}},
		"filter, order ignored":  {Unfilterable: []string{"worklist.modified"}, Unorderable: []string{"worklist.modified"}},
		"no modified":            {Names: map[string]map[string]string{"worklist": {"modified": "-"}}},
		"no modified, no filter": {Names: map[string]map[string]string{"worklist": {"modified": "-"}}, Unfilterable: []string{"worklist.id"}},
		"no modified, strict": {
			Names: map[string]map[string]string{"worklist": {"modified": "-"}}, Unfilterable: []string{"worklist.id"}, StrictFilters: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			sc.NoLimits = true
			var clock time.Time
			c := openTenant(t, sc, func(c *provet.Config) {
				clock = time.Now()
				c.Now = func() time.Time { return clock }
			})
			old := time.Now().Add(-48 * time.Hour)
			var all []int
			for i := range 130 {
				all = append(all, c.sim.CreateOrder(provetsim.NewOrder{Created: old.Add(time.Duration(i) * time.Second)}))
			}
			collect(t, c, time.Now().Add(-time.Hour)) // the client learns what works
			c.sim.SetStatus(all[3], "in_progress")
			fresh := c.sim.CreateOrder(provetsim.NewOrder{})
			got := collect(t, c, time.Now().Add(-time.Hour))
			if !slices.Contains(got, strconv.Itoa(fresh)) {
				t.Errorf("the new order is missing from %d rows", len(got))
			}
			changed := slices.Contains(got, strconv.Itoa(all[3]))
			if !changed && name != "no modified" {
				t.Errorf("the changed order is missing from %d rows", len(got))
			}
			if strings.HasPrefix(name, "no modified") {
				clock = clock.Add(31 * time.Minute) // then the whole list is read
				if got = collect(t, c, time.Now().Add(-time.Hour)); len(got) != 131 {
					t.Errorf("whole list: %d rows", len(got))
				}
				return
			}
			if len(got) != 2 {
				t.Errorf("%d rows, want 2", len(got))
			}
		})
	}
}

// movingList is a worklist whose rows move between the pages.
type movingList struct {
	mu    sync.Mutex
	rows  []int // newest first
	at    map[int]time.Time
	after map[int]func(*movingList) // after the n-th page was served
	pages int
}

func (m *movingList) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, _ := strconv.Atoi(r.URL.Query().Get("page"))
	n = max(n, 1)
	lo, hi := min((n-1)*50, len(m.rows)), min(n*50, len(m.rows))
	var rows []string
	for _, id := range m.rows[lo:hi] {
		rows = append(rows, fmt.Sprintf(`{"id":%d,"status":1,"modified":%q}`, id, m.at[id].Format(time.RFC3339Nano)))
	}
	next := "null"
	if hi < len(m.rows) {
		next = `"https://elsewhere.example/?page=2"`
	}
	fmt.Fprintf(w, `{"count":%d,"next":%s,"results":[%s]}`, len(m.rows), next, strings.Join(rows, ","))
	m.pages++
	if f := m.after[m.pages]; f != nil {
		f(m)
	}
}

func (m *movingList) touch(id int, at time.Time) {
	m.rows = slices.DeleteFunc(m.rows, func(x int) bool { return x == id })
	m.rows = append([]int{id}, m.rows...)
	m.at[id] = at
}

func (m *movingList) remove(id int) {
	m.rows = slices.DeleteFunc(m.rows, func(x int) bool { return x == id })
	delete(m.at, id)
}

// Rows that move while the pages are read are not missed.
func TestChangedWhileRowsMove(t *testing.T) {
	start := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	for name, after := range map[string]map[int]func(*movingList){
		"still":                    {},
		"one changes behind us":    {1: func(m *movingList) { m.touch(80, start.Add(time.Hour)) }},
		"one before us is deleted": {1: func(m *movingList) { m.remove(175) }},
		"many before us are deleted": {2: func(m *movingList) {
			for id := 150; id < 175; id++ {
				m.remove(id)
			}
		}},
		"both": {1: func(m *movingList) { m.remove(170); m.touch(60, start.Add(time.Hour)) }, 2: func(m *movingList) { m.remove(171) }},
		"new ones arrive": {1: func(m *movingList) {
			for id := 300; id < 360; id++ {
				m.touch(id, start.Add(time.Hour+time.Duration(id)*time.Second))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &movingList{at: map[int]time.Time{}, after: after}
			for id := 1; id <= 180; id++ {
				m.touch(id, start.Add(time.Duration(id)*time.Second))
			}
			c, _ := scripted(t, m.ServeHTTP, nil)
			got := map[string]time.Time{}
			err := c.Changed(t.Context(), start, func(r provet.Row) error {
				got[r.ID] = r.Modified
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range m.rows {
				if !got[strconv.Itoa(id)].Equal(m.at[id]) {
					t.Errorf("order %d: seen as of %v, is %v", id, got[strconv.Itoa(id)], m.at[id])
				}
			}
		})
	}
}

// A list too long for pages is read by id.
func TestChangedDeepList(t *testing.T) {
	c := openTenant(t, provetsim.Config{NoLimits: true, DeepPagingLimit: 100}, nil)
	for range 180 {
		c.sim.CreateOrder(provetsim.NewOrder{})
	}
	if got := collect(t, c, time.Time{}); len(got) < 180 {
		t.Errorf("%d rows", len(got))
	}
	fresh := c.sim.CreateOrder(provetsim.NewOrder{})
	if got := collect(t, c, time.Time{}); !slices.Contains(got, strconv.Itoa(fresh)) || len(got) < 181 {
		t.Errorf("%d rows", len(got))
	}
}

// A renamed modified field is filtered by its own name.
func TestPollQueryRenamed(t *testing.T) {
	var raw []string
	c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		raw = append(raw, r.URL.Query().Get("ordering"))
		_, _ = w.Write([]byte(`{"count":1,"next":null,"results":[{"id":1,"touched":"2026-11-20T08:00:00Z"}]}`))
	}, func(c *provet.Config) {
		c.Fields = provet.Fields{"worklist": {"modified": {"changed", "touched"}}}
	})
	for range 2 {
		if err := c.Changed(t.Context(), time.Time{}, func(provet.Row) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(raw, []string{"-changed,-id", "-touched,-id"}) {
		t.Error(raw)
	}
}

// A server that never ends a list does not keep us for ever.
func TestEndlessList(t *testing.T) {
	n := 0
	c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		fmt.Fprintf(w, `{"next":"x","results":[{"id":%d,"modified":"2026-11-20T08:00:00Z"}]}`, n%30)
	}, nil)
	if err := c.Changed(t.Context(), time.Time{}, func(provet.Row) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if n > 500 {
		t.Errorf("%d pages", n)
	}
}

func TestPollQuery(t *testing.T) {
	var raw string
	c, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		raw = r.URL.RawQuery
		_, _ = w.Write([]byte(`{"count":0,"next":null,"results":[]}`))
	}, nil)
	since := time.Date(2026, 11, 20, 10, 5, 59, 0, time.FixedZone("", 7200))
	if err := c.Changed(t.Context(), since, nil); err != nil {
		t.Fatal(err)
	}
	if raw != "modified__gte=2026-11-20+08%3A05%2B00%3A00&ordering=-modified%2C-id&page_size=50" {
		t.Error(raw)
	}
}
