package sqlitestore_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The database holds what authenticates polls, and with seal = "off" what Provet Cloud sent: it is its owner's alone.
func TestFilesArePrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the folder's rights count")
	}
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "relay.db"))
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 3 {
		t.Errorf("%d files", len(list))
	}
	for _, f := range list {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the rights %v", f.Name(), info.Mode())
		}
	}
	_ = s
}
