// Package pgstore keeps the mailboxes and the registry of one or several relays in PostgreSQL.
//
// Appends are joined into batches of one round trip and one commit each; the number of an event comes from a counter of
// its clinic under the row's lock, so that numbers become visible in their order. Nodes wake each other by NOTIFY, sent
// after the commit from a connection of its own. Nothing but the database is shared.
package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/internal/sqlrecords"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	batchers     = 2
	queueLength  = 4096
	batchLength  = 256
	ackEvery     = time.Second
	minConns     = 6 // two batchers, notices, a ping round, administration, and one more
	readTimeout  = 30 * time.Second
	writeTimeout = 30 * time.Second // of a batch: after it the outcome is unknown
	fullShown    = 10 * time.Second // after an append without room, before one is tried again
)

// Config says where the database is.
type Config struct {
	// DSN is a URL or keywords of libpq. Several hosts with target_session_attrs=read-write follow a failover;
	// pool_max_conns sets the size of the pool. Required.
	DSN string
	Log *slog.Logger     // nil: silent
	Now func() time.Time // nil: time.Now

	// NoNotify is for engines that speak PostgreSQL's SQL without LISTEN and NOTIFY, and for poolers in transaction mode.
	// Wake then reaches this process alone, and others find events by Pending.
	NoNotify bool
}

// Store implements relay.Store and relay.Registry. It is safe for use by several goroutines.
type Store struct {
	*sqlrecords.Records
	cfg  Config
	pool *pgxpool.Pool

	queue  chan *job
	mu     sync.RWMutex // held for reading while a job is put into the queue
	closed bool

	keys sync.Map     // wire.ClinicID -> int64, the row of a clinic; never changes
	full atomic.Int64 // when an append failed for want of room, Unix nanoseconds; 0: the last one did not
	hub  sqlrecords.Hub
	bell *bell // nil: no NOTIFY

	stop      context.CancelFunc // ends what runs in the background
	writers   sync.WaitGroup     // batchers
	others    sync.WaitGroup
	closeOnce sync.Once
}

var (
	_ relay.Store    = (*Store)(nil)
	_ relay.Registry = (*Store)(nil)
)

// Open connects and brings the schema up to date. It refuses a server that acknowledges commits before they are on its
// disk, and a database made by a newer program.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pc, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, errors.New("pgstore: the address of the database cannot be read") // the error would quote a password
	}
	pc.MaxConns = max(pc.MaxConns, minConns)
	if pc.ConnConfig.ConnectTimeout == 0 {
		pc.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	if _, ok := pc.ConnConfig.RuntimeParams["application_name"]; !ok {
		pc.ConnConfig.RuntimeParams["application_name"] = "rayhound-relay"
	}
	if err := migrate(ctx, pc.ConnConfig); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("pgstore: connect: %w", err)
	}
	if err := durable(ctx, pool, cfg.Log); err != nil {
		pool.Close()
		return nil, err
	}
	s := &Store{cfg: cfg, pool: pool, queue: make(chan *job, queueLength)}
	s.Records = sqlrecords.New(transactions{s}, sqlrecords.Dialect{ForUpdate: " FOR UPDATE", Head: "m.last_seq"}, cfg.Now)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	for range batchers {
		s.writers.Go(s.write)
	}
	s.others.Go(func() { s.settleAcks(background) })
	if !cfg.NoNotify {
		s.bell = newBell(pc.ConnConfig, cfg.Log)
		s.others.Go(func() { s.bell.ring(background) })
	}
	return s, nil
}

// Close writes what waits and what was put off, and disconnects. Later calls do nothing; calls of other methods fail with
// relay.ErrUnavailable.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		close(s.queue)
		s.mu.Unlock()
		s.writers.Wait()
		s.stop()
		s.others.Wait()
		s.pool.Close()
	})
	return nil
}

// key returns the row of a clinic.
func (s *Store) key(ctx context.Context, id wire.ClinicID) (int64, error) {
	if n, ok := s.keys.Load(id); ok {
		return n.(int64), nil
	}
	rows, err := s.pool.Query(ctx, `SELECT n FROM clinic WHERE id = $1`, string(id))
	if err != nil {
		return 0, failure(err)
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return 0, failure(err)
		}
		return 0, relay.ErrUnknownClinic
	}
	var n int64
	if err := rows.Scan(&n); err != nil {
		return 0, failure(err)
	}
	s.keys.Store(id, n)
	return n, nil
}

// Health implements relay.Store. PostgreSQL does not tell how full its disk is.
func (s *Store) Health(ctx context.Context) (relay.Health, error) {
	h := relay.Health{DatabaseBytes: -1, DiskUsed: -1, Queued: len(s.queue), Full: s.showsFull(time.Now())}
	ctx, cancel := bounded(ctx, readTimeout)
	defer cancel()
	err := s.pool.QueryRow(ctx, `SELECT pg_database_size(current_database())`).Scan(&h.DatabaseBytes)
	return h, failure(err)
}

// showsFull reports whether there was no room a moment ago. It forgets that after a while: a relay that is full gets no
// events, and so none would tell that there is room.
func (s *Store) showsFull(now time.Time) bool {
	at := s.full.Load()
	return at != 0 && now.UnixNano() < at+int64(fullShown)
}

// bounded gives a call a deadline if it has none.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}
