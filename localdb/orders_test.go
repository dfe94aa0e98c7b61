package localdb_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

func insert(tb testing.TB, db *localdb.DB, orders ...*order.Order) {
	tb.Helper()
	localdbtest.Write(tb, db, func(ctx context.Context, tx *localdb.Tx) error {
		for _, o := range orders {
			if err := tx.InsertOrder(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestOrderComesBackAsStored(t *testing.T) {
	db := localdbtest.Open(t)
	o := localdbtest.Order(1)
	o.State = order.Held
	o.Holds = []order.Hold{{Code: "RH-201", Field: "modality", Detail: "Dental X-ray"}}
	o.UpstreamStatus, o.ClosedBy, o.ClosedText = "3", order.Upstream, "withdrawn in Provet Cloud"
	o.Notices = []order.Notice{{Code: "RH-206", Args: map[string]string{"accession": "10001"}, At: localdbtest.Start, Done: true}}
	o.Steps[0].ForeignStudyUID = "1.2.3.4"
	o.Steps[0].StartedAt = localdbtest.Start.Add(7 * time.Millisecond)
	o.Steps = append(o.Steps, order.Step{ScheduledProcedureStepID: "10001-2", Modality: order.Ref{ID: "4", Name: "CT"}, State: order.Scheduled})
	insert(t, db, o)
	if o.ID == 0 {
		t.Fatal("no ID")
	}
	find := map[string]func(context.Context, *localdb.Snapshot) (*order.Order, error){
		"id": func(ctx context.Context, s *localdb.Snapshot) (*order.Order, error) { return s.OrderByID(ctx, o.ID) },
		"provet": func(ctx context.Context, s *localdb.Snapshot) (*order.Order, error) {
			return s.OrderByProvetID(ctx, "10001")
		},
		"accession": func(ctx context.Context, s *localdb.Snapshot) (*order.Order, error) {
			return s.OrderByAccession(ctx, "10001")
		},
		"study": func(ctx context.Context, s *localdb.Snapshot) (*order.Order, error) {
			return s.OrderByStudyUID(ctx, o.StudyInstanceUID)
		},
		"foreign study": func(ctx context.Context, s *localdb.Snapshot) (*order.Order, error) {
			return s.OrderByStudyUID(ctx, "1.2.3.4")
		},
		"procedure": func(ctx context.Context, s *localdb.Snapshot) (*order.Order, error) {
			return s.OrderByRequestedProcedureID(ctx, "R10001")
		},
		"step": func(ctx context.Context, s *localdb.Snapshot) (*order.Order, error) {
			return s.OrderByStepID(ctx, "10001-2")
		},
	}
	for name, f := range find {
		t.Run(name, func(t *testing.T) {
			localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
				got, err := f(ctx, s)
				if err != nil {
					return err
				}
				if d := cmp.Diff(o, got); d != "" {
					t.Error(d)
				}
				if got.Content.Hash() != o.ContentHash {
					t.Error("the content hash changed on the way")
				}
				return nil
			})
		})
	}
}

func TestOrderIdentitiesAreUnique(t *testing.T) {
	db := localdbtest.Open(t)
	insert(t, db, localdbtest.Order(1))
	for name, change := range map[string]func(o *order.Order){
		"provet id": func(o *order.Order) { o.ProvetID = "10001" },
		"accession": func(o *order.Order) { o.AccessionNumber = "10001" },
		"study":     func(o *order.Order) { o.StudyInstanceUID = localdbtest.Order(1).StudyInstanceUID },
		"step":      func(o *order.Order) { o.Steps[0].ScheduledProcedureStepID = "10001-1" },
	} {
		t.Run(name, func(t *testing.T) {
			o := localdbtest.Order(2)
			change(o)
			err := db.Write(t.Context(), func(tx *localdb.Tx) error { return tx.InsertOrder(t.Context(), o) })
			if !errors.Is(err, localdb.ErrExists) {
				t.Errorf("got %v, want ErrExists", err)
			}
		})
	}
	byHand := localdbtest.Order(3)
	byHand.ProvetID, byHand.ByHand = "", true
	another := localdbtest.Order(4)
	another.ProvetID = ""
	insert(t, db, byHand, another)
	localdbtest.Read(t, db, func(ctx context.Context, s *localdb.Snapshot) error {
		if _, err := s.OrderByProvetID(ctx, ""); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("an empty Provet id found something: %v", err)
		}
		n, err := s.CountOrders(ctx)
		if n[order.Scheduled] != 3 {
			t.Errorf("counted %v", n)
		}
		return err
	})
}
