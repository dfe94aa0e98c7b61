package localdb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

var t0 = localdbtest.Start

// inTx runs a test inside one transaction on a database with one order.
func inTx(t *testing.T, fn func(ctx context.Context, tx *localdb.Tx, o *order.Order) error) {
	t.Helper()
	db := localdbtest.Open(t)
	o := localdbtest.Order(1)
	insert(t, db, o)
	localdbtest.Write(t, db, func(ctx context.Context, tx *localdb.Tx) error { return fn(ctx, tx, o) })
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: %s", what, d)
	}
}

func TestUpdateOrder(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
		o.State, o.Revision, o.ChangedAt = order.InProgress, 2, t0.Add(time.Hour)
		o.Content.Patient.Name = "Bella II"
		o.ContentHash = o.Content.Hash()
		o.Steps = []order.Step{
			{ScheduledProcedureStepID: "10001-2", Modality: order.Ref{ID: "4", Name: "CT"}, State: order.InProgress, StartedAt: t0},
			o.Steps[0],
		}
		if err := tx.UpdateOrder(ctx, o); err != nil {
			return err
		}
		got, err := tx.OrderByID(ctx, o.ID)
		if err != nil {
			return err
		}
		same(t, "order", o, got)
		count, err := tx.CountOrders(ctx)
		if err != nil {
			return err
		}
		if count[order.Scheduled] != 0 || count[order.InProgress] != 1 {
			t.Errorf("counted %v", count)
		}
		if found, err := tx.FindOrders(ctx, localdb.OrderFilter{Search: "ii bella"}); len(found) != 1 || err != nil {
			t.Errorf("the new name finds %d, %v", len(found), err)
		}
		stranger := localdbtest.Order(5)
		stranger.ID = 99
		if err := tx.UpdateOrder(ctx, stranger); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("an unknown order: %v", err)
		}
		o.State = order.Cancelled
		if err := tx.UpdateOrder(ctx, o); err != nil {
			return err
		}
		got, err = tx.OrderByID(ctx, o.ID)
		if !got.ClosedAt.Equal(o.ChangedAt) {
			t.Errorf("closed at %v", got.ClosedAt)
		}
		return err
	})
}

func TestFindOrders(t *testing.T) {
	db := localdbtest.Open(t)
	localdbtest.Fill(t, db, 100, 50)
	var open []*order.Order
	for i := range 20 {
		o := localdbtest.Order(i)
		if i%2 == 0 {
			o.State = order.Held
		}
		open = append(open, o)
	}
	insert(t, db, open...)
	for _, c := range []struct {
		name   string
		filter localdb.OrderFilter
		want   int
	}{
		{"everything", localdb.OrderFilter{}, 70},
		{"open", localdb.OrderFilter{States: []order.State{order.Held, order.Scheduled, order.Scheduled}}, 20},
		{"held", localdb.OrderFilter{States: []order.State{order.Held}}, 10},
		{"since", localdb.OrderFilter{Since: t0.Add(140 * time.Minute)}, 10},
		{"until", localdb.OrderFilter{Until: t0.Add(5 * time.Minute)}, 5},
		{"limit", localdb.OrderFilter{Limit: 7}, 7},
		{"accession", localdb.OrderFilter{Search: "10103"}, 1},
		{"folded name", localdb.OrderFilter{Search: "sarka"}, 10},
		{"as written", localdb.OrderFilter{Search: "ŠÁRKA"}, 10},
		{"two words", localdb.OrderFilter{Search: "sarka owner21"}, 1},
		{"search among the held", localdb.OrderFilter{Search: "bella", States: []order.State{order.Held}}, 2},
		{"no wildcard", localdb.OrderFilter{Search: "%"}, 0},
		{"nothing", localdb.OrderFilter{Search: "nobody"}, 0},
		{"patient id", localdb.OrderFilter{Search: "534"}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
				got, err := s.FindOrders(ctx, c.filter)
				if len(got) != c.want {
					t.Errorf("found %d, want %d", len(got), c.want)
				}
				if !slices.IsSortedFunc(got, func(a, b *order.Order) int { return b.CreatedAt.Compare(a.CreatedAt) }) {
					t.Error("not the newest first")
				}
				for _, o := range got {
					if len(o.Steps) != 1 {
						t.Errorf("order %s has %d steps", o.AccessionNumber, len(o.Steps))
					}
				}
				return err
			})
		})
	}
	t.Run("pages", func(t *testing.T) {
		localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
			seen := map[int64]bool{}
			for f := (localdb.OrderFilter{Limit: 9}); ; {
				page, err := s.FindOrders(ctx, f)
				if err != nil {
					return err
				}
				for _, o := range page {
					if seen[o.ID] {
						t.Errorf("order %d twice", o.ID)
					}
					seen[o.ID] = true
				}
				if len(page) < 9 {
					break
				}
				f.Before = page[len(page)-1].ID
			}
			if len(seen) != 70 {
				t.Errorf("saw %d", len(seen))
			}
			return nil
		})
	})
	localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
		list, err := s.OpenOrders(ctx)
		if err != nil || len(list) != 20 {
			t.Errorf("%d open, %v", len(list), err)
		}
		ids, err := s.OrderIDsByState(ctx, order.Held)
		if err != nil || len(ids) != 10 {
			t.Errorf("%d held, %v", len(ids), err)
		}
		of, err := s.OrdersForPatient(ctx, "534", t0.Add(103*time.Minute))
		if err != nil || len(of) != 2 {
			t.Errorf("%d of the patient, %v", len(of), err)
		}
		return nil
	})
}

