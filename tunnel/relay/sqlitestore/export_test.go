package sqlitestore

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// DSN returns the name a test opens the file of a store with, as the store does.
func DSN(path string) string { return dsn(path, writerSettings) }

// DSNWith does so with other settings.
func DSNWith(path, settings string) string { return dsn(path, settings) }

// Settings of the connections.
const (
	WriterSettings = writerSettings
	ReaderSettings = readerSettings
)

// LimitPages lets the database grow by so many pages and no more, which looks like a full disk. The function it returns
// sets the limit again, counted from the same size.
func (s *Store) LimitPages(tb testing.TB, n int) func(int) {
	tb.Helper()
	var pages int
	set := func(n int) {
		if err := s.w.do(tb.Context(), func(ctx context.Context, c *conn) error {
			if pages == 0 {
				if err := c.row(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
					return err
				}
			}
			return c.all(ctx, fmt.Sprintf("PRAGMA max_page_count(%d)", pages+n), func(scanner) error { return nil })
		}); err != nil {
			tb.Fatal(err)
		}
	}
	set(n)
	return set
}

// ReserveKept reports whether the reserve is there.
func (s *Store) ReserveKept() bool { return s.reserve.kept() }

// HoldWriter keeps the writer busy until the function it returns is called.
func (s *Store) HoldWriter(tb testing.TB) func() {
	tb.Helper()
	held, release := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.w.do(context.Background(), func(context.Context, *conn) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	return func() { close(release) }
}

// AgeFull makes the last failure for want of room older.
func (s *Store) AgeFull(d time.Duration) { s.w.fullUntil.Add(-int64(d)) }
