package query

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTarget(t *testing.T) {
	good := map[string]Target{
		"PACS@10.0.0.1:104":        {CalledAETitle: "PACS", Address: "10.0.0.1:104"},
		" A B @host:11112 ":        {CalledAETitle: "A B", Address: "host:11112"},
		"X@Y@[::1]:104":            {CalledAETitle: "X@Y", Address: "[::1]:104"},
		"ABCDEFGHIJKLMNOP@h:65535": {CalledAETitle: "ABCDEFGHIJKLMNOP", Address: "h:65535"},
	}
	for in, want := range good {
		got, err := ParseTarget(in)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("ParseTarget(%q) = %+v, %v", in, got, err)
		}
		if again, err := ParseTarget(got.String()); err != nil || !cmp.Equal(again, got) {
			t.Errorf("%q does not read back: %+v, %v", got.String(), again, err)
		}
	}
	for _, in := range []string{
		"", "@", "PACS", "PACS@", "PACS@host", "PACS@host:", "PACS@host:0", "PACS@host:65536", "PACS@host:dicom",
		"@host:104", "  @host:104", "ABCDEFGHIJKLMNOPQ@h:104", "A\\B@h:104", "Ä@h:104", "A\x01@h:104",
		"PACS@:104", "PACS@::1:104", "PACS@ho st:104",
	} {
		var te *TargetError
		if got, err := ParseTarget(in); !errors.As(err, &te) {
			t.Errorf("ParseTarget(%q) = %+v, %v; want a TargetError", in, got, err)
		}
	}
}
