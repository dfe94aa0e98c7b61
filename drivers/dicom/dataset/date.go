package dataset

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrDate is the error of everything that is no date, time or range. It does
// not contain the value.
var ErrDate = errors.New("dataset: not a date or time of DICOM")

// FormatDate writes the date of t in its own location as DA, "20261122".
func FormatDate(t time.Time) string { return t.Format("20060102") }

// FormatTime writes the time of day of t in its own location as TM, "101500".
// Fractions of a second are left out.
func FormatTime(t time.Time) string { return t.Format("150405") }

// FormatDateTime writes t as DT with its offset from UTC, "20261122101500+0200".
func FormatDateTime(t time.Time) string { return t.Format("20060102150405-0700") }

// ParseDate reads DA, or its old form "2026.11.22", as midnight in loc. Where a
// clock change skips midnight the first moment of the day results.
func ParseDate(s string, loc *time.Location) (time.Time, error) {
	d, ok := parseDay(strings.Trim(s, " \x00"))
	if !ok {
		return time.Time{}, ErrDate
	}
	return d.in(0, loc), nil
}

// ParseTime reads TM: "hh", "hhmm", "hhmmss", with up to six digits of fraction,
// or its old form with colons, as the time since midnight. Second 60 is read as
// 59.999999.
func ParseTime(s string) (time.Duration, error) {
	from, _, ok := parseClock(strings.Trim(s, " \x00"))
	if !ok {
		return 0, ErrDate
	}
	return time.Duration(from) * time.Microsecond, nil
}

// ParseDateAndTime joins a DA and a TM in loc. An empty time is midnight. When a
// clock change makes the time happen twice, which of the two is meant is left to
// [time.Date]; one that does not happen is moved by the change.
func ParseDateAndTime(date, clock string, loc *time.Location) (time.Time, error) {
	d, ok := parseDay(strings.Trim(date, " \x00"))
	if !ok {
		return time.Time{}, ErrDate
	}
	clock = strings.Trim(clock, " \x00")
	if clock == "" {
		return d.in(0, loc), nil
	}
	from, _, ok := parseClock(clock)
	if !ok {
		return time.Time{}, ErrDate
	}
	return d.in(from, loc), nil
}

// ParseDateTime reads DT, "YYYYMMDDHHMMSS.FFFFFF&ZZXX", of which everything from
// the month on may be missing. Without an offset of its own it is in loc.
func ParseDateTime(s string, loc *time.Location) (time.Time, error) {
	s = strings.Trim(s, " \x00")
	if i := strings.LastIndexAny(s, "+-"); i >= 4 {
		zone, err := ParseTimezoneOffset(s[i:])
		if err != nil {
			return time.Time{}, err
		}
		s, loc = s[:i], zone
	}
	date, clock := s, ""
	if len(s) > 8 {
		date, clock = s[:8], s[8:]
	}
	switch len(date) {
	case 4:
		date += "0101"
	case 6:
		date += "01"
	}
	d, ok := parseDay(date)
	if !ok {
		return time.Time{}, ErrDate
	}
	if clock == "" {
		return d.in(0, loc), nil
	}
	from, _, ok := parseClock(clock)
	if !ok || strings.Contains(clock, ":") {
		return time.Time{}, ErrDate
	}
	return d.in(from, loc), nil
}

// ParseTimezoneOffset reads Timezone Offset From UTC (0008,0201), "+0200": from
// -1200 to +1400.
func ParseTimezoneOffset(s string) (*time.Location, error) {
	s = strings.Trim(s, " \x00")
	if len(s) != 5 || s[0] != '+' && s[0] != '-' {
		return nil, ErrDate
	}
	h, ok1 := digits(s[1:3])
	m, ok2 := digits(s[3:5])
	if !ok1 || !ok2 || m > 59 {
		return nil, ErrDate
	}
	minutes := h*60 + m
	if s[0] == '-' {
		minutes = -minutes
	}
	if minutes < -12*60 || minutes > 14*60 {
		return nil, ErrDate
	}
	return time.FixedZone(s, minutes*60), nil
}

