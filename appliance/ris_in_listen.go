package appliance

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// hl7Listener keeps the HL7 ports open. A port that is taken is a problem on the
// page and tried again; the rest of the appliance goes on.
type hl7Listener struct {
	a        *Appliance
	receiver *orders.Receiver
	callers  *risCallers
	again    time.Duration // see portAgain

	mu     sync.Mutex
	open   map[string]string // actual address by the configured one
	failed map[string]bool
	ready  chan struct{} // closed when a port was opened

	badMu sync.Mutex
	bad   []time.Time // when bytes that are no message were kept
}

// wireRISIn makes what the RIS meet when they send. Without a [[ris]] nobody
// listens.
func (a *Appliance) wireRISIn() {
	peers := a.core.routes.ris
	if len(peers) == 0 {
		return
	}
	a.core.inbound.wakeQuiet, a.core.inbound.wakeReply = make(chan struct{}, 1), make(chan struct{}, 1)
	profiles := make([]orders.Profile, 0, len(peers))
	for _, p := range peers {
		profile := p.profile
		profile.CharsetIn = p.CharsetIn
		profiles = append(profiles, profile)
	}
	callers := newRISCallers(a.core, peers)
	a.hl7 = &hl7Listener{a: a, callers: callers, again: portAgain, open: map[string]string{}, failed: map[string]bool{}, ready: make(chan struct{})}
	a.hl7.receiver = orders.NewReceiver(orders.ReceiverConfig{
		Profiles: profiles, Store: risStore{a.core}, Whose: callers.whose, Now: a.core.now, Trace: a.core.traceRIS,
	})
}

// risInServices lists what runs for the RIS that send.
func (a *Appliance) risInServices() []service {
	if a.hl7 == nil {
		return nil
	}
	return []service{
		{"hl7", a.hl7.run},
		{"hl7-callers", a.hl7.callers.watch},
		{"hl7-quiet", a.core.watchQuiet},
		{"hl7-replies", a.core.sendReplies},
	}
}

