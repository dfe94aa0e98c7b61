package mwl

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// item is one scheduled procedure step of one revision of an order. It never
// changes; what hangs on blocks is a cache.
type item struct {
	order *order.Order // a copy of our own
	step  *order.Step  // one of its steps
	nth   int          // which

	// floating: Provet set no time. The order is of today until it is done, at
	// the time it was received, or at midnight when it came on an earlier day.
	floating bool
	at       moment // scheduled, or received when floating
	date     string // of at, as DA
	clock    string // of at, as TM

	ownerPatient, patientOwner string   // Patient's Name by both rules, folded
	unfit                      []string // stations that cannot take it (Check)

	blocks atomic.Pointer[[]*block] // answers encoded so far, see cache
	gone   bool                     // no longer on the list; guarded by the cache
}

// offered reports whether a step of an order belongs on a worklist at all.
func offered(o *order.Order, s *order.Step) bool {
	switch o.State {
	case order.Scheduled, order.InProgress:
	case order.Received, order.Held, order.Completed, order.Discontinued, order.Cancelled:
		return false
	default:
		return false
	}
	return s.State == order.Scheduled || s.State == order.InProgress
}

// newItems returns the items of an order, none when nothing of it is offered.
func newItems(o *order.Order, zone *time.Location) []*item {
	var items []*item
	for i := range o.Steps {
		if offered(o, &o.Steps[i]) {
			items = append(items, newItem(o, i, zone))
		}
	}
	return items
}

func newItem(o *order.Order, step int, zone *time.Location) *item {
	it := &item{order: o, step: &o.Steps[step], nth: step}
	switch c := &o.Content; {
	case !c.ScheduledAt.IsZero():
		it.at = momentOf(c.ScheduledAt.In(zone))
	case !o.CreatedAt.IsZero():
		it.floating, it.at = true, momentOf(o.CreatedAt.In(zone))
	case !c.RequestedAt.IsZero():
		it.floating, it.at = true, momentOf(c.RequestedAt.In(zone))
	default:
		it.floating, it.at = true, moment{day: firstDay}
	}
	if it.at.day != firstDay {
		it.date = string(appendDate(nil, it.at.day))
	}
	it.clock = string(appendTime(nil, it.at.ms))
	it.ownerPatient = dataset.Fold(patientName(OwnerPatient, o, 0))
	it.patientOwner = dataset.Fold(patientName(PatientOwner, o, 0))
	return it
}

// start returns the start date and time that is true today.
func (it *item) start(today int32) moment {
	switch {
	case !it.floating:
		return it.at
	case it.at.day == today:
		return it.at
	}
	return moment{day: today}
}

// routed reports whether the step may be done at a station.
func (it *item) routed(station string) bool {
	return slices.Contains(it.step.Stations, station) && !slices.Contains(it.unfit, station)
}

// foldedName returns the folded Patient's Name of a rule.
func (it *item) foldedName(rule PatientNameRule) string {
	switch rule {
	case PatientOwner:
		return it.patientOwner
	case PatientOnly:
		return dataset.Fold(patientName(rule, it.order, 0))
	case OwnerPatient:
	}
	return it.ownerPatient
}

// compareID orders items of the same moment: by accession number, then by step.
func compareID(a, b *item) int {
	if c := cmp.Compare(a.order.AccessionNumber, b.order.AccessionNumber); c != 0 {
		return c
	}
	if c := cmp.Compare(a.order.ID, b.order.ID); c != 0 {
		return c
	}
	return cmp.Compare(a.nth, b.nth)
}

// compareTime orders items of the same day.
func compareTime(a, b *item) int {
	if c := cmp.Compare(a.at.ms, b.at.ms); c != 0 {
		return c
	}
	return compareID(a, b)
}
