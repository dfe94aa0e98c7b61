package localdb

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rayhound/rayhound/appliance/problem"
)

// lockName is the file in the data folder that its owner holds locked. It stays
// there; what counts is the lock of the operating system, which ends with the
// process however that ends.
const lockName = "rayhound.lock"

// Lock says that this process owns a data folder.
type Lock struct{ f *os.File }

// OpenLock takes the lock of a data folder, without waiting. When another
// process (or another DB of this one) has it, the error is RH-512.
func OpenLock(dir string) (*Lock, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, problem.New(problem.FileUnusable, problem.Args{"path": path, "reason": "it cannot be opened for writing"}, err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close() // nothing was written
		return nil, problem.New(problem.DataLocked, problem.Args{"path": dir}, err)
	}
	if err := sameOwner(path, dir); err != nil {
		_ = f.Close() // nothing was written
		return nil, problem.New(problem.FileUnusable, problem.Args{"path": path, "reason": "it cannot be given to the service"}, err)
	}
	return &Lock{f}, nil
}

// Close gives the folder back.
func (l *Lock) Close() error {
	if l == nil || l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	if err != nil {
		return fmt.Errorf("localdb: unlock: %w", err)
	}
	return nil
}
