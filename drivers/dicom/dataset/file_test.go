package dataset

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testImplementation = "2.25.119273646528346598374652938746592837465"

// fileBytes puts a file together from meta elements and a data set.
func fileBytes(meta, body []byte) []byte {
	b := append(make([]byte, preamble), prefix...)
	b = AppendElement(b, ExplicitLE, FileMetaInformationGroupLength, UL, []byte{byte(len(meta)), byte(len(meta) >> 8), 0, 0})
	return append(append(b, meta...), body...)
}

func metaFor(uid string) []byte {
	return AppendElement(nil, ExplicitLE, TransferSyntaxUID, UI, []byte(uid))
}

func TestHostileFiles(t *testing.T) {
	explicit := metaFor(explicitLEUID)
	open := unhex(t, "40000001 FFFFFFFF FEFF00E0 FFFFFFFF")
	for _, c := range []struct {
		name string
		file []byte
	}{
		{"L3 UT of 2 GiB", fileBytes(explicit, unhex(t, "10002000 55540000 F0FFFF7F 4142"))},
		{"L3 OB of 2 GiB", fileBytes(explicit, unhex(t, "10002000 4F420000 F0FFFF7F 4142"))},
		{"L5 depth", fileBytes(metaFor(implicitLEUID), bytes.Repeat(open, 1000))},
		{"L6 sequence with a non-item", fileBytes(metaFor(implicitLEUID), unhex(t, "40000001 0A000000 10002000 02000000 4944"))},
		{"L7 charset as UN", fileBytes(explicit, append(unhex(t, "08000500 554E0000 0A000000"), "ISO_IR 100"...))},
		{"L9 empty transfer syntax", fileBytes(metaFor(""), nil)},
		{"L9 unknown transfer syntax", fileBytes(metaFor("1.2.3"), nil)},
		{"L9 no transfer syntax", fileBytes(nil, nil)},
		{"two transfer syntaxes", fileBytes(append(metaFor(implicitLEUID), metaFor(explicitLEUID)...), nil)},
		{"two values", fileBytes(metaFor(implicitLEUID+`\`+explicitLEUID), nil)},
		{"L10 transfer syntax as UN", fileBytes(AppendElement(nil, ExplicitLE, TransferSyntaxUID, UN, []byte(explicitLEUID)), nil)},
		{"L10 transfer syntax as US", fileBytes(AppendElement(nil, ExplicitLE, TransferSyntaxUID, US, []byte{1, 0}), nil)},
		{"L11 deflated", fileBytes(metaFor("1.2.840.10008.1.2.1.99"), make([]byte, 1000))},
		{"JPIP deflated", fileBytes(metaFor("1.2.840.10008.1.2.4.95"), nil)},
		{"big endian", fileBytes(metaFor("1.2.840.10008.1.2.2"), nil)},
		{"no preamble", append(metaFor(explicitLEUID), make([]byte, 200)...)},
		{"empty", nil},
		{"shorter than the preamble", make([]byte, 131)},
		{"meta of 2 GiB", fileBytes(AppendHeader(nil, ExplicitLE, 0x00020102, OB, 0x7FFFFFFF), nil)},
		{"meta of 70 KiB", fileBytes(AppendElement(nil, ExplicitLE, 0x00020102, OB, make([]byte, 70<<10)), nil)},
		{"group 0002 behind the data set", fileBytes(explicit, append(AppendElement(nil, ExplicitLE, PatientID, LO, []byte("1")), explicit...))},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, read := range []func() (*File, error){
				func() (*File, error) { return ParseFile(c.file) },
				func() (*File, error) { return ReadFile(bytes.NewReader(c.file)) },
			} {
				var f *File
				var err error
				if n := allocated(func() { f, err = read() }); n > 1<<20 {
					t.Errorf("%d bytes allocated", n)
				}
				if err == nil || f != nil {
					t.Error("accepted")
				}
			}
		})
	}
}

// TestFilesRead are files that a general library reads wrongly or dies of, and
// that we read.
func TestFilesRead(t *testing.T) {
	thai := AppendElement(nil, ExplicitLE, SpecificCharacterSet, CS, []byte("ISO_IR 166"))
	thai = AppendElement(thai, ExplicitLE, PatientID, LO, []byte("\xb9\xd2"))
	odd := AppendElement(nil, ExplicitLE, SpecificCharacterSet, CS, []byte("UTF-8"))
	odd = AppendElement(odd, ExplicitLE, PatientID, LO, []byte("Müller"))
	long := AppendElement(nil, ExplicitLE, PatientID, LO, []byte("before"))
	long = AppendElement(long, ExplicitLE, 0x00720082, SV, make([]byte, 8))
	pixels := append(AppendElement(nil, ExplicitLE, PatientID, LO, []byte("before")), unhex(t, "E07F1000 4F420000 FFFFFFFF FEFF00E0 00000000 FEFF00E0 F0FFFF7F 0102")...)
	for _, c := range []struct {
		name, uid string
		body      []byte
		want      string
	}{
		{"L8 Thai", explicitLEUID, thai, "นา"},
		{"L12 UTF-8", explicitLEUID, odd, "Müller"},
		{"L17 SV", explicitLEUID, long, "before"},
		{"L4 pixels are not looked at", "1.2.840.10008.1.2.4.70", pixels, "before"},
		{"L19 shorter than 100 bytes", implicitLEUID, AppendElement(nil, ImplicitLE, PatientID, LO, []byte("x")), "x"},
		{"empty data set", implicitLEUID, nil, ""},
	} {
		f, err := ReadFile(bytes.NewReader(fileBytes(metaFor(c.uid), c.body)))
		if err != nil || f.Second != nil {
			t.Errorf("%s: %v, %+v", c.name, err, f)
			continue
		}
		if got := f.Set.Text(PatientID, f.Set.Charset()); got != c.want || f.TransferSyntaxUID != c.uid {
			t.Errorf("%s: %q, %s", c.name, got, f.TransferSyntaxUID)
		}
	}
}

// TestReadFileStops: a large file is not read beyond its header.
func TestReadFileStops(t *testing.T) {
	head := fileBytes(metaFor(explicitLEUID), AppendElement(nil, ExplicitLE, PatientComments, LT, bytes.Repeat([]byte("x"), 60_000)))
	head = AppendElement(head, ExplicitLE, 0x00081199, UT, bytes.Repeat([]byte("x"), 500_000))
	head = append(head, unhex(t, "E07F1000 4F570000 00000040")...)
	rest := io.LimitReader(zeros{}, 1<<30)
	n := allocated(func() {
		f, err := ReadFile(io.MultiReader(bytes.NewReader(head), rest))
		if err != nil || len(f.Set.Elements) != 2 {
			t.Errorf("%v", err)
		}
	})
	if n > 16<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	_, err := ReadFile(io.MultiReader(bytes.NewReader(fileBytes(metaFor(explicitLEUID), unhex(t, "08009911 55540000 00000040"))), io.LimitReader(zeros{}, 1<<30)))
	var limit *LimitError
	if !errors.As(err, &limit) || limit.What != "bytes" {
		t.Errorf("header of 1 GiB: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// animal is a secondary capture of an animal with everything that PS3.3 asks for.
func animal(t testing.TB, s Syntax, cs Charset) *Set {
	t.Helper()
	code := func(value, scheme, meaning string) *Builder {
		return NewBuilder(s, cs).Text(CodeValue, value).Text(CodingSchemeDesignator, scheme).Text(CodeMeaning, meaning)
	}
	b := NewBuilder(s, cs).Charset().
		Strings(ImageType, "DERIVED", "SECONDARY").
		Text(SOPClassUID, "1.2.840.10008.5.1.4.1.1.7").Text(SOPInstanceUID, "2.25.1").Text(StudyDate, "20261122").Text(StudyTime, "101500").
		Text(ContentDate, "20261122").Text(ContentTime, "101500").
		Text(AccessionNumber, "1001").Text(Modality, "OT").Text(ConversionType, "WSD").Empty(Manufacturer).Text(ReferringPhysicianName, "Vet^Anna").
		Text(PatientName, "Müller^Bella").Text(PatientID, "4711").Text(PatientBirthDate, "20190401").Text(PatientSex, "F").
		Text(PatientSpeciesDescription, "Dog").Seq(PatientSpeciesCodeSequence, code("448771007", "SCT", "Canis lupus subspecies familiaris")).
		Text(PatientSexNeutered, "ALTERED").Text(PatientBreedDescription, "Labrador Retriever").Empty(PatientBreedCodeSequence).
		Empty(BreedRegistrationSequence).Text(ResponsiblePerson, "Müller^Eva").Text(ResponsiblePersonRole, "OWNER").
		Text(ResponsibleOrganization, "Riverside Veterinary Clinic").Text(PatientComments, "line one\nline two").
		Text(StudyInstanceUID, "2.25.2").Text(SeriesInstanceUID, "2.25.3").Text(StudyID, "1001").Text(SeriesNumber, "1").Text(InstanceNumber, "1").
		Empty(PatientOrientation).Text(BodyPartExamined, "ELBOW").Text(Laterality, "L").Text(AnatomicalOrientationType, "QUADRUPED").
		Uint16(SamplesPerPixel, 1).Text(PhotometricInterpretation, "MONOCHROME2").Uint16(Rows, 2).Uint16(Columns, 3).Uint16(BitsAllocated, 8).
		Uint16(BitsStored, 8).Uint16(HighBit, 7).Uint16(PixelRepresentation, 0).
		Raw(PixelData, OW, []byte{1, 2, 3, 4, 5, 6})
	if err := b.Err(); err != nil || len(b.Notes()) > 0 {
		t.Fatal(err, b.Notes())
	}
	raw, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return mustParse(t, s, raw)
}

func TestWriteFile(t *testing.T) {
	for _, s := range []Syntax{ImplicitLE, ExplicitLE} {
		for _, cs := range []Charset{Latin1, UTF8} {
			set := animal(t, s, cs)
			path := filepath.Join(t.TempDir(), "image.dcm")
			info := FileInfo{TransferSyntaxUID: s.UID(), ImplementationClassUID: testImplementation, ImplementationVersionName: "RAYHOUND_0_1", SourceAETitle: "DR1"}
			if err := WriteFile(path, set, info); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f, err := ParseFile(b)
			if err != nil || f.Second != nil {
				t.Fatal(err, f)
			}
			if got := f.Set.Text(PatientName, f.Set.Charset()); got != "Müller^Bella" {
				t.Errorf("name %q", got)
			}
			if got := f.Meta.String(MediaStorageSOPInstanceUID); got != "2.25.1" {
				t.Errorf("instance %q", got)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
				t.Errorf("files left: %q", left)
			}
		}
	}
}

func TestWriteFileKeepsEverything(t *testing.T) {
	b := AppendElement(nil, ExplicitLE, SOPClassUID, UI, []byte("1.2.840.10008.5.1.4.1.1.7"))
	b = AppendElement(b, ExplicitLE, SOPInstanceUID, UI, []byte("2.25.1"))
	b = AppendElement(b, ExplicitLE, PatientBirthDate, DA, []byte("20190401 "))
	b = AppendElement(b, ExplicitLE, PatientID, LO, bytes.Repeat([]byte("x"), 70_000))
	b = AppendElement(b, ExplicitLE, 0x00720082, SV, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	b = AppendElement(b, ExplicitLE, 0x00720076, FL, []byte{0, 0, 0xC0, 0x7F})
	b = AppendElement(b, ExplicitLE, 0x00091001, UN, []byte("private\x00"))
	b = append(b, unhex(t, "E07F1000 4F420000 FFFFFFFF FEFF00E0 04000000 00000000 FEFF00E0 02000000 0102 FEFFDDE0 00000000")...)
	set := mustParse(t, ExplicitLE, b)
	path := filepath.Join(t.TempDir(), "image.dcm")
	if err := WriteFile(path, set, FileInfo{TransferSyntaxUID: "1.2.840.10008.1.2.5", ImplementationClassUID: testImplementation}); err != nil {
		t.Fatal(err)
	}
}

func TestWriteFileRefuses(t *testing.T) {
	good := animal(t, ExplicitLE, Latin1)
	noUID := &Set{Elements: good.Elements[3:]}
	for name, c := range map[string]struct {
		set  *Set
		info FileInfo
	}{
		"no SOP instance":     {noUID, FileInfo{ImplementationClassUID: testImplementation}},
		"no implementation":   {good, FileInfo{}},
		"version name":        {good, FileInfo{ImplementationClassUID: testImplementation, ImplementationVersionName: strings.Repeat("x", 17)}},
		"deflated":            {good, FileInfo{ImplementationClassUID: testImplementation, TransferSyntaxUID: "1.2.840.10008.1.2.1.99"}},
		"item tag in the set": {&Set{Elements: append(good.Elements[:len(good.Elements):len(good.Elements)], Element{Tag: tagItem, VR: UN})}, FileInfo{ImplementationClassUID: testImplementation}},
	} {
		dir := t.TempDir()
		if err := WriteFile(filepath.Join(dir, "x.dcm"), c.set, c.info); err == nil {
			t.Errorf("%s: written", name)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
			t.Errorf("%s: files left: %q", name, left)
		}
	}
}
