package ul

import (
	"strings"
	"testing"
)

// product is PS3.8 Table 9-10, transcribed row by row as the standard prints
// it: the event, then Sta1 to Sta13; "-" is an empty cell, "3/13" and "9/10"
// are the cells with two next states.
const product = `
Evt1   AE-1:4  -        -        -       -        -        -           -        -        -         -        -        -
Evt2   -       -        -        AE-2:5  -        -        -           -        -        -         -        -        -
Evt3   -       AA-1:13  AA-8:13  -       AE-3:6   AA-8:13  AA-8:13     AA-8:13  AA-8:13  AA-8:13   AA-8:13  AA-8:13  AA-6:13
Evt4   -       AA-1:13  AA-8:13  -       AE-4:1   AA-8:13  AA-8:13     AA-8:13  AA-8:13  AA-8:13   AA-8:13  AA-8:13  AA-6:13
Evt5   AE-5:2  -        -        -       -        -        -           -        -        -         -        -        -
Evt6   -       AE-6:3/13 AA-8:13 -       AA-8:13  AA-8:13  AA-8:13     AA-8:13  AA-8:13  AA-8:13   AA-8:13  AA-8:13  AA-7:13
Evt7   -       -        AE-7:6   -       -        -        -           -        -        -         -        -        -
Evt8   -       -        AE-8:13  -       -        -        -           -        -        -         -        -        -
Evt9   -       -        -        -       -        DT-1:6   -           AR-7:8   -        -         -        -        -
Evt10  -       AA-1:13  AA-8:13  -       AA-8:13  DT-2:6   AR-6:7      AA-8:13  AA-8:13  AA-8:13   AA-8:13  AA-8:13  AA-6:13
Evt11  -       -        -        -       -        AR-1:7   -           -        -        -         -        -        -
Evt12  -       AA-1:13  AA-8:13  -       AA-8:13  AR-2:8   AR-8:9/10   AA-8:13  AA-8:13  AA-8:13   AA-8:13  AA-8:13  AA-6:13
Evt13  -       AA-1:13  AA-8:13  -       AA-8:13  AA-8:13  AR-3:1      AA-8:13  AA-8:13  AR-10:12  AR-3:1   AA-8:13  AA-6:13
Evt14  -       -        -        -       -        -        -           AR-4:13  AR-9:11  -         -        AR-4:13  -
Evt15  -       -        AA-1:13  AA-2:1  AA-1:13  AA-1:13  AA-1:13     AA-1:13  AA-1:13  AA-1:13   AA-1:13  AA-1:13  -
Evt16  -       AA-2:1   AA-3:1   -       AA-3:1   AA-3:1   AA-3:1      AA-3:1   AA-3:1   AA-3:1    AA-3:1   AA-3:1   AA-2:1
Evt17  -       AA-5:1   AA-4:1   AA-4:1  AA-4:1   AA-4:1   AA-4:1      AA-4:1   AA-4:1   AA-4:1    AA-4:1   AA-4:1   AR-5:1
Evt18  -       AA-2:1   -        -       -        -        -           -        -        -         -        -        AA-2:1
Evt19  -       AA-1:13  AA-8:13  -       AA-8:13  AA-8:13  AA-8:13     AA-8:13  AA-8:13  AA-8:13   AA-8:13  AA-8:13  AA-7:13
`

func TestStateTable(t *testing.T) {
	next := map[string]State{
		"1": Sta1, "2": Sta2, "3": Sta3, "4": Sta4, "5": Sta5, "6": Sta6, "7": Sta7, "8": Sta8, "9": Sta9,
		"10": Sta10, "11": Sta11, "12": Sta12, "13": Sta13,
	}
	cells := 0
	for line := range strings.Lines(strings.TrimSpace(product)) {
		row := strings.Fields(line)
		if len(row) != 14 {
			t.Fatalf("%s has %d columns", row[0], len(row))
		}
		for e := Evt1; e <= Evt19; e++ {
			if e.String() != row[0] {
				continue
			}
			for s := Sta1; s <= Sta13; s++ {
				cells++
				for _, requestor := range []bool{true, false} {
					action, got, ok := Next(s, e, requestor)
					cell := row[s]
					if cell == "-" {
						if ok || got != s || action != "" {
							t.Errorf("%v %v: %v %v, want nothing", s, e, action, got)
						}
						continue
					}
					want, states, _ := strings.Cut(cell, ":")
					first, second, two := strings.Cut(states, "/")
					if two && !requestor && e == Evt12 {
						first = second
					}
					if !ok || string(action) != want || got != next[first] {
						t.Errorf("%v %v requestor %v: %v %v, want %s %s", s, e, requestor, action, got, want, first)
					}
				}
			}
		}
	}
	if cells != 13*19 {
		t.Errorf("%d cells of %d", cells, 13*19)
	}
	for _, out := range [][2]byte{{0, 1}, {14, 1}, {1, 0}, {1, 20}} {
		if _, _, ok := Next(State(out[0]), Event(out[1]), true); ok {
			t.Errorf("%v is allowed", out)
		}
	}
}
