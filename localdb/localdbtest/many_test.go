package localdbtest_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/localdb/localdbtest"
)

// The copies look like stored ones, but for their content.
func TestFillMany(t *testing.T) {
	a, b := localdbtest.Open(t), localdbtest.Open(t)
	const n = 70_000 // more than a batch
	localdbtest.FillMany(t, a, 3, n)
	localdbtest.Fill(t, b, 3, 1000)
	localdbtest.Read(t, a, func(ctx context.Context, sa *localdb.Snapshot) error {
		count, err := sa.CountOrders(ctx)
		if err != nil || count["completed"] != n {
			t.Errorf("%v %v", count, err)
		}
		localdbtest.Read(t, b, func(ctx context.Context, sb *localdb.Snapshot) error {
			for _, accession := range []string{"10003", "10004", "11002"} {
				x, err := sa.OrderByAccession(ctx, accession)
				if err != nil {
					return err
				}
				y, err := sb.OrderByAccession(ctx, accession)
				if err != nil {
					return err
				}
				x.Content, x.ContentHash = y.Content, y.ContentHash
				if accession != "10003" {
					x.Steps[0].StartedAt = y.Steps[0].StartedAt
				}
				if d := cmp.Diff(y, x); d != "" {
					t.Error(d)
				}
			}
			return nil
		})
		found, err := sa.FindOrders(ctx, localdb.OrderFilter{Search: "sarka owner21", Limit: 10})
		if len(found) == 0 {
			t.Error("the search finds none")
		}
		return err
	})
}
