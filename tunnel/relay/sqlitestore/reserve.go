package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/rayhound/rayhound/tunnel/relay"
)

// reserve is a file beside the database that is given up when the disk is full: then deletes and acks still have room.
type reserve struct {
	mu   sync.Mutex
	path string
	size int64
}

// keep makes the file unless it is there. Its bytes are written, not only promised.
func (r *reserve) keep() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if fi, err := os.Stat(r.path); err == nil && fi.Size() >= r.size {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("sqlitestore: make the reserve: %w", err)
	}
	chunk := make([]byte, 1<<16)
	for i := range chunk {
		chunk[i] = byte(i*7 + 1) // file systems may skip zeros
	}
	for left := r.size; left > 0 && err == nil; left -= int64(len(chunk)) {
		_, err = f.Write(chunk[:min(left, int64(len(chunk)))])
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		err = errors.Join(fmt.Errorf("sqlitestore: make the reserve: %w", err), os.Remove(r.path))
	}
	return err
}

// release gives the room back and reports whether there was any.
func (r *reserve) release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return os.Remove(r.path) == nil
}

func (r *reserve) kept() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := os.Stat(r.path)
	return !errors.Is(err, fs.ErrNotExist)
}

const (
	vacuumAbove = 2000 // free pages below which nothing is given back: new events will need them
	vacuumPages = 500  // given back in one transaction
)

// giveBack returns room to the disk after a large purge, a little at a time, and makes the reserve again.
func (s *Store) giveBack(ctx context.Context) error {
	for range 20 {
		more := false
		if err := s.w.do(ctx, func(ctx context.Context, c *conn) error {
			more = false
			var free, pages int64
			if err := c.row(ctx, "PRAGMA freelist_count").Scan(&free); err != nil {
				return err
			}
			if err := c.row(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
				return err
			}
			if more = free > vacuumAbove && free > pages/4; !more {
				return nil
			}
			return c.all(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages), func(scanner) error { return nil })
		}); err != nil {
			return failure(err)
		}
		if !more {
			break
		}
	}
	if s.reserve.kept() {
		return nil
	}
	if err := s.reserve.keep(); err != nil {
		s.cfg.Log.Warn("the reserve for a full disk could not be made again", "error", err)
	}
	return nil
}

// Health implements relay.Store.
func (s *Store) Health(ctx context.Context) (relay.Health, error) {
	h := relay.Health{DatabaseBytes: -1, DiskUsed: -1, Queued: len(s.w.queue), Full: s.w.showsFull()}
	ctx, cancel := bounded(ctx)
	defer cancel()
	var pages, size int64
	if err := s.readPool.QueryRowContext(ctx, `SELECT page_count, page_size FROM pragma_page_count, pragma_page_size`).Scan(&pages, &size); err != nil {
		return h, failure(err)
	}
	h.DatabaseBytes = pages * size
	if used, err := diskUsed(filepath.Dir(s.cfg.Path)); err == nil {
		h.DiskUsed = used
	}
	return h, nil
}
