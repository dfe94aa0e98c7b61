package sqlitestore

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks a byte far behind the end, so that the file stays readable.
func lockFile(f *os.File) error {
	at := &windows.Overlapped{Offset: 0, OffsetHigh: 1}
	return windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
}
