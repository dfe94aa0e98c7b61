package pgstore

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const (
	channel      = "rayhound_relay"
	ringEvery    = 2 * time.Millisecond
	ringIDs      = 200
	ringBytes    = 7000 // PostgreSQL takes less than 8,000
	bellClinics  = 20_000
	reconnectMin = 100 * time.Millisecond
	reconnectMax = 5 * time.Second
	callTimeout  = 5 * time.Second
	probeEvery   = 20 * time.Second
)

// Wake implements relay.Store.
func (s *Store) Wake(c wire.ClinicID, seq wire.Seq) {
	s.hub.Wake(relay.Wakeup{Clinic: c, Seq: seq})
	if s.bell != nil {
		s.bell.add(c, seq)
	}
}

// Subscribe implements relay.Store.
func (s *Store) Subscribe(ctx context.Context) (<-chan relay.Wakeup, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	ch := s.hub.Subscribe(ctx)
	if s.bell != nil {
		s.bell.listenOnce.Do(func() {
			background, stop := context.WithCancel(context.Background())
			s.others.Go(func() {
				defer stop()
				s.bell.listen(background, s.hub.Wake)
			})
			context.AfterFunc(s.bell.closing, stop)
		})
	}
	return ch, nil
}

// bell tells other nodes, and hears them. NOTIFY inside the transactions that append would serialise all commits of the
// server; so it goes over a connection of its own, after them, for many clinics at once.
type bell struct {
	cc   *pgx.ConnConfig
	log  *slog.Logger
	self string // this node's mark: what it has sent itself is not news

	mu      sync.Mutex
	events  map[wire.ClinicID]wire.Seq // the highest of each
	changes map[wire.ClinicID]struct{} // wake-ups with seq 0
	stir    chan struct{}

	listenOnce sync.Once
	closing    context.Context
	close      context.CancelFunc
}

func newBell(cc *pgx.ConnConfig, log *slog.Logger) *bell {
	b := &bell{
		cc: cc, log: log, self: rand.Text()[:8], stir: make(chan struct{}, 1),
		events: map[wire.ClinicID]wire.Seq{}, changes: map[wire.ClinicID]struct{}{},
	}
	b.closing, b.close = context.WithCancel(context.Background())
	return b
}

// add joins a wake-up to those that wait. Above a bound they are lost, as they may be.
func (b *bell) add(c wire.ClinicID, seq wire.Seq) {
	b.mu.Lock()
	if len(b.events)+len(b.changes) < bellClinics {
		if seq == 0 {
			b.changes[c] = struct{}{}
		} else {
			b.events[c] = max(b.events[c], seq)
		}
	}
	b.mu.Unlock()
	select {
	case b.stir <- struct{}{}:
	default:
	}
}

// next returns the payload of one NOTIFY, or "" when nothing waits.
func (b *bell) next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var p strings.Builder
	p.WriteString(b.self)
	n := 0
	put := func(c wire.ClinicID, seq wire.Seq) bool {
		item := "," + url.QueryEscape(string(c)) + "@" + strconv.FormatInt(int64(seq), 10)
		if n == ringIDs || p.Len()+len(item) > ringBytes {
			return n == 0 // what never fits is dropped
		}
		p.WriteString(item)
		n++
		return true
	}
	for c := range b.changes {
		if !put(c, 0) {
			return p.String()
		}
		delete(b.changes, c)
	}
	for c, seq := range b.events {
		if !put(c, seq) {
			return p.String()
		}
		delete(b.events, c)
	}
	if n == 0 {
		return ""
	}
	return p.String()
}

// ring sends what waits, at most every ringEvery, until ctx ends.
func (b *bell) ring(ctx context.Context) {
	defer b.close()
	var conn *pgx.Conn
	wait := reconnectMin
	for {
		select {
		case <-b.stir:
		case <-ctx.Done():
			b.hangUp(conn)
			return
		}
		for p := b.next(); p != ""; p = b.next() {
			var err error
			if conn, err = b.send(ctx, conn, p); err != nil {
				b.log.Warn("other nodes could not be woken", "error", err)
				if !sleep(ctx, wait) {
					break
				}
				wait = min(2*wait, reconnectMax)
				continue
			}
			wait = reconnectMin
		}
		if !sleep(ctx, ringEvery) {
			b.hangUp(conn)
			return
		}
	}
}

// send sends one NOTIFY and returns the connection for the next, nil if it broke.
func (b *bell) send(ctx context.Context, conn *pgx.Conn, payload string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if conn == nil {
		var err error
		if conn, err = pgx.ConnectConfig(ctx, b.cc); err != nil {
			return nil, err
		}
	}
	if _, err := conn.Exec(ctx, `SELECT pg_notify($1, $2)`, channel, payload); err != nil {
		b.hangUp(conn)
		return nil, err
	}
	return conn, nil
}

func (b *bell) hangUp(conn *pgx.Conn) {
	if conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is given up
}

// listen hears other nodes until ctx ends. What is sent while it is not connected is lost; Pending finds it.
func (b *bell) listen(ctx context.Context, wake func(relay.Wakeup)) {
	wait := reconnectMin
	for ctx.Err() == nil {
		began := time.Now()
		err := b.hear(ctx, wake)
		if ctx.Err() != nil {
			return
		}
		b.log.Warn("other nodes are not heard", "error", err)
		if time.Since(began) > reconnectMax {
			wait = reconnectMin
		}
		if !sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, reconnectMax)
	}
}

func (b *bell) hear(ctx context.Context, wake func(relay.Wakeup)) error {
	dial, cancel := context.WithTimeout(ctx, 2*callTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(dial, b.cc)
	if err != nil {
		return err
	}
	defer b.hangUp(conn)
	if _, err := conn.Exec(dial, "LISTEN "+channel); err != nil {
		return err
	}
	for {
		turn, cancel := context.WithTimeout(ctx, probeEvery)
		n, err := conn.WaitForNotification(turn)
		cancel()
		switch {
		case err == nil:
			b.read(n.Payload, wake)
		case ctx.Err() == nil && pgconn.Timeout(err):
			if err := probe(ctx, conn); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// probe finds a connection that is dead without having said so.
func probe(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return conn.Ping(ctx)
}

// read passes on a payload of another node. What cannot be read is passed over: it is only a hint.
func (b *bell) read(payload string, wake func(relay.Wakeup)) {
	from, rest, _ := strings.Cut(payload, ",")
	if from == b.self {
		return
	}
	for item := range strings.SplitSeq(rest, ",") {
		id, num, ok := strings.Cut(item, "@")
		clinic, err := url.QueryUnescape(id)
		seq, err2 := strconv.ParseInt(num, 10, 64)
		if !ok || err != nil || err2 != nil || clinic == "" || seq < 0 {
			continue
		}
		wake(relay.Wakeup{Clinic: wire.ClinicID(clinic), Seq: wire.Seq(seq)})
	}
}

// sleep waits and reports whether ctx lives.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
