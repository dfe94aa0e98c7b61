package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d", w.Code)
	}
	return w.Body.String()
}

func use(m *Metrics) {
	m.Hint("poll")
	m.Hint("Bella Miller") // a name must not become a label
	m.Hint("8812345")      // nor an id
	m.Reconciled("new", time.Millisecond)
	m.Visible(time.Millisecond)
	m.SetOrders(map[string]int{"scheduled": 3})
	m.SetWorklist(4)
	m.SetOutbox("provet", 1, 2, 3, time.Minute)
	m.Attempted("provet", "delivered")
	m.Delivered("ris:clinic-ris", time.Second)
	m.Association("released")
	m.SetAssociations(2)
	m.Find("success", 20, time.Millisecond)
	m.MPPS("create", "success")
	m.APICall("worklist", "ok", time.Millisecond)
	m.Commit(time.Millisecond)
	m.SetProblems(map[string]int{"RH-101": 1})
	m.SetProblems(map[string]int{"RH-102": 1})
	m.Polled(time.Unix(1_700_000_000, 0))
	m.Restarted("dicom")
	m.SetUnmatched(1)
	m.BackedUp(time.Unix(1_700_000_000, 0))
}

func TestMetrics(t *testing.T) {
	m := New("1.2.3")
	use(m)
	got := scrape(t, m)
	for _, want := range []string{
		`rayhound_hints_total{reason="poll"} 1`, `rayhound_hints_total{reason="other"} 2`, `rayhound_orders{state="scheduled"} 3`,
		`rayhound_worklist_steps 4`, `rayhound_outbox_messages{destination="provet",state="parked"} 3`,
		`rayhound_outbox_oldest_seconds{destination="provet"} 60`, `rayhound_delivery_seconds_count{destination="ris:clinic-ris"} 1`,
		`rayhound_dicom_find_answers_total 20`, `rayhound_dicom_mpps_total{operation="create",outcome="success"} 1`,
		`rayhound_problems{code="RH-102"} 1`, `rayhound_build_info{version="1.2.3"} 1`, `rayhound_dicom_associations_total{outcome="released"} 1`,
		`rayhound_provet_calls_total{class="ok",resource="worklist"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	for _, leak := range []string{"Bella", "8812345", "RH-101"} {
		if strings.Contains(got, leak) {
			t.Errorf("%s is in the metrics", leak)
		}
	}
}

func TestNilCountsNothing(*testing.T) { use(nil) }
