package dataset

import (
	"strings"
	"testing"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// TestNamedTags compares our constants with the library's dictionary.
func TestNamedTags(t *testing.T) {
	for i, e := range named {
		info, err := tag.Find(tag.Tag{Group: e.tag.Group(), Element: e.tag.Element()})
		if err != nil {
			t.Errorf("%s: %v", e.tag, err)
			continue
		}
		if info.Keyword != e.keyword || !strings.Contains(strings.Join(info.VRs, " "), e.vr.String()) {
			t.Errorf("%s: %s %s, dictionary %s %v", e.tag, e.keyword, e.vr, info.Keyword, info.VRs)
		}
		if i > 0 && named[i-1].tag >= e.tag {
			t.Errorf("%s out of order", e.tag)
		}
	}
}

func TestDictionary(t *testing.T) {
	for _, c := range []struct {
		tag     Tag
		keyword string
		vr      VR
	}{
		{AccessionNumber, "AccessionNumber", SH},
		{PregnancyStatus, "PregnancyStatus", US},
		{0x00181150, "ExposureTime", IS}, // not among the constants
		{PixelData, "PixelData", OW},
		{0x60003000, "OverlayData", OW},
		{0x60023000, "OverlayData", OW}, // repeating group
		{0x00100000, "", UL},            // group length
		{0x00090010, "", LO},            // private creator
		{0x00091001, "", UN},            // private
		{0x00100FFF, "", UN},            // unknown
		{tagItem, "", UN},
		{DataSetTrailingPadding, "DataSetTrailingPadding", OB},
	} {
		if got := Keyword(c.tag); got != c.keyword {
			t.Errorf("%s: keyword %q", c.tag, got)
		}
		if got := VROf(c.tag); got != c.vr {
			t.Errorf("%s: VR %s", c.tag, got)
		}
	}
	for keyword, want := range map[string]Tag{
		"PatientName": PatientName, "ScheduledProcedureStepSequence": ScheduledProcedureStepSequence,
		"ExposureTime": 0x00181150, "Patient's Name": 0, "patientname": 0, "": 0, strings.Repeat("x", 1000): 0,
	} {
		for range 2 { // the second time from memory
			if got, ok := TagByKeyword(keyword); got != want || ok != (want != 0) {
				t.Errorf("%.20q: %s, %v", keyword, got, ok)
			}
		}
	}
	if got := Tag(0x0040A0FE).String(); got != "(0040,A0FE)" {
		t.Errorf("%s", got)
	}
}

func TestUID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		uid := NewUID()
		if !ValidUID(uid) || len(uid) > 44 || !strings.HasPrefix(uid, "2.25.") || seen[uid] {
			t.Fatalf("%q", uid)
		}
		seen[uid] = true
	}
	for uid, want := range map[string]bool{
		"1.2.840.10008.1.2": true, "1.0.2": true, "0.0": true, "1": false, "": false, "1..2": false, ".1": false, "1.": false, "1.02": false,
		"1.2a": false, "1.2 ": false, "1." + strings.Repeat("9", 62): true, "1." + strings.Repeat("9", 63): false,
	} {
		if ValidUID(uid) != want {
			t.Errorf("%q: %v", uid, !want)
		}
	}
}

func TestSyntax(t *testing.T) {
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		if got, ok := SyntaxByUID(s.UID()); !ok || got != s {
			t.Errorf("%v", s)
		}
	}
	if _, ok := SyntaxByUID("1.2.840.10008.1.2.2"); ok {
		t.Error("big endian")
	}
}
