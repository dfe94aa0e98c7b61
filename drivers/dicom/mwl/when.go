package mwl

import (
	"strings"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// when is what a query says about the start of a step: date keys, time keys and
// the zone they are in. The zero value says nothing.
type when struct {
	dates []dataset.DateKey
	times []dataset.TimeKey
	wrong string         // a reason why nothing can match
	zone  *time.Location // of the request; nil is the clinic's

	first, last int32 // days within which a match lies
	window      bool  // these are the machine's, because the query names no date
}

// newWhen compiles the keys. Without a date, the machine's window applies.
func newWhen(dates, times *criterion, m *Machine, today int32) when {
	w := when{first: firstDay, last: lastDay}
	if dates != nil {
		w.readDates(dates.values)
	} else {
		if m.DaysBack != nil {
			w.first, w.window = addDays(today, -*m.DaysBack), true
		}
		if m.DaysAhead != nil {
			w.last, w.window = addDays(today, *m.DaysAhead), true
		}
	}
	if times != nil {
		w.readTimes(times.values)
	}
	if w.wrong == "" && len(w.dates) == 1 && len(w.times) == 1 && dataset.ReversedDateTime(w.dates[0], w.times[0]) ||
		len(w.dates) == 0 && len(w.times) == 1 && w.times[0].Reversed() {
		w.wrong = "the range ends before it begins"
	}
	return w
}

func (w *when) readDates(values []string) {
	w.first, w.last = lastDay, firstDay
	for _, v := range values {
		if v == "" {
			continue
		}
		k, err := dataset.ParseDateKey(v)
		switch {
		case err != nil:
			w.wrong = "not a date or a range of dates"
			continue
		case k.Reversed():
			w.wrong = "the range ends before it begins"
			continue
		}
		w.dates = append(w.dates, k)
		from, to := k.Bounds()
		w.first, w.last = min(w.first, dayOrOpen(from, firstDay)), max(w.last, dayOrOpen(to, lastDay))
	}
	if len(w.dates) > 0 {
		w.wrong = ""
	}
}

func (w *when) readTimes(values []string) {
	wrong := ""
	for _, v := range values {
		if v == "" {
			continue
		}
		k, err := dataset.ParseTimeKey(v)
		if err != nil {
			wrong = "not a time or a range of times"
			continue
		}
		w.times = append(w.times, k)
	}
	if len(w.times) == 0 && w.wrong == "" {
		w.wrong = wrong
	}
}

// in sets the zone of the request. Days may then begin and end on another day
// of the clinic.
func (w *when) in(zone *time.Location) {
	w.zone = zone
	if w.window {
		return
	}
	if w.first != firstDay && w.first != lastDay {
		w.first--
	}
	if w.last != lastDay && w.last != firstDay {
		w.last++
	}
}

// match compares with the start of an item: its moment, and the same as text.
func (w *when) match(at moment, date, clock string, clinic *time.Location) bool {
	if w.wrong != "" || at.day < w.first || at.day > w.last {
		return false
	}
	if len(w.dates) == 0 && len(w.times) == 0 {
		return true
	}
	if w.zone != nil {
		at = at.in(clinic, w.zone)
		date, clock = string(appendDate(nil, at.day)), string(appendTime(nil, at.ms))
	}
	dates, times := w.dates, w.times
	if len(dates) == 0 {
		dates = anyDate[:]
	}
	if len(times) == 0 {
		times = anyTime[:]
	}
	for _, d := range dates {
		for _, t := range times {
			if dataset.MatchDateTime(d, t, date, clock) {
				return true
			}
		}
	}
	return false
}

var (
	anyDate [1]dataset.DateKey
	anyTime [1]dataset.TimeKey
)

// dayOrOpen reads "20261122"; empty is an open end.
func dayOrOpen(s string, open int32) int32 {
	t, err := time.Parse("20060102", strings.TrimSpace(s))
	if err != nil {
		return open
	}
	return dayOf(t)
}

func addDays(day int32, n int) int32 {
	return int32(min(max(int64(day)+int64(n), firstDay+1), lastDay-1))
}
