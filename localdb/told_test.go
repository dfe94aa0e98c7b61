package localdb

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// toldOrders stores n orders and returns their ids.
func toldOrders(t *testing.T, db *DB, n int) (ids []int64) {
	t.Helper()
	if err := db.Write(t.Context(), func(tx *Tx) error {
		for i := range n {
			o := releasedOrder()
			o.ProvetID = fmt.Sprint(i + 1)
			o.AccessionNumber, o.StudyInstanceUID = o.ProvetID, "2.25."+o.ProvetID
			o.Steps[0].ScheduledProcedureStepID = o.ProvetID
			if err := tx.InsertOrder(t.Context(), o); err != nil {
				return err
			}
			ids = append(ids, o.ID)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestTold(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	id := toldOrders(t, db, 1)[0]
	err := db.Write(t.Context(), func(tx *Tx) error {
		ctx := t.Context()
		want := Told{
			OrderID: id, RIS: "ris", StepID: "1", State: ToldOpen, Seen: "s", Content: "c", StudyUID: "2.25.77", PatientID: "815",
			Modality: order.Ref{ID: "3", Name: "X-ray"},
		}
		for _, x := range []Told{{OrderID: id, RIS: "ris", StepID: "1", State: ToldClosed}, want, {OrderID: id, RIS: "other", State: ToldOpen}} {
			if err := tx.SetTold(ctx, x); err != nil {
				return err
			}
		}
		got, err := tx.ToldOf(ctx, id)
		if err != nil || len(got) != 2 || got[1] != want {
			t.Errorf("told %+v, %v", got, err)
		}
		if o, err := tx.OrderByStudyUID(ctx, "2.25.77"); err != nil || o.ID != id {
			t.Errorf("by the UID that the RIS knows: %v, %v", o, err)
		}
		if err := tx.SetTold(ctx, Told{OrderID: id, RIS: "ris", StepID: "1"}); err != nil {
			return err
		}
		if got, err := tx.ToldOf(ctx, id); err != nil || len(got) != 1 {
			t.Errorf("told after forgetting %+v, %v", got, err)
		}
		for want := range int64(3) {
			if n, err := tx.NextNumber(ctx, "test"); err != nil || n != want+1 {
				t.Errorf("number %d, %v", n, err)
			}
		}
		if hash, err := tx.ToldPatient(ctx, "ris", "815"); err != nil || hash != "" {
			t.Errorf("patient %q, %v", hash, err)
		}
		if err := tx.SetToldPatient(ctx, "ris", "815", "h", time.Unix(1, 0)); err != nil {
			return err
		}
		hash, err := tx.ToldPatient(ctx, "ris", "815")
		if hash != "h" {
			t.Errorf("patient %q", hash)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Several entries leave together, one for each order; one that was not tried goes
// back as it was, one that was in flight at a crash may have left.
func TestLeaseSome(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	ids := toldOrders(t, db, 3)
	now := time.Unix(1000, 0).UTC()
	err := db.Write(t.Context(), func(tx *Tx) error {
		ctx := t.Context()
		for round := range 2 {
			for _, id := range ids {
				e := OutboxEntry{
					OrderID: id, Dest: "ris:a", Kind: "NW", Payload: []byte("x"), IdemKey: fmt.Sprint(id, round), CreatedAt: now, Unit: "u", Before: "b",
				}
				if _, err := tx.Enqueue(ctx, e); err != nil {
					return err
				}
			}
		}
		some, err := tx.LeaseSome(ctx, "ris:a", now, now.Add(time.Hour), 10)
		if err != nil || len(some) != 3 || some[0].Unit != "u" || some[0].Before != "b" {
			t.Fatalf("leased %+v, %v", some, err)
		}
		if ok, err := tx.Unlease(ctx, some[2].ID, some[2].LeaseToken); err != nil || !ok {
			t.Errorf("put back: %v, %v", ok, err)
		}
		if e, err := tx.OutboxEntry(ctx, some[2].ID); err != nil || e.State != Ready || e.Attempts != 0 || e.Unsure {
			t.Errorf("put back: %+v, %v", e, err)
		}
		if _, err := tx.Retry(ctx, some[1].ID, some[1].LeaseToken, Attempt{At: now, Outcome: "retry"}, now.Add(time.Hour)); err != nil {
			return err
		}
		if n, err := tx.ReleaseLeasesOf(ctx, "provet"); err != nil || n != 0 {
			t.Errorf("released of another destination: %d, %v", n, err)
		}
		if n, err := tx.ReleaseLeasesOf(ctx, "ris:a"); err != nil || n != 1 {
			t.Errorf("released: %d, %v", n, err)
		}
		if e, err := tx.OutboxEntry(ctx, some[0].ID); err != nil || e.State != Ready || !e.Unsure {
			t.Errorf("released: %+v, %v", e, err)
		}
		if err := tx.Hold(ctx, "ris:a", now.Add(time.Minute), 3); err != nil {
			return err
		}
		if some, err := tx.LeaseSome(ctx, "ris:a", now.Add(2*time.Minute), now.Add(time.Hour), 10); err != nil || len(some) != 1 {
			t.Errorf("leased of a failing destination: %d, %v", len(some), err)
		}
		if n, err := tx.DestDue(ctx, "ris:a", now); err != nil || n != 1 {
			t.Errorf("made due: %d, %v", n, err)
		}
		d, err := tx.Destination(ctx, "ris:a")
		if !d.HoldUntil.IsZero() || d.Failures != 0 {
			t.Errorf("still held: %+v", d)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAwaitedAcks(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	id := toldOrders(t, db, 1)[0]
	now := time.Unix(1000, 0).UTC()
	err := db.Write(t.Context(), func(tx *Tx) error {
		ctx := t.Context()
		if _, err := tx.Enqueue(ctx, OutboxEntry{OrderID: id, Dest: "ris:a", Kind: "NW", Payload: []byte("x"), IdemKey: "k", CreatedAt: now}); err != nil {
			return err
		}
		e, err := tx.EntryByKey(ctx, "k")
		if err != nil {
			return err
		}
		if err := tx.AwaitAck(ctx, "R1", e.ID, now); err != nil {
			return err
		}
		if late, err := tx.OverdueAcks(ctx, now.Add(-time.Second), 10); err != nil || len(late) != 0 {
			t.Errorf("overdue before its time: %v, %v", late, err)
		}
		if late, err := tx.OverdueAcks(ctx, now, 10); err != nil || len(late) != 1 || late[0].ID != e.ID {
			t.Errorf("overdue: %v, %v", late, err)
		}
		if got, err := tx.AckArrived(ctx, "R1"); err != nil || got.ID != e.ID {
			t.Errorf("arrived: %v, %v", got, err)
		}
		if _, err := tx.AckArrived(ctx, "R1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("arrived twice: %v", err)
		}
		if ok, err := tx.SendAgain(ctx, e.ID, now, now); err != nil || ok {
			t.Errorf("sent again before it was sent: %v, %v", ok, err)
		}
		l, err := tx.Lease(ctx, "ris:a", now, now.Add(time.Hour))
		if err != nil {
			return err
		}
		if _, err := tx.Finish(ctx, l.ID, l.LeaseToken, Attempt{At: now, Outcome: "accepted"}, now); err != nil {
			return err
		}
		ok, err := tx.SendAgain(ctx, e.ID, now, now)
		if !ok {
			t.Error("not sent again")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHintsDueAndLastEvent(t *testing.T) {
	db := openTest(t, filepath.Join(t.TempDir(), "rayhound.db"))
	id := toldOrders(t, db, 1)[0]
	now := time.Unix(1000, 0).UTC()
	err := db.Write(t.Context(), func(tx *Tx) error {
		ctx := t.Context()
		for _, p := range []string{"1", "2"} {
			if err := tx.AddHint(ctx, p, "test", now); err != nil {
				return err
			}
		}
		hints, err := tx.DueHints(ctx, now, 10)
		if err != nil {
			return err
		}
		if _, err := tx.DeferHint(ctx, "1", hints[0].Seq, now.Add(time.Hour), "", ""); err != nil {
			return err
		}
		if n, err := tx.HintsDue(ctx, now); err != nil || n != 1 {
			t.Errorf("made due: %d, %v", n, err)
		}
		if hints, err := tx.DueHints(ctx, now, 10); err != nil || len(hints) != 2 {
			t.Errorf("due: %v, %v", hints, err)
		}
		if _, ok, err := tx.LastEventAt(ctx, id); err != nil || ok {
			t.Errorf("an event of an order without any: %v", err)
		}
		for i, kind := range []string{"scheduled", "reported"} {
			if err := tx.AddEntry(ctx, order.Entry{OrderID: id, At: now.Add(time.Duration(i) * time.Hour), Kind: kind}); err != nil {
				return err
			}
		}
		if at, ok, err := tx.LastEventAt(ctx, id, "reported", "told"); err != nil || !ok || !at.Equal(now) {
			t.Errorf("last event %v, %v, %v", at, ok, err)
		}
		at, _, err := tx.LastEventAt(ctx, id)
		if !at.Equal(now.Add(time.Hour)) {
			t.Errorf("last line %v", at)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
