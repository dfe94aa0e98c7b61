// Package sqlrecords is what the relay's two stores have in common: the SQL of the registry, of ownership and of expiry,
// in the words that SQLite and PostgreSQL share. A store brings the transactions; it keeps appending, reading, acks and
// wake-ups, where speed matters, to itself.
//
// Times are Unix microseconds, 0 for none. Placeholders are question marks.
package sqlrecords

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Scan reads the columns of one row.
type Scan = func(dest ...any) error

// Tx is a transaction, or for reading one snapshot.
type Tx interface {
	// Exec runs a statement and returns how many rows it changed.
	Exec(ctx context.Context, text string, args ...any) (int64, error)
	// Query runs a statement and calls each for every row. No other statement may run inside each.
	Query(ctx context.Context, text string, each func(Scan) error, args ...any) error
}

// DB runs transactions. Errors of the database come back as those of package relay; what fn returns comes back
// unchanged.
type DB interface {
	// Write runs fn in a transaction that is durable when Write returns nil, and undone when it returns an error. fn may
	// be called more than once.
	Write(ctx context.Context, fn func(Tx) error) error
	// Read runs fn on one snapshot.
	Read(ctx context.Context, fn func(Tx) error) error
	// Duplicate reports whether err says that a unique value exists already.
	Duplicate(err error) bool
}

// Dialect is where the two engines differ.
type Dialect struct {
	ForUpdate string // appended to a SELECT of rows that are changed next; empty where there is one writer
	Head      string // an expression: the highest number of mailbox m ever given out
}

// Records implements relay.Registry and the slow half of relay.Store.
type Records struct {
	Acks *Acks

	db      DB
	dialect Dialect
	now     func() time.Time
	epochs  sync.Map // wire.ClinicID -> wire.Epoch: the session epochs this process knows of
}

// New returns the records of a database whose schema is up to date.
func New(db DB, d Dialect, now func() time.Time) *Records {
	return &Records{Acks: newAcks(), db: db, dialect: d, now: now}
}

// errNothing ends a transaction that found nothing to change.
var errNothing = errors.New("sqlrecords: nothing to do")

// one runs a query for one row and reports whether there was one.
func one(ctx context.Context, tx Tx, text string, dest []any, args ...any) (bool, error) {
	found := false
	err := tx.Query(ctx, text, func(scan Scan) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	}, args...)
	return found, err
}

// clinicKey returns the number of a clinic's row.
func clinicKey(ctx context.Context, tx Tx, id wire.ClinicID) (int64, error) {
	var n int64
	found, err := one(ctx, tx, `SELECT n FROM clinic WHERE id = ?`, []any{&n}, string(id))
	if err != nil {
		return 0, err
	}
	if !found {
		return 0, relay.ErrUnknownClinic
	}
	return n, nil
}

// counted runs fn in a transaction that raises the revision. The revision's row stays locked until the commit, so that
// revisions become visible in their order and what fn looks up cannot change under it.
func (r *Records) counted(ctx context.Context, fn func(tx Tx, rev int64) error) error {
	return r.db.Write(ctx, func(tx Tx) error {
		var rev int64
		if _, err := one(ctx, tx, `UPDATE relay_meta SET revision = revision + 1 WHERE one = 1 RETURNING revision`, []any{&rev}); err != nil {
			return err
		}
		return fn(tx, rev)
	})
}

// taken turns "exists already" into relay.ErrTaken.
func (r *Records) taken(err error) error {
	if err != nil && r.db.Duplicate(err) {
		return relay.ErrTaken
	}
	return err
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// blob keeps an empty value from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// hash reads 32 bytes.
func hash(b []byte) (h relay.SecretHash) {
	copy(h[:], b)
	return h
}

// MACKey implements relay.Registry.
func (r *Records) MACKey(ctx context.Context) ([]byte, error) {
	var key []byte
	err := r.db.Read(ctx, func(tx Tx) error {
		_, err := one(ctx, tx, `SELECT mac_key FROM relay_meta WHERE one = 1`, []any{&key})
		return err
	})
	if err == nil && len(key) != 32 {
		err = errors.New("sqlrecords: the database has no MAC key")
	}
	return key, err
}
