package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration written as "30s", "5m", "24h", "90d" or "1d12h".
type Duration time.Duration

const day = 24 * time.Hour

// ParseDuration reads a Duration. A day has 24 hours.
func ParseDuration(s string) (Duration, error) {
	text := strings.TrimSpace(s)
	var days time.Duration
	if before, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 32)
		if err != nil || n > math.MaxInt64/uint64(day) {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		days, text = time.Duration(n)*day, after
		if text == "" {
			return Duration(days), nil
		}
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 || days > math.MaxInt64-rest {
		return 0, fmt.Errorf("%q is not a duration", s)
	}
	return Duration(days + rest), nil
}

// String returns the shortest form that reads back as the same.
func (d Duration) String() string {
	t := time.Duration(d)
	if t >= 2*day && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form of ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := ParseDuration(string(b))
	if err != nil {
		return err
	}
	*d = v
	return nil
}

// D returns d as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Names is one name or a list of names. In the file a single name may stand
// without brackets, and a number counts as its digits.
type Names []string

// Value is a text that may be written as a number in the file: Provet's choices
// are numbers in some resources and words in others.
type Value string
