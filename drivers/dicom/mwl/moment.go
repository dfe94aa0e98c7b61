package mwl

import (
	"math"
	"time"
)

// moment is a civil date and a time of day in the clinic's zone: what stands on
// a wall clock, which is what DA and TM carry.
type moment struct {
	day int32 // days since 1970-01-01
	ms  int32 // since midnight
}

// The ends of an open range.
const (
	firstDay = math.MinInt32
	lastDay  = math.MaxInt32
)

// momentOf reads the wall clock of t.
func momentOf(t time.Time) moment {
	h, m, s := t.Clock()
	return moment{
		day: dayOf(t),
		ms:  int32(((h*60+m)*60+s)*1000 + t.Nanosecond()/1e6),
	}
}

// dayOf returns the civil day of t in its own zone.
func dayOf(t time.Time) int32 {
	y, m, d := t.Date()
	days := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
	return int32(min(max(days, math.MinInt32+1), math.MaxInt32-1))
}

// date returns midnight of the day in UTC, for formatting.
func (m moment) date() time.Time { return time.Unix(int64(m.day)*86400, 0).UTC() }

func (m moment) before(o moment) bool {
	return m.day < o.day || m.day == o.day && m.ms < o.ms
}

// appendDate appends YYYYMMDD.
func appendDate(b []byte, day int32) []byte {
	return moment{day: day}.date().AppendFormat(b, "20060102")
}

// appendTime appends HHMMSS.
func appendTime(b []byte, ms int32) []byte {
	s := ms / 1000
	h, m := s/3600, s/60%60
	s %= 60
	return append(b, '0'+byte(h/10), '0'+byte(h%10), '0'+byte(m/10), '0'+byte(m%10), '0'+byte(s/10), '0'+byte(s%10))
}

// time returns the instant at which a wall clock in zone shows the moment.
func (m moment) time(zone *time.Location) time.Time {
	y, mo, d := m.date().Date()
	s := int(m.ms / 1000)
	return time.Date(y, mo, d, s/3600, s/60%60, s%60, int(m.ms%1000)*1e6, zone)
}

// in returns the moment as the wall clock of another zone shows it.
func (m moment) in(from, to *time.Location) moment { return momentOf(m.time(from).In(to)) }
