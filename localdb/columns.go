package localdb

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// ms returns t for a column that may be NULL: NULL for the zero time.
func ms(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// msNotNull returns t for a NOT NULL column: 0 for the zero time.
func msNotNull(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// intoTime scans a column of either kind into a time in UTC.
type intoTime struct{ t *time.Time }

func (a intoTime) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*a.t = time.Time{}
	case int64:
		*a.t = fromMS(v)
	default:
		return fmt.Errorf("localdb: %T is not a time", src)
	}
	return nil
}

func fromMS(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(v).UTC()
}

// orNull returns s for a column that may be NULL: NULL for the empty text.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// idOrNull returns a foreign key: NULL for 0.
func idOrNull(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// intoText scans a text column that may be NULL.
type intoText struct{ s *string }

func (t intoText) Scan(src any) error {
	var v sql.NullString
	err := v.Scan(src)
	*t.s = v.String
	return err
}

// intoNum scans an integer column that may be NULL.
type intoNum struct{ n *int64 }

func (n intoNum) Scan(src any) error {
	var v sql.NullInt64
	err := v.Scan(src)
	*n.n = v.Int64
	return err
}

// intoJSON scans a text column that holds JSON.
type intoJSON struct{ v any }

func (j intoJSON) Scan(src any) error {
	switch s := src.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(s), j.v)
	case []byte:
		return json.Unmarshal(s, j.v)
	}
	return fmt.Errorf("localdb: %T is not JSON", src)
}

// toJSON returns v for a text column.
func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("localdb: %w", err)
	}
	return string(b), nil
}

// fold returns s as it is searched: without case and accents, each run of
// spaces as one.
func fold(s string) string {
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if !ascii {
		s = strings.Map(func(r rune) rune {
			switch {
			case unicode.Is(unicode.Mn, r):
				return -1
			case r == 'ß':
				return 's'
			case r == 'ø', r == 'Ø':
				return 'o'
			case r == 'ł', r == 'Ł':
				return 'l'
			}
			return r
		}, norm.NFKD.String(s))
	}
	return strings.Join(strings.Fields(strings.ToLower(s)), " ")
}
