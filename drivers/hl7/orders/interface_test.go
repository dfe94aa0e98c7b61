package orders

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/hl7"
)

const interfaceFile = "../INTERFACE.md"

// tables are the segment tables of INTERFACE.md: the messages that have the
// segment, each built from the least and from the most that an order can hold.
var tables = []struct {
	segment string
	columns []column
}{
	{"MSH", []column{orm, omg, omi, a08, a40}},
	{"EVN", []column{a08, a40}},
	{"PID", []column{orm, omg, omi, a08, a40}},
	{"MRG", []column{a40}},
	{"NK1", []column{a08}},
	{"PV1", []column{orm, omg, omi, a08}},
	{"ORC", []column{orm, omg, omi}},
	{"TQ1", []column{omg, omi}},
	{"OBR", []column{orm, omg, omi}},
	{"NTE", []column{orm, omg, omi}},
	{"OBX", []column{orm, omg, omi, a08}},
	{"ZDS", []column{orm, omg}},
	{"IPC", []column{omi}},
}

type column struct {
	name, message string
	trigger       Trigger
}

var (
	orm = column{"ORM", ORM, New}
	omg = column{"OMG", OMG, New}
	omi = column{"OMI", OMI, New}
	a08 = column{"A08", ORM, PatientUpdate}
	a40 = column{"A40", ORM, Merge}
)

// usage tells of each place of a message whether it is always there (R) or only
// when the order has it (O), with the value of the fullest message.
func usage(t *testing.T, c column) map[string][2]string {
	t.Helper()
	most, least := fullProfile(c.message, ""), &Profile{Message: c.message, SendADT: true}
	meta := testMeta()
	meta.FillerOrderNumber = ""
	full, err := Build(most, c.trigger, fullOrder(), nil, testMeta())
	if err != nil {
		t.Fatal(err)
	}
	little, err := Build(least, c.trigger, minimalOrder(), nil, meta)
	if err != nil {
		t.Fatal(err)
	}
	always := leaves(t, little[0].Bytes)
	out := map[string][2]string{}
	for at, v := range leaves(t, full[0].Bytes) {
		out[at] = [2]string{"O", v}
		if _, ok := always[at]; ok {
			out[at] = [2]string{"R", v}
		}
	}
	return out
}

func leaves(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	m, err := hl7.Parse(raw, hl7.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range m.Segments("") {
		for f := 1; f <= s.Fields(); f++ {
			if s.Name() == "MSH" && f < 3 {
				continue
			}
			for r := 1; r <= s.Count(f); r++ {
				for c := 1; c <= 6; c++ {
					v := s.Get(fmt.Sprintf("%d[%d].%d", f, r, c))
					if v == "" {
						continue
					}
					at := s.Name() + "-" + strconv.Itoa(f)
					if r > 1 {
						at += "[" + strconv.Itoa(r) + "]"
					}
					if c > 1 {
						at += "." + strconv.Itoa(c)
					}
					out[at] = v
				}
			}
		}
	}
	return out
}

// rows are the lines of a table without the source, by place.
func rows(t *testing.T, segment string, columns []column) (places []string, cells map[string][]string) {
	t.Helper()
	cells = map[string][]string{}
	for i, c := range columns {
		for at, u := range usage(t, c) {
			if !strings.HasPrefix(at, segment+"-") {
				continue
			}
			row := cells[at]
			if row == nil {
				row = make([]string, len(columns)+1)
				for j := range columns {
					row[j] = "X"
				}
				places = append(places, at)
			}
			row[i] = u[0]
			if row[len(columns)] == "" {
				row[len(columns)] = strings.ReplaceAll(strings.ReplaceAll(u[1], "|", `\|`), "\n", "⏎")
			}
			cells[at] = row
		}
	}
	slices.SortFunc(places, func(a, b string) int { return order3(a) - order3(b) })
	return places, cells
}

// order3 sorts PID-3, PID-3.4, PID-3[2], PID-5.
func order3(at string) int {
	field, component, _ := strings.Cut(at[4:], ".")
	field, repetition, _ := strings.Cut(strings.TrimSuffix(field, "]"), "[")
	f, _ := strconv.Atoi(field)
	r, _ := strconv.Atoi(repetition)
	c, _ := strconv.Atoi(component)
	return f*10000 + r*100 + c
}

// The segment tables and the examples of INTERFACE.md are those of the code. With
// -update their rows and examples are rewritten; sources stay as they are.
func TestInterface(t *testing.T) {
	b, err := os.ReadFile(interfaceFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	want := text
	for _, table := range tables {
		want = replaceBlock(t, want, "table "+table.segment, renderTable(t, table.segment, table.columns, text))
	}
	for _, name := range []string{"orm-231-new", "orm-231-new-minimal", "orm-24-change", "orm-231-cancel", "orm-231-change-canw-CA", "orm-231-change-canw-NW", "orm-231-change-rp", "omg-251-new", "omi-251-new", "adt-231-update", "adt-231-merge"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name+".hl7"))
		if err != nil {
			t.Fatal(err)
		}
		want = replaceBlock(t, want, "example "+name, "```\n"+readable(raw)+"```\n")
	}
	if want == text {
		return
	}
	if !*update {
		t.Fatal("INTERFACE.md differs from what is sent; look at the difference after go test ./drivers/hl7/orders -run TestInterface -update")
	}
	if err := os.WriteFile(interfaceFile, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

func renderTable(t *testing.T, segment string, columns []column, text string) string {
	t.Helper()
	var out strings.Builder
	out.WriteString("| Place |")
	for _, c := range columns {
		out.WriteString(" " + c.name + " |")
	}
	out.WriteString(" Source | Example |\n|---|" + strings.Repeat("---|", len(columns)+2) + "\n")
	places, cells := rows(t, segment, columns)
	for _, at := range places {
		row := cells[at]
		source := sourceOf(text, at, len(columns))
		if source == "" {
			t.Errorf("INTERFACE.md does not say what %s is", at)
		}
		fmt.Fprintf(&out, "| %s | %s | %s | `%s` |\n", at, strings.Join(row[:len(columns)], " | "), source, row[len(columns)])
	}
	return out.String()
}

// sourceOf is what the document says about a place.
func sourceOf(text, at string, columns int) string {
	for line := range strings.Lines(text) {
		if cells := strings.Split(line, " | "); len(cells) >= columns+2 && cells[0] == "| "+at {
			return cells[columns+1]
		}
	}
	return ""
}

func replaceBlock(t *testing.T, text, name, block string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- end -->"
	i := strings.Index(text, begin)
	if i < 0 {
		t.Fatalf("INTERFACE.md has no %s", begin)
	}
	j := strings.Index(text[i:], end)
	if j < 0 {
		t.Fatalf("%s has no end", begin)
	}
	return text[:i+len(begin)] + block + text[i+j:]
}
