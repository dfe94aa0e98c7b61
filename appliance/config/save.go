package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
)

// keptVersions is how many former versions of the file Save keeps.
const keptVersions = 5

// ErrChanged is returned by Save when the file is not the one that was read.
var ErrChanged = errors.New("config: the file was changed by somebody else meanwhile")

// ErrExists is returned by Init when there is a file already.
var ErrExists = errors.New("config: the file exists already")

// Fingerprint identifies the content of a settings file.
func Fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Origin returns the Fingerprint of the bytes f was read from; empty when it was
// made in memory.
func (f *File) Origin() string { return f.origin }

// Init writes a commented file with the defaults. It never overwrites: its
// error is ErrExists then.
func Init(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	b := Template()
	if _, err := Parse(b); err != nil {
		return fmt.Errorf("config: the new file would not be readable: %w", err)
	}
	return writeFile(path, b)
}

// Save writes f to path: only if it is valid, reads back as the same, and the
// file there is still the one with the fingerprint seen ("" when there was
// none). The last five versions stay beside it as path.1 (the newest) to
// path.5. Comments written by hand are lost. On success f.Origin is that of the
// new file.
func Save(path string, f *File, seen string) error {
	if err := f.Validate(); err != nil {
		return err
	}
	b := f.TOML()
	back, err := Parse(b)
	if err != nil {
		return fmt.Errorf("config: the file would not be readable: %w", err)
	}
	if !Equal(back, f) {
		return errors.New("config: the file would not read back as the same settings")
	}
	now, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if seen != "" {
			return ErrChanged
		}
	case err != nil:
		return fmt.Errorf("config: %w", err)
	case Fingerprint(now) != seen:
		return ErrChanged
	default:
		if err := keepVersion(path, now); err != nil {
			return err
		}
	}
	if err := writeFile(path, b); err != nil {
		return err
	}
	f.origin, f.lines = back.origin, back.lines
	return nil
}

// Equal reports whether two files hold the same settings. An empty list and no
// list are the same.
func Equal(a, b *File) bool {
	return reflect.DeepEqual(tree(reflect.ValueOf(a).Elem()), tree(reflect.ValueOf(b).Elem()))
}

// keepVersion moves path.1 to path.2 and so on and writes the present content
// to path.1.
func keepVersion(path string, content []byte) error {
	name := func(i int) string { return fmt.Sprintf("%s.%d", path, i) }
	for i := keptVersions - 1; i >= 1; i-- {
		if err := os.Rename(name(i), name(i+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("config: keep version %d: %w", i, err)
		}
	}
	return writeFile(name(1), content)
}

// writeFile writes a file so that a power cut leaves the old or the new one:
// temporary file in the same folder, fsync, rename.
func writeFile(path string, b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("config: write %s: %w", path, err), tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	mode := fs.FileMode(0o640)
	if info, statErr := os.Stat(path); statErr == nil {
		mode = info.Mode().Perm()
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if _, err := tmp.Write(b); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	syncFolder(filepath.Dir(path))
	return nil
}

// syncFolder makes a rename durable where the system allows it.
func syncFolder(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	_ = d.Sync()  // Windows refuses; there the rename is journalled
	_ = d.Close() // opened for reading
}
