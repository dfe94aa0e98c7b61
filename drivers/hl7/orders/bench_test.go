package orders

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// Building and reading back a full OMI^O23.
func BenchmarkBuildAndRead(b *testing.B) {
	p, o, meta := fullProfile(OMI, ""), fullOrder(), testMeta()
	for b.Loop() {
		out, err := Build(p, New, o, nil, meta)
		if err != nil {
			b.Fatal(err)
		}
		m, err := hl7.Parse(out[0].Bytes, hl7.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Read(p, m); err != nil {
			b.Fatal(err)
		}
	}
}

// A report with a PDF of 20 MB, from the frame to the document.
func BenchmarkLargeReport(b *testing.B) {
	pdf := base64.StdEncoding.EncodeToString(append([]byte("%PDF-"), make([]byte, 15<<20)...))
	raw := []byte(msh("ORU^R01") + "\rPID|1||1001\rOBR|1|A|F" + strings.Repeat("|", 22) + "F\rOBX|1|ED|R^Report||^AP^PDF^Base64^" + pdf + "\r")
	b.ReportAllocs()
	for b.Loop() {
		m, err := hl7.Parse(raw, hl7.Options{})
		if err != nil {
			b.Fatal(err)
		}
		r, err := Read(&Profile{}, m)
		if err != nil || r[0].Documents[0].Broken {
			b.Fatal(err)
		}
	}
}
