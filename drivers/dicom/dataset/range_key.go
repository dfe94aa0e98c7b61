package dataset

import "strings"

// DateKey is a matching key of VR DA: one date, or a range with both ends
// included (PS3.4 C.2.2.2.5). The zero value matches everything.
type DateKey struct {
	from, to day // 0 is open
	isRange  bool
	set      bool
}

// ParseDateKey reads "20261122", "20261122-", "-20261122",
// "20261122-20261123", "-" (universal), dates also in the old form
// "2026.11.22", with spaces and NULs around. Empty and "*" are universal.
func ParseDateKey(s string) (DateKey, error) {
	if s = strings.Trim(s, " \x00*"); s == "" {
		return DateKey{}, nil
	}
	from, to, isRange := strings.Cut(s, "-")
	from, to = strings.Trim(from, " \x00"), strings.Trim(to, " \x00")
	if isRange && from == "" && to == "" {
		return DateKey{}, nil
	}
	k := DateKey{isRange: isRange, set: true}
	var ok bool
	if from != "" {
		if k.from, ok = parseDay(from); !ok {
			return DateKey{}, ErrDate
		}
	}
	if to != "" {
		if k.to, ok = parseDay(to); !ok {
			return DateKey{}, ErrDate
		}
	}
	if !isRange {
		k.to = k.from
	}
	return k, nil
}

// Universal reports whether the key matches everything.
func (k DateKey) Universal() bool { return !k.set }

// IsRange reports whether the key is a range with at least one end.
func (k DateKey) IsRange() bool { return k.isRange }

// Reversed reports a range that ends before it begins. It matches nothing, and
// whoever asked should be told.
func (k DateKey) Reversed() bool { return k.from != 0 && k.to != 0 && k.to < k.from }

// Bounds returns the first and the last date as "20261122", "" for an open end.
func (k DateKey) Bounds() (from, to string) { return k.from.String(), k.to.String() }

// String returns the key as DICOM writes it, "" when it is universal.
func (k DateKey) String() string {
	if !k.isRange {
		return k.from.String()
	}
	return k.from.String() + "-" + k.to.String()
}

// Match compares with a date, "20261122". An empty or wrong one matches only a
// universal key (PS3.4 C.2.2.2.3).
func (k DateKey) Match(date string) bool {
	if !k.set {
		return true
	}
	d, ok := parseDay(strings.Trim(date, " \x00"))
	return ok && k.contains(d)
}

func (k DateKey) contains(d day) bool {
	return (k.from == 0 || d >= k.from) && (k.to == 0 || d <= k.to)
}

// String returns "20261122", "" for 0.
func (d day) String() string {
	if d == 0 {
		return ""
	}
	var b [8]byte
	for i := 7; i >= 0; i-- {
		b[i] = byte('0' + d%10)
		d /= 10
	}
	return string(b[:])
}

// TimeKey is a matching key of VR TM: a time or a range with both ends included.
// A time covers its whole unit: "09" is 09:00:00 to 09:59:59.999999, and so the
// range "-0900" includes 09:00:59.9. The zero value matches everything.
type TimeKey struct {
	from, to int64 // microseconds since midnight, both included; -1 is open
	isRange  bool
	set      bool
}

// ParseTimeKey reads "hh", "hhmm", "hhmmss", fractions, the forms with colons,
// and ranges of them, with spaces and NULs around. Empty, "-" and "*" are
// universal.
func ParseTimeKey(s string) (TimeKey, error) {
	if s = strings.Trim(s, " \x00*"); s == "" {
		return TimeKey{}, nil
	}
	from, to, isRange := strings.Cut(s, "-")
	from, to = strings.Trim(from, " \x00"), strings.Trim(to, " \x00")
	if isRange && from == "" && to == "" {
		return TimeKey{}, nil
	}
	k := TimeKey{from: -1, to: -1, isRange: isRange, set: true}
	if from != "" {
		first, last, ok := parseClock(from)
		if !ok {
			return TimeKey{}, ErrDate
		}
		k.from = first
		if !isRange {
			k.to = last
		}
	}
	if to != "" {
		_, last, ok := parseClock(to)
		if !ok {
			return TimeKey{}, ErrDate
		}
		k.to = last
	}
	return k, nil
}

// Universal reports whether the key matches everything.
func (k TimeKey) Universal() bool { return !k.set }

// IsRange reports whether the key is a range with at least one end.
func (k TimeKey) IsRange() bool { return k.isRange }

// Reversed reports a range that ends before it begins. Alone it matches nothing;
// together with a range of dates it may be in order: see [MatchDateTime].
func (k TimeKey) Reversed() bool { return k.from >= 0 && k.to >= 0 && k.to < k.from }

// Match compares with a time. An empty or wrong one matches only a universal key.
func (k TimeKey) Match(clock string) bool {
	if !k.set {
		return true
	}
	at, _, ok := parseClock(strings.Trim(clock, " \x00"))
	return ok && k.contains(at)
}

func (k TimeKey) contains(at int64) bool {
	return (k.from < 0 || at >= k.from) && (k.to < 0 || at <= k.to)
}

// MatchDateTime compares a pair of keys with a date and a time. If both are
// ranges they form one interval, from the first date and time to the last (PS3.4
// Table K.6-1, remark): July 5, 10:00 until July 7, 18:00. Otherwise each is
// compared alone.
func MatchDateTime(dateKey DateKey, timeKey TimeKey, date, clock string) bool {
	if !dateKey.isRange || !timeKey.isRange {
		return dateKey.Match(date) && timeKey.Match(clock)
	}
	d, ok := parseDay(strings.Trim(date, " \x00"))
	if !ok {
		return false
	}
	at, _, ok := parseClock(strings.Trim(clock, " \x00"))
	if !ok {
		return false
	}
	if dateKey.from != 0 && (d < dateKey.from || d == dateKey.from && timeKey.from >= 0 && at < timeKey.from) {
		return false
	}
	if dateKey.to != 0 && (d > dateKey.to || d == dateKey.to && timeKey.to >= 0 && at > timeKey.to) {
		return false
	}
	return true
}

// ReversedDateTime reports whether a pair of keys matches nothing because it
// ends before it begins, alone or as one interval.
func ReversedDateTime(dateKey DateKey, timeKey TimeKey) bool {
	if dateKey.Reversed() {
		return true
	}
	if !timeKey.Reversed() {
		return false
	}
	if !dateKey.isRange || !timeKey.isRange {
		return true
	}
	return dateKey.from != 0 && dateKey.from == dateKey.to
}