// HL7Addrs waits until an HL7 port is open and returns the addresses: of a
// clinic without a RIS none.
func (a *Appliance) HL7Addrs(ctx context.Context) ([]string, error) {
	if a.hl7 == nil {
		return nil, nil
	}
	select {
	case <-a.hl7.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return a.hl7.listening(), nil
}

func (l *hl7Listener) run(ctx context.Context) error {
	ports, err := l.ports()
	if err != nil {
		return err
	}
	l.callers.resolve(ctx)
	server := mllp.ServerConfig{
		Handler: l.receiver.Handle, Refuse: l.receiver.Refuse, Allow: l.callers.allowed, OnBad: l.notGood, OnNotes: l.odd,
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(ports))
	for _, p := range ports {
		go func() {
			err := errPanic
			defer func() {
				if r := recover(); r != nil {
					l.a.log.LogAttrs(context.Background(), slog.LevelError, "the HL7 listener panicked", panicAttr(r))
				}
				ended <- err
			}()
			err = l.serve(ctx, p, mllp.NewServer(server))
		}()
	}
	var first error
	for range ports {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

func (l *hl7Listener) ports() ([]port, error) {
	set := l.a.cfg.Settings.HL7
	var list []port
	for _, addr := range set.Listen {
		list = append(list, port{address: addr})
	}
	if len(set.TLSListen) == 0 {
		return list, nil
	}
	cert, err := tls.LoadX509KeyPair(set.TLSCert, set.TLSKey)
	if err != nil {
		return nil, problem.New(problem.FileUnusable, problem.Args{"path": set.TLSCert, "reason": "no certificate and key could be read"}, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	for _, addr := range set.TLSListen {
		list = append(list, port{addr, c})
	}
	return list, nil
}

// serve opens one port and answers on it; while it is taken it tries again.
func (l *hl7Listener) serve(ctx context.Context, p port, server *mllp.Server) error {
	var lc net.ListenConfig
	for {
		ln, err := lc.Listen(ctx, "tcp", p.address)
		if err == nil {
			l.opened(p.address, ln.Addr().String())
			defer l.closed(p.address)
			if p.tls != nil {
				ln = tls.NewListener(ln, p.tls)
			}
			return server.Serve(ctx, ln)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.taken(p.address, err)
		if err := sleepOr(ctx, l.again, nil); err != nil {
			return err
		}
	}
}

func (l *hl7Listener) opened(configured, actual string) {
	l.mu.Lock()
	delete(l.failed, configured)
	l.open[configured] = actual
	select {
	case <-l.ready:
	default:
		close(l.ready)
	}
	l.mu.Unlock()
	l.a.board.Clear(problem.RISPort, configured)
}

func (l *hl7Listener) closed(configured string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, configured)
}

func (l *hl7Listener) taken(address string, err error) {
	l.mu.Lock()
	first := !l.failed[address]
	l.failed[address] = true
	l.mu.Unlock()
	l.a.board.Raise(problem.RISPort, address, problem.Args{"address": address, "reason": listenReason(err)})
	if first {
		l.a.log.LogAttrs(context.Background(), slog.LevelError, "an HL7 port could not be opened", slog.String("address", address), errAttr(err))
	}
}

// listening returns the open ports.
func (l *hl7Listener) listening() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []string{}
	for _, addr := range l.open {
		list = append(list, addr)
	}
	slices.Sort(list)
	return list
}

// healthy reports whether no port is missing.
func (l *hl7Listener) healthy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.failed) == 0 && len(l.open) > 0
}

// odd notes what was tolerated in a frame.
func (l *hl7Listener) odd(c mllp.Conn, notes []string) {
	l.a.log.LogAttrs(context.Background(), slog.LevelDebug, "an HL7 frame was odd", slog.String("peer", c.Peer.String()), slog.Any("notes", notes))
}

// notGood hears of everything on a connection that was not right: callers that
// were refused, and bytes that are no message, which are kept.
func (l *hl7Listener) notGood(c mllp.Conn, raw []byte, reason error) {
	l.a.metrics.HL7Received("bad")
	switch {
	case errors.Is(reason, mllp.ErrNotAllowed):
		l.callers.refuse(c.Peer.Addr(), "it belongs to no RIS")
		return
	case errors.Is(reason, mllp.ErrTooMany), errors.Is(reason, mllp.ErrTooManyFrom):
		l.a.log.LogAttrs(context.Background(), slog.LevelWarn, "a RIS has too many connections open", slog.String("peer", c.Peer.String()))
		return
	case errors.Is(reason, mllp.ErrHandlerPanic):
		l.a.log.LogAttrs(context.Background(), slog.LevelError, "handling an HL7 message panicked", slog.String("peer", c.Peer.String()))
	default:
		l.a.log.LogAttrs(context.Background(), slog.LevelWarn, "an HL7 peer sent what is no message", slog.String("peer", c.Peer.String()),
			slog.String("reason", badReason(reason)), slog.Int("bytes", len(raw)))
	}
	if len(raw) == 0 || !l.mayKeep() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.keepBad(ctx, c, raw, badReason(reason)); err != nil {
		l.a.log.LogAttrs(ctx, slog.LevelWarn, "bytes that are no message could not be kept", errAttr(err))
	}
}

// badReason says why bytes are no message, without any of them.
func badReason(reason error) string {
	var fe *mllp.FrameError
	if errors.As(reason, &fe) && fe.Reason != nil {
		return fe.Reason.Error()
	}
	for _, known := range []error{mllp.ErrHandlerPanic, mllp.ErrHandshake, mllp.ErrPlainText} {
		if errors.Is(reason, known) {
			return known.Error()
		}
	}
	return "the connection failed"
}

// badPerMinute is how many frames that are no message are kept in a minute: a
// flood must not fill the disk.
const badPerMinute = 30

func (l *hl7Listener) mayKeep() bool {
	now := l.a.core.now()
	l.badMu.Lock()
	defer l.badMu.Unlock()
	l.bad = slices.DeleteFunc(l.bad, func(t time.Time) bool { return now.Sub(t) > time.Minute })
	if len(l.bad) >= badPerMinute {
		return false
	}
	l.bad = append(l.bad, now)
	return true
}

// keepBad keeps bytes that are no message, for people.
func (l *hl7Listener) keepBad(ctx context.Context, c mllp.Conn, raw []byte, reason string) error {
	if err := l.a.db.DiskLow(ctx); err != nil {
		return err
	}
	h := hl7.PeekHeader(raw)
	sum := sha256.Sum256(raw)
	return l.a.core.commit(ctx, func(b *batch) error {
		m := &localdb.HL7In{
			RIS: l.callers.whose(c.Peer.Addr()), Peer: c.Peer.Addr().Unmap().String(), At: b.now, Type: clipped(h.Type, 40), Outcome: localdb.HL7Refused, Refused: reason,
			Key: localdb.HL7Key{
				SendingApplication: clipped(h.SendingApplication, 200), SendingFacility: clipped(h.SendingFacility, 200),
				ControlID: clipped(h.ControlID, 200), Hash: hex.EncodeToString(sum[:]),
			},
		}
		b.raiseRefused(m)
		return b.tx.AddHL7In(b.ctx, m, raw)
	})
}
