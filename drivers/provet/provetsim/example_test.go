package provetsim_test

import (
	"fmt"

	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// A tenant whose names nobody could have guessed. What a client has to know is
// asked from the tenant.
func ExampleRenamed() {
	sim := provetsim.New(provetsim.Renamed(provetsim.Config{Seed: 1}, 42))
	defer sim.Close()

	id := sim.CreateOrder(provetsim.NewOrder{PatientID: 5002, Modality: "CT", Remarks: "Swallowed a sock"})

	fmt.Println(sim.Status(id), sim.FieldNames()["worklist"]["status"] != "status", sim.StatusValue("done") != "3")
	// Output: new true true
}
