package sqlitestore

import (
	"fmt"
	"os"
	"sync"
)

// runLock says that a relay runs on the database. It stays a file; what counts is the lock of the operating system, which
// ends with the process however that ends. Administration does not take it.
type runLock struct {
	mu   sync.Mutex
	path string
	f    *os.File
}

// take locks, without waiting. Again is no error.
func (l *runLock) take() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		return nil
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("sqlitestore: open the lock: %w", err)
	}
	if err := lockFile(f); err != nil {
		_ = f.Close() // nothing was written
		return fmt.Errorf("sqlitestore: another relay runs on this database; several need PostgreSQL: %w", err)
	}
	l.f = f
	return nil
}

func (l *runLock) release() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}