func TestTimelineEvidenceAndSeen(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
		e := order.Entry{OrderID: o.ID, At: t0, Kind: "sent", Source: "outbox", Code: "RH-203", Text: "Provet Cloud refused it."}
		ev := order.Evidence{
			OrderID: o.ID, ScheduledProcedureStepID: "10001-1", At: t0, Source: order.MPPS, Event: order.StepCompleted, Station: "X-ray room 1",
			Ref: "1.2.3", Series: 2, Instances: 12, Decided: true,
		}
		if err := errors.Join(tx.AddEntry(ctx, e), tx.AddEvidence(ctx, &ev), tx.MarkSeen(ctx, o.ID, "DR1", t0),
			tx.MarkSeen(ctx, o.ID, "DR1", t0.Add(time.Minute)), tx.MarkSeen(ctx, 999, "DR1", t0)); err != nil {
			return err
		}
		lines, err := tx.Timeline(ctx, o.ID)
		if err != nil {
			return err
		}
		e.ID = 1
		same(t, "timeline", []order.Entry{e}, lines)
		ledger, err := tx.EvidenceOf(ctx, o.ID)
		same(t, "evidence", []order.Evidence{ev}, ledger)
		if err != nil {
			return err
		}
		seen, err := tx.SeenBy(ctx, o.ID)
		same(t, "seen", []localdb.Seen{{OrderID: o.ID, Machine: "DR1", FirstAt: t0, LastAt: t0.Add(time.Minute), Count: 2}}, seen)
		return err
	})
}

func TestPerformedSteps(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
		p := &localdb.PerformedStep{
			SOPInstanceUID: "1.2.3", Machine: "DR1", CallingAETitle: "DR1", Address: "192.168.1.40", Status: "IN PROGRESS",
			OrderRefs: []localdb.StepRef{{OrderID: o.ID, ScheduledProcedureStepID: "10001-1"}, {ScheduledProcedureStepID: "unknown"}},
			PatientID: "500", PatientName: "Owner^Bella", Modality: "DX", PPSID: "P1", StudyUIDs: []string{"2.25.1"},
			StartedAt: t0, CreatedAt: t0, ChangedAt: t0,
		}
		if err := tx.InsertPerformedStep(ctx, p); err != nil {
			return err
		}
		if err := tx.InsertPerformedStep(ctx, p); !errors.Is(err, localdb.ErrExists) {
			t.Errorf("a second time: %v", err)
		}
		p.Status, p.Final, p.EndedAt, p.Series, p.Instances = "COMPLETED", true, t0.Add(time.Minute), 1, 4
		p.OrderRefs = p.OrderRefs[:1]
		if err := tx.UpdatePerformedStep(ctx, p); err != nil {
			return err
		}
		got, err := tx.PerformedStep(ctx, "1.2.3")
		same(t, "performed step", p, got)
		if err != nil {
			return err
		}
		of, err := tx.PerformedStepsOf(ctx, o.ID)
		same(t, "of the order", []*localdb.PerformedStep{p}, of)
		if err := tx.UpdatePerformedStep(ctx, &localdb.PerformedStep{SOPInstanceUID: "9"}); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		if _, err := tx.PerformedStep(ctx, "9"); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		return err
	})
}

