package dataset

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestOnlyUserOfTheLibrary: no other package imports the library, whose reader
// must never see bytes from the network, and in this one a single file reads with
// it.
func TestOnlyUserOfTheLibrary(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // a file that somebody is just replacing
		}
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return nil //nolint:nilerr // does not compile: not the subject of this test
		}
		files++
		for _, i := range f.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			if !strings.HasPrefix(name, "github.com/suyashkumar/dicom") {
				continue
			}
			if filepath.Dir(path) != here {
				t.Errorf("%s imports %s", path, name)
			}
			if base := filepath.Base(path); name == "github.com/suyashkumar/dicom" && base != "file_library.go" {
				t.Errorf("%s imports the library's reader", base)
			}
		}
		return nil
	})
	if err != nil || files < 20 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// TestLibrarySeesOnlyTheCopy: what would mislead the library is not handed on.
func TestLibrarySeesOnlyTheCopy(t *testing.T) {
	b := AppendElement(nil, ExplicitLE, SpecificCharacterSet, CS, []byte("ISO_IR 166"))
	b = AppendElement(b, ExplicitLE, PatientID, LO, []byte("4711"))
	b = AppendElement(b, ExplicitLE, RequestedProcedureCodeSequence, LO, []byte("text in the tag of a sequence!"))
	b = AppendSequence(b, ExplicitLE, PatientComments, []byte{})
	set := mustParse(t, ExplicitLE, b)
	copied := libraryCopy(set)
	if len(copied.Elements) != 1 || copied.Elements[0].Tag != PatientID {
		t.Errorf("%d elements", len(copied.Elements))
	}
	if err := secondReading(set); err != nil {
		t.Error(err)
	}
}
