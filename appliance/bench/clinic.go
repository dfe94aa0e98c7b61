package main

import (
	"fmt"
	"iter"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
)

// The invented clinic: ten machines DR0 to DR9 with as many steps each, over
// fifty days around today, a console ALL that sees them all, and BX1, where new
// orders go.
const (
	rooms       = 10
	days        = 50
	perDay      = 20 // of one machine, with 10,000 steps
	allSteps    = rooms * days * perDay
	scheduledID = 50_000_000 // Provet id of the first scheduled step
	finishedID  = 60_000_000 // of the first finished one
	allTitle    = "ALL"
	newTitle    = "BX1"
	ourTitle    = "RAYHOUND"
)

// zone is the clinic's.
func zone() *time.Location {
	z, err := time.LoadLocation("Europe/Helsinki")
	if err != nil {
		return time.UTC
	}
	return z
}

// noon is the middle of the clinic's day.
func noon() time.Time {
	y, m, d := time.Now().In(zone()).Date()
	return time.Date(y, m, d, 12, 0, 0, 0, zone())
}

func roomName(i int) string  { return fmt.Sprintf("Room %d", i) }
func roomTitle(i int) string { return fmt.Sprintf("DR%d", i) }

// room returns the machine of the i-th step.
func room(i int) int { return i % rooms }

// accessionOf returns the accession number of the i-th step.
func accessionOf(i int) string { return fmt.Sprint(scheduledID + i) }

var (
	animals = []string{"Bella", "Rex", "Luna", "Max", "Milo", "Nala"}
	owners  = []string{"Müller", "Virtanen", "Smith", "Korhonen", "Lindström"}
)

// invented returns an order of a room.
func invented(id, i int) *order.Order {
	text := fmt.Sprint(id)
	o := &order.Order{
		ProvetID: text, AccessionNumber: text, RequestedProcedureID: text, StudyInstanceUID: fmt.Sprintf("2.25.%d", 7_000_000_000_000+id),
		Revision: 1,
		Content: order.Content{
			Patient: order.Patient{
				ID: fmt.Sprint(4000 + i/3), Name: animals[i%len(animals)], Species: "Canine", Breed: "Labrador Retriever", Sex: order.Female,
				Neutered: order.Altered, BirthDate: "2020-02-29", WeightKG: 31.25, Microchip: fmt.Sprint(978_101_080_000_000 + i),
			},
			Owner:       order.Owner{ID: fmt.Sprint(90 + i/6), FirstName: "Anna", LastName: owners[i%len(owners)]},
			Modalities:  []order.Ref{{ID: fmt.Sprint(700 + room(i)), Name: roomName(room(i))}},
			TargetAreas: []order.Ref{{ID: "7", Name: "Thorax"}}, Department: order.Ref{ID: "1", Name: "Small animals"},
			RequestingUser: order.Person{FirstName: "Rita", LastName: "Quester"}, Veterinarian: order.Person{FirstName: "Vera", LastName: "Vet"},
			ConsultationID: fmt.Sprint(8000 + i), Ward: "W2", Complaint: "Coughs since Monday", Remarks: "Rule out a fracture",
		},
	}
	o.Steps = []order.Step{{ScheduledProcedureStepID: text, Modality: o.Content.Modalities[0], Stations: []string{roomName(room(i))}}}
	return o
}

// scheduled yields n steps that wait.
func scheduled(n int) iter.Seq[*order.Order] {
	mid, now := noon(), time.Now()
	return func(yield func(*order.Order) bool) {
		for i := range n {
			o := invented(scheduledID+i, i)
			o.Content.ScheduledAt = mid.AddDate(0, 0, i/rooms%days-days/2).Add(time.Duration(i/(rooms*days)) * time.Minute)
			o.State, o.Steps[0].State = order.Scheduled, order.Scheduled
			o.CreatedAt, o.ChangedAt = now.Add(-time.Hour), now.Add(-time.Hour)
			o.Content.RequestedAt = o.CreatedAt
			o.ContentHash = o.Content.Hash()
			if !yield(o) {
				return
			}
		}
	}
}

// finished returns the i-th of n orders that were completed in the last 180 days.
func finished(i, n int, now time.Time) *order.Order {
	o := invented(finishedID+i, i)
	o.CreatedAt = now.Add(-time.Duration(float64(180*24*time.Hour) * float64(n-i) / float64(n)))
	o.Content.RequestedAt = o.CreatedAt
	o.ClosedAt = o.CreatedAt.Add(time.Hour)
	o.ChangedAt, o.ClosedBy = o.ClosedAt, order.MPPS
	o.ClosedText = "closed by the machine"
	s := &o.Steps[0]
	o.State, s.State, s.StartedAt, s.EndedAt = order.Completed, order.Completed, o.CreatedAt.Add(50*time.Minute), o.ClosedAt
	o.ContentHash = o.Content.Hash()
	return o
}

// settings are those of the clinic. provet may be empty: then nobody is asked.
func settings(provet string, status map[string]string) *config.File {
	f := config.Default()
	f.Clinic.Name, f.Clinic.TimeZone = "Riverside Veterinary Clinic", "Europe/Helsinki"
	f.DICOM.Listen, f.Page.Listen = config.Names{"127.0.0.1:0"}, config.Names{"127.0.0.1:0"}
	f.Retention.Orders = config.Duration(3650 * 24 * time.Hour) // history is measured, not deleted
	if provet != "" {
		f.Provet.BaseURL, f.Provet.ClientID, f.Provet.WeightUnit = provet, "rayhound", "kg"
		f.Provet.Status = config.Status{
			InProgress: config.Value(status["in_progress"]), Completed: config.Value(status["done"]),
			Discontinued: config.Value(status["discontinued"]), Withdrawn: config.Names{status["cancelled"]},
		}
	}
	add := func(name, title, serves string, sees ...string) {
		m := config.NewModality()
		m.Name, m.AETitle, m.Code, m.Sees = name, title, "DX", sees
		if serves != "" {
			m.Serves = config.Names{serves}
		}
		f.Modalities = append(f.Modalities, m)
	}
	var names []string
	for i := range rooms {
		names = append(names, roomName(i))
		add(roomName(i), roomTitle(i), roomName(i))
	}
	add("Console", allTitle, "Nothing", names...)
	add("New orders", newTitle, "X-ray")
	return f
}