func TestArrivals(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
		a := &localdb.Arrival{
			Kind: "mpps", Ref: "1.2.3", Machine: "DR1", At: t0, PatientID: "7", PatientName: "Owner^Bella", Modality: "DX",
			StudyInstanceUID: "2.25.9", Started: t0, Status: "COMPLETED", Reason: "no such step", Series: 1, Instances: 2,
		}
		b := &localdb.Arrival{Kind: "study", Ref: "2.25.8", At: t0.Add(time.Minute)}
		if err := errors.Join(tx.InsertArrival(ctx, a), tx.InsertArrival(ctx, b)); err != nil {
			return err
		}
		if n, oldest, err := tx.OpenArrivals(ctx); n != 2 || !oldest.Equal(t0) || err != nil {
			t.Errorf("%d open since %v, %v", n, oldest, err)
		}
		for name, f := range map[string]func() (*localdb.Arrival, error){
			"id":    func() (*localdb.Arrival, error) { return tx.Arrival(ctx, a.ID) },
			"ref":   func() (*localdb.Arrival, error) { return tx.ArrivalByRef(ctx, "mpps", "1.2.3") },
			"study": func() (*localdb.Arrival, error) { return tx.ArrivalByStudyUID(ctx, "2.25.9") },
		} {
			got, err := f()
			if err != nil {
				return err
			}
			same(t, name, a, got)
		}
		a.State, a.LinkedOrderID, a.LinkedAt, a.LinkedBy = localdb.ArrivalLinked, o.ID, t0.Add(time.Hour), "somebody"
		if err := tx.UpdateArrival(ctx, a); err != nil {
			return err
		}
		open, err := tx.ListArrivals(ctx, true, 10)
		if err != nil {
			return err
		}
		same(t, "open", []localdb.Arrival{*b}, open)
		everything, err := tx.ListArrivals(ctx, false, 10)
		same(t, "all", []localdb.Arrival{*b, *a}, everything)
		if err != nil {
			return err
		}
		linked, err := tx.ArrivalsOf(ctx, o.ID)
		same(t, "linked", []localdb.Arrival{*a}, linked)
		return err
	})
}

