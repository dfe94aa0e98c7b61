package localdb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
)

func TestPendingMachinesAreBounded(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, _ *order.Order) error {
		p := localdb.Pending{CallingAETitle: "CR1", CalledAETitle: "RAYHOUND", Address: "192.168.1.9", Reason: "unknown", At: t0}
		if err := tx.NotePending(ctx, p); err != nil {
			return err
		}
		list, err := tx.ListPending(ctx, false)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if err := tx.IgnorePending(ctx, list[0].ID, true); err != nil {
			return err
		}
		for i := range 300 {
			if err := tx.NotePending(ctx, localdb.Pending{CallingAETitle: fmt.Sprint("SCAN", i), At: t0.Add(time.Duration(i+1) * time.Second)}); err != nil {
				return err
			}
		}
		p.At = t0.Add(time.Hour)
		if err := tx.NotePending(ctx, p); err != nil {
			return err
		}
		if list, err = tx.ListPending(ctx, true); err != nil || len(list) != 200 {
			t.Fatalf("%d, %v", len(list), err)
		}
		if l := list[0]; l.CallingAETitle != "CR1" || l.Count != 2 || !l.FirstAt.Equal(t0) || !l.Ignored {
			t.Errorf("got %+v", l)
		}
		if list[1].CallingAETitle != "SCAN299" {
			t.Errorf("got %+v", list[1])
		}
		return tx.DeletePending(ctx, "CR1")
	})
}

func TestQueryLog(t *testing.T) {
	inTx(t, func(ctx context.Context, tx *localdb.Tx, o *order.Order) error {
		q := localdb.QueryLog{
			At: t0, Machine: "DR1", CallingAETitle: "DR1", Address: "192.168.1.40", Keys: json.RawMessage(`{"Modality":"DX"}`),
			Matches: 1, Bytes: 900, Millis: 2, End: "done", Matched: []int64{o.ID},
		}
		miss := q
		miss.Matched, miss.Matches = nil, 0
		miss.Excluded = []localdb.QueryExcluded{{OrderID: o.ID, Accession: "10001", Key: "Modality", Reason: "DX is not CT"}}
		gone := q
		gone.Machine, gone.Matched = "CT1", []int64{999} // purged meanwhile
		if err := tx.AddQueries(ctx, []localdb.QueryLog{q, miss, q, gone}); err != nil {
			return err
		}
		about, err := tx.QueriesAboutOrder(ctx, o.ID, 10)
		if err != nil || len(about) != 2 {
			t.Fatalf("%+v %v", about, err)
		}
		if a := about[0]; !a.Matched || a.Count != 2 || a.Query.ID != 3 {
			t.Errorf("got %+v", a)
		}
		if a := about[1]; a.Matched || a.Key != "Modality" || a.Reason != "DX is not CT" {
			t.Errorf("got %+v", a)
		}
		many := make([]localdb.QueryLog, 2100)
		for i := range many {
			many[i] = q
		}
		if err := tx.AddQueries(ctx, many); err != nil {
			return err
		}
		kept, err := tx.Queries(ctx, "DR1", 5000)
		if err != nil || len(kept) != 2000 {
			t.Errorf("%d kept, %v", len(kept), err)
		}
		everybody, err := tx.Queries(ctx, "*", 5000)
		if len(everybody) != 2001 {
			t.Errorf("%d kept of all", len(everybody))
		}
		same(t, "keys", `{"Modality":"DX"}`, string(kept[0].Keys))
		return err
	})
}
