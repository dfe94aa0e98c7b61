package hl7sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
)

// Types of the messages that tell a status.
const (
	ORM = "ORM^O01"
	OMG = "OMG^O19"
	OMI = "OMI^O23"
	ORU = "ORU^R01"
	ORR = "ORR^O02"
)

// Config describes a RIS. The zero value takes orders and sends nothing.
type Config struct {
	// Application and Facility are MSH-3 and MSH-4 of what it sends; "RIS" and
	// "Clinic" when empty. What it sends is addressed to the sender of the latest
	// order, or to "RAYHOUND" and Facility.
	Application, Facility string
	// SendTo is the host:port that status and reports go to; empty: nowhere. See
	// [RIS.SetSendTo].
	SendTo string
	// TLS, when it is not nil, is spoken to SendTo. To take orders over TLS give
	// Serve a listener of crypto/tls.
	TLS *tls.Config
	// Version is MSH-12 of what it sends: "2.3.1" (default), "2.4", "2.5.1".
	Version string
	// Message is the type that tells a status: ORM (default), OMG, OMI, ORU, ORR.
	// Reports are always ORU.
	Message string
	// Charset of what it sends, as for [hl7.BuilderConfig]; default UTF-8.
	Charset string
	// AnswerOrders answers orders with ORR^O02, ORG^O20 or ORI^O24, which name the
	// filler order number, instead of ACK.
	AnswerOrders bool
	// Strict refuses what a peer of its own rules would: NW of an order it holds
	// (ERR 205), XO, CA and DC of one it does not hold (204).
	Strict bool
	// Auto, when it is not nil, makes the RIS work by itself.
	Auto *Auto

	// Timeout bounds connecting, and the wait for an answer to what it sends; default 30 s.
	Timeout time.Duration
	// Tries is how often it sends a message that is not answered or answered with an
	// error (AE, CE), with the same bytes; default 1. RetryAfter lies between two
	// tries, default 1 s.
	Tries      int
	RetryAfter time.Duration

	// Seed makes what it chooses at random repeatable.
	Seed uint64
	// Now is the clock, of messages and of the faults that ask for a gap; default time.Now.
	Now func() time.Time
	// Progress, when it is not nil, hears of every message, in both directions. It is
	// called by several goroutines and must not call the RIS.
	Progress func(Event)

	// MaxFrame is the largest message in bytes, default 32 MiB. MaxMessages,
	// MaxOrders and MaxBytes bound what is held: messages (default 100 000; the
	// oldest are forgotten), orders (100 000; more are refused, ERR 207), and the
	// bytes of all messages (256 MiB; those beyond are kept without their bytes).
	MaxFrame, MaxMessages, MaxOrders, MaxBytes int
	// MaxConnections, default 256; more are closed.
	MaxConnections int
}

// ErrConfig is wrapped by the errors of New.
var ErrConfig = errors.New("hl7sim: the settings do not fit together")

// Errors of what a RIS is told to send.
var (
	ErrUnknownOrder = errors.New("hl7sim: the RIS does not hold the order")
	ErrNowhere      = errors.New("hl7sim: the RIS was not told where to send")
	ErrRefused      = errors.New("hl7sim: the message was not accepted")
	ErrNoAnswer     = errors.New("hl7sim: no answer")
)

// RIS is a simulated radiology information system.
type RIS struct {
	config Config
	prefix string // of control ids
	faults faults
	auto   *automaton

	mu         sync.Mutex
	held       holdings
	sendTo     string
	client     *mllp.Client
	receiver   [2]string // MSH-3 and MSH-4 of the latest order
	lastID     uint64
	lastFiller int
	lastAnswer time.Time
	conns      map[net.Conn]struct{}
	plugged    bool
	replug     chan struct{} // closed and renewed when plugged changes
	listener   net.Listener
}

// New returns a RIS.
func New(c Config) (*RIS, error) {
	if err := c.defaults(); err != nil {
		return nil, err
	}
	r := &RIS{
		config: c, sendTo: c.SendTo, plugged: true, replug: make(chan struct{}), conns: map[net.Conn]struct{}{},
		prefix: "S" + strings.ToUpper(strconv.FormatInt(c.Now().UnixMilli(), 36)), receiver: [2]string{"RAYHOUND", c.Facility},
	}
	r.faults.rng = rand.New(rand.NewPCG(c.Seed, 0x5115))
	r.held.init()
	r.auto = newAutomaton(r, c.Auto)
	return r, nil
}

