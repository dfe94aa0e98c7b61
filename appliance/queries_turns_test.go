package appliance

import (
	"testing"

	"github.com/rayhound/rayhound/drivers/dicom/mwl"
)

// What was seen is marked in bounded portions, and nothing is left out.
func TestSightsAreBounded(t *testing.T) {
	for _, sizes := range [][]int{{}, {0}, {1, 2}, {ordersPerTurn}, {ordersPerTurn + 1}, {3, 10_000, 7}} {
		var rs []mwl.QueryRecord
		want, id := 0, int64(0)
		for _, n := range sizes {
			var r mwl.QueryRecord
			for range n {
				id++
				r.MatchedOrderIDs = append(r.MatchedOrderIDs, id)
			}
			rs, want = append(rs, r), want+n
		}
		turns := sights(rs)
		if len(turns) == 0 {
			t.Fatalf("%v: no transaction for the records", sizes)
		}
		next := int64(0)
		for _, turn := range turns {
			n := 0
			for _, s := range turn {
				n += len(s.orders)
				for _, got := range s.orders {
					if next++; got != next {
						t.Fatalf("%v: order %d where %d is due", sizes, got, next)
					}
				}
			}
			if n > ordersPerTurn {
				t.Errorf("%v: %d orders in one transaction", sizes, n)
			}
		}
		if int(next) != want {
			t.Errorf("%v: %d of %d orders", sizes, next, want)
		}
	}
}
