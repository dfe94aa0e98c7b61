package dataset

import (
	"strings"
	"testing"
)

func TestPersonName(t *testing.T) {
	for _, c := range []struct {
		in   string
		want PersonName
		out  string
	}{
		{"Müller^Bella", PersonName{Family: "Müller", Given: "Bella"}, "Müller^Bella"},
		{"^Bella", PersonName{Given: "Bella"}, "^Bella"},
		{"Müller^Bella^^ ", PersonName{Family: "Müller", Given: "Bella"}, "Müller^Bella"},
		{"a^b^c^d^e^f", PersonName{"a", "b", "c", "d", "e"}, "a^b^c^d^e"},
		{"=山田^太郎", PersonName{Family: "山田", Given: "太郎"}, "山田^太郎"},
		{" \x00", PersonName{}, ""},
		{"^^=", PersonName{}, ""},
	} {
		got := ParsePN(c.in)
		if got != c.want || got.String() != c.out {
			t.Errorf("%q: %+v, %q", c.in, got, got.String())
		}
	}
	if got := (PersonName{Family: "Smith^=\\\r\nJones", Given: "Rex "}).String(); got != "Smith  / Jones^Rex" {
		t.Errorf("cleaned %q", got)
	}
	if got := ParseGroups("a=b^c=d=e"); got != [3]PersonName{{Family: "a"}, {Family: "b", Given: "c"}, {Family: "d"}} {
		t.Errorf("groups %+v", got)
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "BELLA": "BELLA", "Bella": "BELLA", "Müller": "MULLER", "Mu\u0308ller": "MULLER", "Straße": "STRASSE", "STRAẞE": "STRASSE",
		"Søn": "SON", "Ægir": "AEGIR", "Œuvre": "OEUVRE", "Łódź": "LODZ", "Đỗ": "DO", "Þór": "THOR", "İstanbul ışık": "ISTANBUL ISIK",
		"Ñandú": "NANDU", "Юлия": "ЮЛИЯ", "Йод": "ИОД", "Σίσυφος": "ΣΙΣΥΦΟΣ", "O’Neil": "O'NEIL", "a🐕b": "A🐕B",
	} {
		if got := Fold(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
		if got := Fold(want); got != want {
			t.Errorf("%q folds again to %q", want, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { Fold("MULLER^BELLA") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMatchPN(t *testing.T) {
	const name = "Müller^Bella^^"
	for key, want := range map[string]bool{
		"müller*": true, "MULLER^*": true, "Müller^Bella^^": true, "Müller^Bella": true, "Bella": true, "bel*": true, "b?lla": true,
		"": true, "*": true, " ": true, "\x00": true, "^": true, "^^": true, "**": true, "*^*": true, "^Bella": false, "Müller": true,
		"Müll": false, "Bell": false, "ller*": false, "*ller": true, "*ella": true, "Müller^B": false, "Müller^": true, "Muller^bella=": true,
		"Bella^Müller": false, "Mueller": false,
	} {
		if got := MatchPN(key, name); got != want {
			t.Errorf("%q: %v", key, got)
		}
	}
	for _, c := range []struct {
		key, value string
		want       bool
	}{
		{"山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう", true}, // one group is compared with all
		{"太郎", "Yamada^Tarou=山田^太郎", true},
		{"Yamada^Tarou=山田^太郎", "Yamada^Tarou=山田^太郎", true},
		{"Yamada^Tarou=山*", "Yamada^Tarou=山田^太郎", true},
		{"=山田^太郎", "Yamada^Tarou=山田^太郎", true},
		{"Yamada^Tarou=鈴木", "Yamada^Tarou=山田^太郎", false},
		{"Bella", "", false},
		{"", "", true},
		{"*", "", true},
		{"?", "", false},
		{strings.Repeat("*a", 600), strings.Repeat("a", 2000), false}, // longer than 1,024
	} {
		if got := MatchPN(c.key, c.value); got != c.want {
			t.Errorf("%.20q, %.20q: %v", c.key, c.value, got)
		}
	}
}

func TestMatchWildcard(t *testing.T) {
	for _, c := range []struct {
		key, value string
		fold, want bool
	}{
		{"1001", "1001", false, true},
		{"1001", " 1001\x00", false, true},
		{"1001 ", "1001", false, true},
		{"1001", "10011", false, false},
		{"*", "", false, true},
		{"", "", false, true},
		{"", "a", false, false},
		{"?", "ä", false, true},
		{"?", "", false, false},
		{"??", "ä", false, false},
		{"a*c", "abc", false, true},
		{"a*c", "ac", false, true},
		{"a*c", "acb", false, false},
		{"a*b*c", "aXbYbZc", false, true},
		{"*a*", "bab", false, true},
		{"a**?c", "abc", false, true},
		{"a*?c", "ac", false, false},
		{"A", "a", false, false},
		{"A", "a", true, true},
		{"ELB*", "Elbøw", true, true},
		{"dx", "DX", false, false},
		{"[a-z]", "b", false, false},
		{"%", "b", false, false},
		{"*ö", "xxö", false, true},
		{"*?", "ö", false, true},
		{strings.Repeat("a", 1025), strings.Repeat("a", 1025), false, false},
		{strings.Repeat("a", 1024), strings.Repeat("a", 1024), false, true},
		{strings.Repeat("ä", 1024), strings.Repeat("ä", 1024), false, true},
		{strings.Repeat("*", 1024), "x", false, true},
	} {
		if got := MatchWildcard(c.key, c.value, c.fold); got != c.want {
			t.Errorf("%.20q, %.20q: %v", c.key, c.value, got)
		}
	}
}
