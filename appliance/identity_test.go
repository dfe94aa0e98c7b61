package appliance

import (
	"strings"
	"testing"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

func TestAccession(t *testing.T) {
	for _, row := range []struct{ prefix, id, want string }{
		{"", "1001", "1001"},
		{"RV", "1001", "RV1001"},
		{"RV", "12345678901234", "RV12345678901234"},
		{"RV", "123456789012345", ""}, // does not fit
		{"", "a b", ""},
		{"", `a\b`, ""},
		{"", "", ""},
		{"", "ä", ""},
	} {
		got := accession(row.prefix, row.id)
		switch {
		case row.want != "" && got != row.want:
			t.Errorf("%q + %q = %q", row.prefix, row.id, got)
		case row.want == "" && (len(got) > shMax || !strings.HasPrefix(got, row.prefix+"H") || got == accession(row.prefix, row.id)):
			t.Errorf("%q + %q = %q", row.prefix, row.id, got)
		}
	}
}

func TestMint(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		o := &order.Order{ProvetID: "7"}
		mint(o, "")
		if !dataset.ValidUID(o.StudyInstanceUID) || seen[o.StudyInstanceUID] || o.RequestedProcedureID != "7" {
			t.Fatalf("%+v", o)
		}
		seen[o.StudyInstanceUID] = true
	}
	for _, a := range []string{"1", "1234567890123456"} {
		for n := 1; n < 12; n++ {
			if id := stepID(a, n); len(id) > shMax || n == 1 && id != a {
				t.Errorf("stepID(%s, %d) = %q", a, n, id)
			}
		}
	}
}
