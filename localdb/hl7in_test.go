package localdb

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

func storedOrder(t *testing.T, db *DB, accession string) *order.Order {
	t.Helper()
	o := &order.Order{
		ProvetID: "P" + accession, AccessionNumber: accession, StudyInstanceUID: "2.25." + accession, RequestedProcedureID: accession,
		State: order.Scheduled, Revision: 1, CreatedAt: time.Now(), ChangedAt: time.Now(),
		Steps: []order.Step{{ScheduledProcedureStepID: accession, State: order.Scheduled}},
	}
	if err := db.Write(t.Context(), func(tx *Tx) error { return tx.InsertOrder(t.Context(), o) }); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestHL7InKeepsTheAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.db")
	db, ctx := openTest(t, path), t.Context()
	k := HL7Key{"RIS", "Clinic", "42", "abc"}
	err := db.Write(ctx, func(tx *Tx) error {
		if err := tx.AddHL7In(ctx, &HL7In{RIS: "ris", Key: k, At: time.Now(), Outcome: HL7Applied, Answer: []byte("AA")}, []byte("MSH")); err != nil {
			return err
		}
		return tx.AddHL7In(ctx, &HL7In{RIS: "ris", Key: HL7Key{"RIS", "Clinic", "43", "x"}, Outcome: HL7Refused, Refused: "no"}, []byte("junk"))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(ctx, func(tx *Tx) error { return tx.AddHL7In(ctx, &HL7In{Key: k}, nil) })
	if !errors.Is(err, ErrExists) {
		t.Errorf("the same key again: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, path)
	err = db.Read(ctx, func(s *Snapshot) error {
		m, err := s.HL7InByKey(ctx, k)
		if err != nil || string(m.Answer) != "AA" || m.Size != 3 {
			t.Errorf("%+v %v", m, err)
		}
		if _, err := s.HL7InByKey(ctx, HL7Key{"RIS", "Clinic", "43", "x"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a refused message was found: %v", err)
		}
		raw, err := s.RawByID(ctx, m.RawID)
		if err != nil || string(raw.Bytes) != "MSH" {
			t.Errorf("%+v %v", raw, err)
		}
		last, err := s.LastHL7In(ctx, "ris")
		if err != nil || last.Key != k {
			t.Errorf("%+v %v", last, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDocumentsComeInParts(t *testing.T) {
	db, ctx := openTest(t, filepath.Join(t.TempDir(), "rayhound.db")), t.Context()
	o := storedOrder(t, db, "1001")
	for _, size := range []int{0, 1, documentPart, documentPart + 1, 3*documentPart - 7} {
		data := bytes.Repeat([]byte("0123456"), size/7+1)[:size]
		d := &Document{OrderID: o.ID, RIS: "ris", Kind: DocumentPDF, At: time.Now()}
		if err := db.Write(ctx, func(tx *Tx) error { return tx.AddDocument(ctx, d, data) }); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := db.Read(ctx, func(s *Snapshot) error { return s.CopyDocument(ctx, d.ID, &got) }); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), data) || d.Size != int64(size) {
			t.Errorf("%d bytes came back as %d", size, got.Len())
		}
	}
	err := db.Write(ctx, func(tx *Tx) error {
		return tx.AddDocument(ctx, &Document{OrderID: o.ID, Kind: DocumentPDF}, make([]byte, MaxDocument+1))
	})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("a document above the limit: %v", err)
	}
	if err := db.Read(ctx, func(s *Snapshot) error { return s.CopyDocument(ctx, 999, io.Discard) }); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown document: %v", err)
	}
}

func TestDeletedOrderTakesItsReportsAlong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rayhound.db")
	db, ctx := openTest(t, path), t.Context()
	o := storedOrder(t, db, "1001")
	const canary = "CANARY-fracture-of-the-left-elbow"
	err := db.Write(ctx, func(tx *Tx) error {
		m := &HL7In{RIS: "ris", Key: HL7Key{ControlID: "1", Hash: "1"}, At: time.Now(), Outcome: HL7Applied}
		if err := tx.AddHL7In(ctx, m, []byte(canary)); err != nil {
			return err
		}
		return errors.Join(tx.LinkHL7In(ctx, m.ID, o.ID), tx.LinkHL7In(ctx, m.ID, o.ID),
			tx.AddDocument(ctx, &Document{OrderID: o.ID, InID: m.ID, Kind: DocumentText, At: time.Now()}, []byte(canary)),
			tx.AddHL7Held(ctx, &HL7Held{InID: m.ID, OrderID: o.ID, RIS: "ris", DueAt: time.Now(), Body: `"` + canary + `"`}))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(ctx, func(tx *Tx) error { return tx.DeleteOrder(ctx, o.ID, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"document", "document_part", "hl7_held", "hl7_in_order", "raw"} {
		_ = db.Read(ctx, func(s *Snapshot) error {
			if n, err := one(ctx, s, `SELECT count(*) FROM `+table, scanInt); err != nil || n != 0 {
				t.Errorf("%s: %d rows are left, %v", table, n, err)
			}
			return nil
		})
	}
	_ = db.Read(ctx, func(s *Snapshot) error { // the same message must not count again
		if _, err := s.HL7InByKey(ctx, HL7Key{ControlID: "1", Hash: "1"}); err != nil {
			t.Errorf("the key is gone: %v", err)
		}
		return nil
	})
}

func TestPurgeOfMessages(t *testing.T) {
	now := time.Now()
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "rayhound.db"), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	err = db.Write(ctx, func(tx *Tx) error {
		for i, age := range []time.Duration{time.Hour, 20 * 24 * time.Hour, 100 * 24 * time.Hour} {
			m := &HL7In{RIS: "ris", Key: HL7Key{ControlID: string(rune('a' + i))}, At: now.Add(-age), Outcome: HL7Applied, Answer: []byte("AA")}
			if err := tx.AddHL7In(ctx, m, []byte(strings.Repeat("x", 100))); err != nil {
				return err
			}
			h := &HL7Held{InID: m.ID, RIS: "ris", Body: "{}"}
			if err := tx.AddHL7Held(ctx, h); err != nil {
				return err
			}
			if err := tx.AddDocument(ctx, &Document{HeldID: h.ID, InID: m.ID, Kind: DocumentText}, []byte("text")); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := db.Purge(ctx, PurgePolicy{Orders: 90 * 24 * time.Hour, Raw: 14 * 24 * time.Hour})
	if err != nil || r.Raw != 2 || r.HL7 != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	_ = db.Read(ctx, func(s *Snapshot) error {
		list, err := s.ListHL7In(ctx, "", 10)
		if err != nil || len(list) != 2 || string(list[0].Answer) != "AA" {
			t.Errorf("%+v %v", list, err)
		}
		n, err := one(ctx, s, `SELECT count(*) FROM document`, scanInt)
		if err != nil || n != 2 {
			t.Errorf("%d documents are left, %v", n, err)
		}
		return nil
	})
}

func TestHeldAndRepliesWaitForTheirTime(t *testing.T) {
	db, ctx := openTest(t, filepath.Join(t.TempDir(), "rayhound.db")), t.Context()
	o := storedOrder(t, db, "1001")
	now := time.UnixMilli(1_800_000_000_000).UTC()
	err := db.Write(ctx, func(tx *Tx) error {
		m := &HL7In{Key: HL7Key{ControlID: "1"}, At: now}
		if err := tx.AddHL7In(ctx, m, nil); err != nil {
			return err
		}
		h := &HL7Held{InID: m.ID, OrderID: o.ID, RIS: "ris", DueAt: now.Add(time.Minute), Body: "{}"}
		if err := errors.Join(tx.AddHL7Held(ctx, h), tx.AddHL7Reply(ctx, m.ID, HL7Reply{RIS: "ris", Payload: []byte("p"), NextAt: now, GiveUpAt: now})); err != nil {
			return err
		}
		if due, next, err := tx.HL7HeldDue(ctx, now, 10); err != nil || len(due) != 0 || !next.Equal(h.DueAt) {
			t.Errorf("%v %v %v", due, next, err)
		}
		if due, next, err := tx.HL7HeldDue(ctx, h.DueAt, 10); err != nil || len(due) != 1 || !next.IsZero() {
			t.Errorf("%v %v %v", due, next, err)
		}
		if err := tx.PostponeHL7Held(ctx, h.ID, now.Add(time.Hour)); err != nil {
			return err
		}
		if of, err := tx.HL7HeldOfOrder(ctx, o.ID, "ris"); err != nil || len(of) != 1 || !of[0].DueAt.Equal(now.Add(time.Hour)) {
			t.Errorf("%v %v", of, err)
		}
		due, _, err := tx.HL7RepliesDue(ctx, now, 10)
		if err != nil || len(due) != 1 {
			t.Fatalf("%v %v", due, err)
		}
		if err := tx.RetryHL7Reply(ctx, due[0].ID, now.Add(time.Second), "busy"); err != nil {
			return err
		}
		due, next, err := tx.HL7RepliesDue(ctx, now, 10)
		if err != nil || len(due) != 0 || !next.Equal(now.Add(time.Second)) {
			t.Errorf("%v %v %v", due, next, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFillerNumbersAreLearnt(t *testing.T) {
	db, ctx := openTest(t, filepath.Join(t.TempDir(), "rayhound.db")), t.Context()
	o := storedOrder(t, db, "1001")
	err := db.Write(ctx, func(tx *Tx) error {
		learn := func(f Filler, want bool) {
			f.OrderID, f.RIS, f.At = o.ID, "ris", time.Now()
			if got, err := tx.LearnFiller(ctx, f); err != nil || got != want {
				t.Errorf("%+v: %v %v", f, got, err)
			}
		}
		learn(Filler{FillerOrderNumber: "F-1"}, true)
		learn(Filler{FillerOrderNumber: "F-1"}, false)
		learn(Filler{AccessionNumber: "A-9"}, true)
		learn(Filler{SPSID: "1001", FillerOrderNumber: "F-2"}, true)
		learn(Filler{}, false)
		for step, want := range map[string]string{"": "F-1", "1001": "F-2", "other": "F-1"} {
			if n, err := tx.FillerOf(ctx, o.ID, step, "ris"); err != nil || n != want {
				t.Errorf("step %q: %q %v", step, n, err)
			}
		}
		if n, err := tx.FillerOf(ctx, o.ID, "", "other"); err != nil || n != "" {
			t.Errorf("%q %v", n, err)
		}
		if by, err := tx.FillersByNumber(ctx, "ris", "F-2"); err != nil || len(by) != 1 || by[0].SPSID != "1001" {
			t.Errorf("%v %v", by, err)
		}
		if by, err := tx.OrdersByRISAccession(ctx, "ris", "A-9"); err != nil || len(by) != 1 || by[0].ID != o.ID {
			t.Errorf("%v %v", by, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
