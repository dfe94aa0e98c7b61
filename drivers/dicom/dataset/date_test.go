package dataset

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestDateKey(t *testing.T) {
	for _, c := range []struct {
		key  string
		days string // of 20261121, 22, 23, and the empty value: which match
	}{
		{"20261122", ".x.."},
		{"20261122-", ".xx."},
		{"-20261122", "xx.."},
		{"20261122-20261122", ".x.."},
		{"20261121-20261123", "xxx."},
		{"2026.11.22", ".x.."},
		{"2026.11.22-2026.11.23", ".xx."},
		{"20261122 ", ".x.."},
		{"20261122\x00", ".x.."},
		{"20261122 - 20261123 ", ".xx."},
		{"", "xxxx"},
		{"-", "xxxx"},
		{"*", "xxxx"},
		{" \x00", "xxxx"},
		{" - ", "xxxx"},
		{"20261123-20261121", "...."},
	} {
		k, err := ParseDateKey(c.key)
		if err != nil {
			t.Errorf("%q: %v", c.key, err)
			continue
		}
		for i, d := range []string{"20261121", "20261122 ", "2026.11.23", ""} {
			if got := k.Match(d); got != (c.days[i] == 'x') {
				t.Errorf("%q, %q: %v", c.key, d, got)
			}
		}
		if k.Reversed() != (c.key == "20261123-20261121") || k.Universal() != (c.days == "xxxx") {
			t.Errorf("%q: reversed %v, universal %v", c.key, k.Reversed(), k.Universal())
		}
		if again, err := ParseDateKey(k.String()); err != nil || again != k {
			t.Errorf("%q became %q", c.key, k.String())
		}
	}
	for _, key := range []string{"2026", "20261322", "20260229", "2026112", "202611222", "20261122-2", "20261122--20261123", "today", "2026-11-22", "00000000", "2026/11/22"} {
		if _, err := ParseDateKey(key); !errors.Is(err, ErrDate) || strings.Contains(err.Error(), key) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestTimeKey(t *testing.T) {
	for _, c := range []struct {
		key     string
		matches []string
		not     []string
	}{
		{"09", []string{"09", "0900", "090000", "095959.999999"}, []string{"10", "0859", ""}},
		{"0915", []string{"0915", "091559", "09:15"}, []string{"0914", "0916"}},
		{"091500", []string{"0915", "091500.5"}, []string{"091501"}},
		{"091500.5", []string{"091500.5", "091500.59"}, []string{"091500.4", "0915"}},
		{"-0900", []string{"000000", "090059.9"}, []string{"090100"}},
		{"0900-", []string{"0900", "235959"}, []string{"085959"}},
		{"000000-235959", []string{"0000", "235959.999999", "12"}, nil},
		{"09:00-17:30", []string{"0900", "173059"}, []string{"1731"}},
		{"09:00:00-17:30:00 ", []string{"0900", "173000.1"}, []string{"173001"}},
		{"0900-1700\x00", []string{"12"}, []string{"18"}},
		{"", []string{"", "12"}, nil},
		{"-", []string{"12"}, nil},
		{"*", []string{"12"}, nil},
		{"17-09", nil, []string{"18", "08", "12", "17", "09"}},
		{"235960", []string{"235960"}, []string{"235959"}},
	} {
		k, err := ParseTimeKey(c.key)
		if err != nil {
			t.Errorf("%q: %v", c.key, err)
			continue
		}
		for _, v := range c.matches {
			if !k.Match(v) {
				t.Errorf("%q does not match %q", c.key, v)
			}
		}
		for _, v := range c.not {
			if k.Match(v) {
				t.Errorf("%q matches %q", c.key, v)
			}
		}
		if k.Reversed() != (c.key == "17-09") {
			t.Errorf("%q reversed", c.key)
		}
	}
	for _, key := range []string{"9", "25", "0960", "090061", "0900.5", "090000.", "090000.1234567", "9:00", "09:0", "0900-1", "noon", "0900--1000"} {
		if _, err := ParseTimeKey(key); !errors.Is(err, ErrDate) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestMatchDateTime(t *testing.T) {
	for _, c := range []struct {
		dates, times string
		matches, not []string
		reversed     bool
	}{
		// The remark of Table K.6-1: July 5, 10:00 until July 7, 18:00.
		{"20260705-20260707", "1000-1800", []string{"20260705 1000", "20260706 0300", "20260706 2300", "20260707 1800"}, []string{"20260705 0959", "20260707 1801", "20260704 1200"}, false},
		{"20260705-20260706", "2200-0600", []string{"20260705 2200", "20260706 0600"}, []string{"20260705 2159", "20260706 0601"}, false},
		{"20260705-20260705", "2200-0600", nil, []string{"20260705 2300", "20260705 0300"}, true},
		{"20260705", "1000-1800", []string{"20260705 1000"}, []string{"20260705 0959", "20260706 1200"}, false},
		{"20260705-20260707", "10", []string{"20260706 1030"}, []string{"20260706 1100"}, false},
		{"20260705-", "1000-", []string{"20260705 1000", "20260706 0000"}, []string{"20260705 0959"}, false},
		{"-20260707", "-1800", []string{"20260707 1800", "20260101 2300"}, []string{"20260707 1801"}, false},
		{"20260705-20260705", "000000-235959", []string{"20260705 0000", "20260705 235959.9"}, []string{"20260704 2359", "20260706 0000"}, false},
		{"", "1000-1800", []string{"20260705 1000"}, []string{"20260705 0900"}, false},
		{"20260705-20260707", "", []string{"20260707 2359"}, []string{"20260708 0000"}, false},
		{"", "", []string{"20260705 1000", " "}, nil, false},
		{"20260707-20260705", "", nil, []string{"20260706 1200"}, true},
		{"20260705", "1800-1000", nil, []string{"20260705 1900"}, true},
	} {
		dk, err1 := ParseDateKey(c.dates)
		tk, err2 := ParseTimeKey(c.times)
		if err1 != nil || err2 != nil {
			t.Fatal(c, err1, err2)
		}
		for _, v := range c.matches {
			if d, tm, _ := strings.Cut(v, " "); !MatchDateTime(dk, tk, d, tm) {
				t.Errorf("%s %s does not match %s", c.dates, c.times, v)
			}
		}
		for _, v := range c.not {
			if d, tm, _ := strings.Cut(v, " "); MatchDateTime(dk, tk, d, tm) {
				t.Errorf("%s %s matches %s", c.dates, c.times, v)
			}
		}
		if ReversedDateTime(dk, tk) != c.reversed {
			t.Errorf("%s %s: reversed %v", c.dates, c.times, !c.reversed)
		}
	}
}

func TestParseTimes(t *testing.T) {
	helsinki := zone(t, "Europe/Helsinki")
	for _, c := range []struct{ date, clock, want string }{
		{"20261122", "101500", "2026-11-22T10:15:00+02:00"},
		{"2026.11.22", "10:15", "2026-11-22T10:15:00+02:00"},
		{"20261122 ", "", "2026-11-22T00:00:00+02:00"},
		{"20261122", "235960", "2026-11-22T23:59:59.999999+02:00"},
		{"20260701", "00", "2026-07-01T00:00:00+03:00"},
		{"20260329", "0330", "2026-03-29T04:30:00+03:00"}, // does not exist: clocks go forward at 03:00
	} {
		got, err := ParseDateAndTime(c.date, c.clock, helsinki)
		if err != nil || got.Format(time.RFC3339Nano) != c.want {
			t.Errorf("%s %s: %v, %v", c.date, c.clock, got.Format(time.RFC3339Nano), err)
		}
	}
	for s, want := range map[string]string{
		"20261122101500": "2026-11-22T10:15:00+02:00", "20261122101500.123456+0100": "2026-11-22T10:15:00.123456+01:00", "2026": "2026-01-01T00:00:00+02:00",
		"202611": "2026-11-01T00:00:00+02:00", "2026112210": "2026-11-22T10:00:00+02:00", "20261122-0500": "2026-11-22T00:00:00-05:00", "2026-0500": "2026-01-01T00:00:00-05:00",
	} {
		got, err := ParseDateTime(s, helsinki)
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %v, %v", s, got.Format(time.RFC3339Nano), err)
		}
	}
	for _, s := range []string{"", "20", "202613", "20261122 10", "2026112299", "20261122+9999", "20261122+01", "now"} {
		if _, err := ParseDateTime(s, helsinki); !errors.Is(err, ErrDate) {
			t.Errorf("%q: %v", s, err)
		}
	}
	at := time.Date(2026, 11, 22, 1, 2, 3, 4e8, helsinki)
	if FormatDate(at) != "20261122" || FormatTime(at) != "010203" || FormatDateTime(at) != "20261122010203+0200" || FormatTimezoneOffset(at) != "+0200" {
		t.Error(FormatDate(at), FormatTime(at), FormatDateTime(at))
	}
	if d, err := ParseTime("1015"); err != nil || d != 10*time.Hour+15*time.Minute {
		t.Error(d, err)
	}
	if d, err := ParseDate("20261122", helsinki); err != nil || !d.Equal(time.Date(2026, 11, 22, 0, 0, 0, 0, helsinki)) {
		t.Error(d, err)
	}
	for s, want := range map[string]int{"+0200": 7200, "-0330": -12600, "+1400": 50400, "-1200": -43200, "+0000 ": 0} {
		loc, err := ParseTimezoneOffset(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, off := at.In(loc).Zone(); off != want {
			t.Errorf("%s: %d", s, off)
		}
	}
	for _, s := range []string{"", "0200", "+1500", "-1201", "+02:00", "+0260", "+02"} {
		if _, err := ParseTimezoneOffset(s); err == nil {
			t.Errorf("%q", s)
		}
	}
}

func TestFormatAge(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for born, want := range map[string]string{
		"20261122": "000D", "20261120": "002D", "20261026": "027D", "20261025": "004W", "20260901": "011W", "20260822": "003M", "20241123": "023M",
		"20241122": "002Y", "20190401": "007Y", "20261123": "", "10200101": "",
	} {
		d, err := ParseDate(born, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if got := FormatAge(d, now); got != want {
			t.Errorf("%s: %q, want %q", born, got, want)
		}
	}
}
