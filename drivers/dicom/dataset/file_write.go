package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// FileInfo is what the file meta information says besides the data set.
type FileInfo struct {
	// TransferSyntaxUID; empty means Explicit VR Little Endian. Encapsulated
	// syntaxes need encapsulated pixel data in the set.
	TransferSyntaxUID string
	// ImplementationClassUID and ImplementationVersionName (at most 16
	// characters) say which program wrote the file. The UID must be set.
	ImplementationClassUID    string
	ImplementationVersionName string
	// SourceAETitle is the AE title that wrote the file; may be empty.
	SourceAETitle string
}

// ErrReadBack is the error of a file that did not read back as it was written.
// It is not put in place.
var ErrReadBack = errors.New("dataset: the file did not read back as written")

// WriteFile writes set, whose values are encoded according to its (0008,0005), as
// a DICOM file. It must carry SOP Class and SOP Instance UID. The file is written
// beside path under a temporary name, read back and compared, and only then
// renamed; an existing file is replaced.
func WriteFile(path string, set *Set, info FileInfo) (err error) {
	meta, err := fileMeta(set, &info)
	if err != nil {
		return err
	}
	b, err := libraryWrite(meta, set)
	if err != nil {
		return fmt.Errorf("dataset: writing a file: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".dicom-*.tmp")
	if err != nil {
		return fmt.Errorf("dataset: writing a file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("dataset: writing a file: %w", err)
	}
	if err := readBack(tmp.Name(), set, info.TransferSyntaxUID); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("dataset: writing a file: %w", err)
	}
	return nil
}

// fileMeta builds group 0002 (PS3.10 7.1).
func fileMeta(set *Set, info *FileInfo) (*Set, error) {
	if info.TransferSyntaxUID == "" {
		info.TransferSyntaxUID = explicitLEUID
	}
	class, instance := set.String(SOPClassUID), set.String(SOPInstanceUID)
	if !ValidUID(class) || !ValidUID(instance) || !ValidUID(info.ImplementationClassUID) {
		return nil, fmt.Errorf("%w: SOP class, SOP instance or implementation without UID", ErrBuilder)
	}
	if unfit(info.ImplementationVersionName, SH) != "" || unfit(info.SourceAETitle, AE) != "" {
		return nil, fmt.Errorf("%w: implementation version name or AE title too long", ErrBuilder)
	}
	meta := &Set{Elements: []Element{
		{Tag: FileMetaInformationVersion, VR: OB, Value: []byte{0, 1}},
		{Tag: MediaStorageSOPClassUID, VR: UI, Value: []byte(class)},
		{Tag: MediaStorageSOPInstanceUID, VR: UI, Value: []byte(instance)},
		{Tag: TransferSyntaxUID, VR: UI, Value: []byte(info.TransferSyntaxUID)},
		{Tag: ImplementationClassUID, VR: UI, Value: []byte(info.ImplementationClassUID)},
	}}
	if info.ImplementationVersionName != "" {
		meta.Elements = append(meta.Elements, Element{Tag: ImplementationVersionName, VR: SH, Value: []byte(info.ImplementationVersionName)})
	}
	if info.SourceAETitle != "" {
		meta.Elements = append(meta.Elements, Element{Tag: SourceApplicationEntityTitle, VR: AE, Value: []byte(info.SourceAETitle)})
	}
	if _, _, err := transferSyntax(meta); err != nil {
		return nil, err
	}
	return meta, nil
}

// readBack compares the file with what it should hold. Both are encoded in
// implicit VR, where two VRs of the same value look the same.
func readBack(name string, set *Set, uid string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("dataset: reading back a file: %w", err)
	}
	meta, start, err := parseMeta(b)
	if err != nil {
		return errors.Join(ErrReadBack, err)
	}
	have, s, err := transferSyntax(meta)
	if err != nil || have != uid {
		return errors.Join(ErrReadBack, err)
	}
	got, err := parse(b[start:], s, Limits{MaxBytes: len(b), MaxElements: len(b), MaxDepth: hardMaxDepth}, scopeAll)
	if err != nil {
		return errors.Join(ErrReadBack, err)
	}
	if !bytes.Equal(AppendSet(nil, ImplicitLE, got), AppendSet(nil, ImplicitLE, set)) {
		return ErrReadBack
	}
	return nil
}
