package appliance

import (
	"slices"

	"github.com/rayhound/rayhound/appliance/order"
)

// differences names in words what changed between two contents; it shows no
// values, because those are personal.
func differences(a, b order.Content) string {
	var what []string
	add := func(differs bool, name string) {
		if differs {
			what = append(what, name)
		}
	}
	p, q := a.Patient, b.Patient
	add(p.ID != q.ID, "patient")
	add(p.Name != q.Name, "patient's name")
	add(p.Species != q.Species || p.SpeciesCode != q.SpeciesCode || p.Breed != q.Breed || p.BreedCode != q.BreedCode, "species or breed")
	add(p.Sex != q.Sex || p.Neutered != q.Neutered, "sex")
	add(p.BirthDate != q.BirthDate, "birth date")
	add(p.WeightKG != q.WeightKG, "weight")
	add(p.Microchip != q.Microchip || p.Alerts != q.Alerts || p.Deceased != q.Deceased || p.Archived != q.Archived, "patient's record")
	add(a.Owner != b.Owner, "owner")
	add(!slices.Equal(a.Modalities, b.Modalities), "modality")
	add(!slices.Equal(a.TargetAreas, b.TargetAreas), "target areas")
	add(a.Department != b.Department || a.Ward != b.Ward, "department or ward")
	add(a.RequestingUser != b.RequestingUser || a.Veterinarian != b.Veterinarian, "veterinarian")
	add(a.Complaint != b.Complaint || a.Remarks != b.Remarks || a.InternalNotes != b.InternalNotes, "remarks")
	add(!a.ScheduledAt.Equal(b.ScheduledAt), "scheduled time")
	add(a.Priority != b.Priority, "priority")
	add(a.UpstreamPatient != b.UpstreamPatient, "merged patient")
	if len(what) == 0 {
		return "details"
	}
	return joinNames(what)
}