func (c *Config) defaults() error {
	for p, def := range map[*string]string{&c.Application: "RIS", &c.Facility: "Clinic", &c.Version: "2.3.1", &c.Message: ORM} {
		if *p == "" {
			*p = def
		}
	}
	for p, def := range map[*int]int{
		&c.Tries: 1, &c.MaxFrame: mllp.DefaultMaxFrame, &c.MaxMessages: 100_000, &c.MaxOrders: 100_000, &c.MaxBytes: 256 << 20, &c.MaxConnections: 256,
	} {
		if *p <= 0 {
			*p = def
		}
	}
	for p, def := range map[*time.Duration]time.Duration{&c.Timeout: 30 * time.Second, &c.RetryAfter: time.Second} {
		if *p <= 0 {
			*p = def
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	switch c.Message {
	case ORM, OMG, OMI, ORU, ORR:
	default:
		return fmt.Errorf("%w: message %q is none of ORM^O01, OMG^O19, OMI^O23, ORU^R01, ORR^O02", ErrConfig, c.Message)
	}
	switch c.Version {
	case "2.3.1", "2.4", "2.5", "2.5.1":
	default:
		return fmt.Errorf("%w: version %q is none of 2.3.1, 2.4, 2.5, 2.5.1", ErrConfig, c.Version)
	}
	if c.Charset != "" && !hl7.KnownCharset(c.Charset) {
		return fmt.Errorf("%w: charset %q is not known", ErrConfig, c.Charset)
	}
	if c.SendTo != "" {
		if _, _, err := net.SplitHostPort(c.SendTo); err != nil {
			return fmt.Errorf("%w: %q is not host:port", ErrConfig, c.SendTo)
		}
	}
	return nil
}

// SetSendTo changes where status and reports go to; empty: nowhere.
func (r *RIS) SetSendTo(address string) {
	r.mu.Lock()
	old := r.client
	r.sendTo, r.client = address, nil
	r.mu.Unlock()
	if old == nil {
		return
	}
	// Closing waits for the message in flight.
	if !r.auto.begin(func(context.Context) { _ = old.Close() }) {
		_ = old.Close()
	}
}

// Serve takes orders until ctx ends or ln fails, closes ln and returns when
// everything it began has ended: nil after ctx ended. What Auto is to do later is
// dropped. Serve is for one call.
func (r *RIS) Serve(ctx context.Context, ln net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	r.auto.start(ctx, &wg)
	defer func() {
		stop()
		r.closeConnections()
		r.auto.stop()
		wg.Wait()
		r.mu.Lock()
		c := r.client
		r.client = nil
		r.mu.Unlock()
		if c != nil {
			_ = c.Close()
		}
	}()
	defer context.AfterFunc(ctx, r.closeConnections)()
	address := ln.Addr()
	for {
		if !r.listen(ctx, ln) {
			_ = ln.Close()
			return nil
		}
		err := r.accept(ctx, ln, &wg)
		_ = ln.Close()
		if ctx.Err() != nil {
			return nil
		}
		if r.waitPlugged(ctx) == nil {
			return fmt.Errorf("hl7sim: accept: %w", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		if ln, err = (&net.ListenConfig{}).Listen(ctx, address.Network(), address.String()); err != nil {
			return fmt.Errorf("hl7sim: listen again: %w", err)
		}
	}
}

// listen makes ln the listener that Unplug closes; false when ctx ended.
func (r *RIS) listen(ctx context.Context, ln net.Listener) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listener = ln
	if !r.plugged {
		_ = ln.Close()
	}
	return ctx.Err() == nil
}

var errUnplugged = errors.New("hl7sim: unplugged")

// waitPlugged waits for the network when there is none; it returns nil when there
// was no need to.
func (r *RIS) waitPlugged(ctx context.Context) error {
	waited := false
	for {
		r.mu.Lock()
		plugged, changed := r.plugged, r.replug
		// Plugged again before this was asked: the listener was closed all the same.
		waited = waited || r.listener == nil
		r.mu.Unlock()
		if plugged {
			if waited {
				return errUnplugged
			}
			return nil
		}
		waited = true
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Unplug takes the RIS off the network: connections are closed, and new ones are
// refused by the operating system, until [RIS.Plug]. A listener of crypto/tls comes
// back as a plain one.
func (r *RIS) Unplug() {
	r.mu.Lock()
	r.plugged = false
	close(r.replug)
	r.replug = make(chan struct{})
	if r.listener != nil {
		_ = r.listener.Close()
		r.listener = nil
	}
	r.mu.Unlock()
	r.closeConnections()
}

// Plug ends [RIS.Unplug]. It listens at its address again soon after.
func (r *RIS) Plug() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plugged = true
	close(r.replug)
	r.replug = make(chan struct{})
}

// closeConnections closes the listener, when Serve is ending, and the connections.
func (r *RIS) closeConnections() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		_ = r.listener.Close()
	}
	for c := range r.conns {
		_ = c.Close()
	}
}

// controlID returns a new MSH-10. The caller holds mu.
func (r *RIS) controlID() string {
	r.lastID++
	return r.prefix + "-" + strconv.FormatUint(r.lastID, 36)
}

func (r *RIS) newControlID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.controlID()
}