func TestProblemsStateAuditTombstonesRaw(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
		args := problem.Args{"name": "DR1"}
		if err := errors.Join(
			tx.ProblemRaised(ctx, problem.MachineQuiet, "DR1", nil, t0), tx.ProblemRaised(ctx, problem.MachineQuiet, "DR1", args, t0.Add(time.Hour)),
			tx.ProblemRaised(ctx, problem.DiskLow, "", nil, t0), tx.ProblemCleared(ctx, problem.DiskLow, "", t0.Add(time.Minute)),
		); err != nil {
			return err
		}
		active, err := tx.ActiveProblems(ctx)
		if err != nil {
			return err
		}
		same(t, "active", []localdb.ProblemChange{{Code: problem.MachineQuiet, Subject: "DR1", Args: args, RaisedAt: t0}}, active)
		if log, err := tx.ProblemLog(ctx, 10); len(log) != 2 || err != nil {
			t.Errorf("%v %v", log, err)
		}

		if err := errors.Join(tx.SetState(ctx, "cursor.a", "1"), tx.SetState(ctx, "cursor.a", "2"), tx.SetState(ctx, "cursorless", "3")); err != nil {
			return err
		}
		states, err := tx.States(ctx, "cursor.")
		same(t, "states", map[string]string{"cursor.a": "2"}, states)
		if err := errors.Join(err, tx.DeleteState(ctx, "cursor.a")); err != nil {
			return err
		}
		if _, ok, err := tx.State(ctx, "cursor.a"); ok || err != nil {
			t.Error(ok, err)
		}

		for i := range 3 {
			if err := tx.AddAudit(ctx, localdb.Audit{At: t0, Who: "somebody", What: "order.complete", Accession: "10001", Detail: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		page, err := tx.ListAudit(ctx, 3, 10)
		if err != nil || len(page) != 2 || page[0].Detail != "1" {
			t.Errorf("%+v %v", page, err)
		}

		grave := localdb.Tombstone{ProvetID: "5", AccessionNumber: "5", StudyInstanceUID: "2.25.5", Reason: "gone", At: t0}
		if err := errors.Join(tx.PutTombstone(ctx, grave), tx.PutTombstone(ctx, localdb.Tombstone{ProvetID: "5", Reason: "gone", At: t0})); err != nil {
			return err
		}
		got, err := tx.TombstoneByProvetID(ctx, "5")
		same(t, "tombstone", grave, got)
		if _, err := tx.TombstoneByAccession(ctx, "5"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(err, tx.DeleteTombstone(ctx, "5")); err != nil {
			return err
		}
		if _, err := tx.TombstoneByProvetID(ctx, "5"); !errors.Is(err, localdb.ErrNotFound) {
			t.Error(err)
		}

		raw := localdb.Raw{Kind: "mpps-create", OrderID: o.ID, Ref: "1.2.3", Peer: "DR1", At: t0, Bytes: []byte{0, 1, 2}, Note: "n"}
		if err := tx.AddRaw(ctx, raw); err != nil {
			return err
		}
		raw.ID = 1
		list, err := tx.RawOf(ctx, o.ID)
		same(t, "raw", []localdb.Raw{raw}, list)
		return err
	})
}

func TestOutboxLists(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
		e := localdb.OutboxEntry{OrderID: o.ID, Dest: "ris:a", Kind: "NW", Payload: []byte("MSH"), IdemKey: "1", CreatedAt: t0, GiveUpAt: t0.Add(time.Hour)}
		if ok, err := tx.Enqueue(ctx, e); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if ok, err := tx.Enqueue(ctx, e); ok || err != nil {
			t.Fatal("twice", err)
		}
		l, err := tx.Lease(ctx, "ris:a", t0, t0.Add(time.Minute))
		if err != nil {
			return err
		}
		a := localdb.Attempt{At: t0, Duration: 120 * time.Millisecond, Outcome: "transient", Code: "AE", Text: "busy"}
		if ok, err := tx.Retry(ctx, l.ID, l.LeaseToken, a, t0.Add(5*time.Second)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if err := tx.Hold(ctx, "ris:a", t0.Add(time.Minute), 3); err != nil {
			return err
		}
		if next, ok, err := tx.NextOutboxAt(ctx, "ris:a", t0); !ok || !next.Equal(t0.Add(time.Minute)) || err != nil {
			t.Errorf("next at %v %v %v", next, ok, err)
		}
		a.ID, a.EntryID = 1, l.ID
		tries, err := tx.AttemptsOfOrder(ctx, o.ID)
		if err != nil {
			return err
		}
		same(t, "attempts", []localdb.Attempt{a}, tries)
		list, err := tx.Outbox(ctx, localdb.OutboxFilter{Dest: "ris:a"})
		if err != nil || len(list) != 1 || list[0].Accession != "10001" || list[0].Attempts != 1 || list[0].LastCode != "AE" {
			t.Errorf("%+v %v", list, err)
		}
		if n, err := tx.RetryDest(ctx, "ris:a", t0, t0.Add(time.Hour)); n != 1 || err != nil {
			t.Error(n, err)
		}
		dests, err := tx.Destinations(ctx)
		same(t, "destinations", []localdb.Destination{{Dest: "ris:a", Failures: 3}}, dests)
		return err
	})
}
