package mpps_test

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
)

// Whatever a console sends, the report is bounded by the message and holds
// nothing but text.
func FuzzParse(f *testing.F) {
	f.Add(true, true, begin(f, "IN PROGRESS"))
	f.Add(false, true, end(f, "COMPLETED"))
	f.Add(true, false, []byte{0x40, 0, 0x70, 2, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff})
	f.Add(true, false, []byte{8, 0, 5, 0, 10, 0, 0, 0, 'I', 'S', 'O', '_', 'I', 'R', ' ', '1', '6', '6'})
	files, err := filepath.Glob("testdata/*.dcm")
	if err != nil || len(files) == 0 {
		f.Fatal("no recorded data sets", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(true, true, data)
	}
	f.Fuzz(func(t *testing.T, create, explicit bool, data []byte) {
		op, syntax := mpps.NSet, dataset.ImplicitLE
		if create {
			op = mpps.NCreate
		}
		if explicit {
			syntax = dataset.ExplicitLE
		}
		r, err := mpps.Parse(op, data, syntax.UID(), mpps.ParseConfig{Charset: "ISO_IR 100"})
		if err != nil {
			return
		}
		series, instances := r.Images()
		if series > len(data)/8 || instances > len(data)/8 || len(r.References) > len(data)/8+1 {
			t.Fatalf("%d series, %d instances, %d references from %d bytes", series, instances, len(r.References), len(data))
		}
		for _, s := range append([]string{r.PatientName, r.PatientID, r.Status, r.Description, r.Discontinuation.Value}, r.Notes...) {
			if !utf8.ValidString(s) {
				t.Fatalf("%q is not UTF-8", s)
			}
		}
		_ = r.LogValue()
	})
}
