package appliance

import (
	"errors"
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/localdb"
)

// What was imaged and purged is not brought back by a late edit upstream; what
// was withdrawn, purged and asked for again is the same order as before.
func TestPurgedOrders(t *testing.T) {
	for _, was := range []order.State{order.Completed, order.Discontinued, order.Cancelled} {
		t.Run(string(was), func(t *testing.T) {
			c := newClinic(t)
			c.request("1001", "X-ray")
			ts := localdb.Tombstone{ProvetID: "1001", AccessionNumber: "A1001", StudyInstanceUID: "2.25.7", Reason: localdb.PurgedAs(was), At: c.clock}
			c.ok(c.db.Write(t.Context(), func(tx *localdb.Tx) error { return tx.PutTombstone(t.Context(), ts) }))
			c.look("1001")
			var o *order.Order
			err := c.db.Read(t.Context(), func(s *localdb.Snapshot) (err error) {
				o, err = s.OrderByProvetID(t.Context(), "1001")
				return err
			})
			if was != order.Cancelled {
				if !errors.Is(err, localdb.ErrNotFound) {
					t.Fatalf("it came back: %v, %v", o, err)
				}
				return
			}
			c.ok(err)
			if o.AccessionNumber != "A1001" || o.StudyInstanceUID != "2.25.7" || o.State != order.Scheduled {
				t.Errorf("it came back as another order: %s %s %s", o.AccessionNumber, o.StudyInstanceUID, o.State)
			}
		})
	}
}