// FormatTimezoneOffset writes the offset of t as (0008,0201).
func FormatTimezoneOffset(t time.Time) string { return t.Format("-0700") }

// FormatAge writes the age on the day now of an animal born on the day born as
// AS: days below four weeks, weeks below three months, months below two years,
// else years. "" when born lies ahead or too far back.
func FormatAge(born, now time.Time) string {
	y, m, d := now.Date()
	by, bm, bd := born.Date()
	days := int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Sub(time.Date(by, bm, bd, 0, 0, 0, 0, time.UTC)) / (24 * time.Hour))
	months := (y-by)*12 + int(m) - int(bm)
	if d < bd {
		months--
	}
	n, unit := months/12, "Y"
	switch {
	case days < 0 || n > 999:
		return ""
	case days < 28:
		n, unit = days, "D"
	case months < 3:
		n, unit = days/7, "W"
	case months < 24:
		n, unit = months, "M"
	}
	s := strconv.Itoa(n)
	return "000"[len(s):] + s + unit
}

// day is a date as the number yyyymmdd, which compares like the date.
type day int32

// in returns the moment that many microseconds after midnight by the clock.
func (d day) in(micros int64, loc *time.Location) time.Time {
	us := micros % 1e6
	sec := micros / 1e6
	return time.Date(int(d/10000), time.Month(d/100%100), int(d%100),
		int(sec/3600), int(sec/60%60), int(sec%60), int(us)*1000, loc)
}

// parseDay reads "20261122" or "2026.11.22" and checks that the day exists.
func parseDay(s string) (day, bool) {
	if len(s) == 10 && s[4] == '.' && s[7] == '.' {
		s = s[:4] + s[5:7] + s[8:]
	}
	if len(s) != 8 {
		return 0, false
	}
	n, ok := digits(s)
	if !ok {
		return 0, false
	}
	y, m, d := n/10000, n/100%100, n%100
	if y == 0 || m < 1 || m > 12 || d < 1 || d > daysIn(y, m) {
		return 0, false
	}
	return day(n), true
}

func daysIn(y, m int) int {
	switch m {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// parseClock reads TM and returns the first and the last microsecond of the day
// that it covers: "09" is 09:00:00.000000 to 09:59:59.999999.
func parseClock(s string) (from, to int64, ok bool) {
	s, fraction, hasFraction := strings.Cut(s, ".")
	switch {
	case len(s) == 5 && s[2] == ':':
		s = s[:2] + s[3:]
	case len(s) == 8 && s[2] == ':' && s[5] == ':':
		s = s[:2] + s[3:5] + s[6:]
	}
	if len(s) != 2 && len(s) != 4 && len(s) != 6 || hasFraction && (len(s) != 6 || fraction == "" || len(fraction) > 6) {
		return 0, 0, false
	}
	n, ok := digits(s)
	if !ok {
		return 0, 0, false
	}
	unit := int64(1e6)
	switch len(s) {
	case 2:
		n, unit = n*10000, 3600e6
	case 4:
		n, unit = n*100, 60e6
	}
	h, m, sec := n/10000, n/100%100, n%100
	if h > 23 || m > 59 || sec > 60 {
		return 0, 0, false
	}
	leap := sec == 60
	if leap {
		sec = 59
	}
	from = int64(h*3600+m*60+sec) * 1e6
	if hasFraction {
		f, ok := digits(fraction)
		if !ok {
			return 0, 0, false
		}
		unit = 1
		for range 6 - len(fraction) {
			unit *= 10
		}
		from += int64(f) * unit
	}
	to = from + unit - 1
	if leap {
		from = from/1e6*1e6 + 999_999
		to = from
	}
	return from, to, true
}

// digits reads up to nine decimal digits and nothing else.
func digits(s string) (int, bool) {
	if len(s) == 0 || len(s) > 9 {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}
