package relayd_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
	"github.com/rayhound/rayhound/tunnel/tunneltest"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// slowInbox commits nothing until its gate is open.
type slowInbox struct {
	*tunneltest.Inbox
	gate chan struct{}
}

func (b slowInbox) Commit(ctx context.Context, epoch wire.StoreEpoch, events []wire.Event) error {
	select {
	case <-b.gate:
		return b.Inbox.Commit(ctx, epoch, events)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// meter counts what an appliance receives.
type meter struct {
	net.Conn
	n *atomic.Int64
}

func (m meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.n.Add(int64(n))
	return n, err
}

// slow makes c an appliance whose commits wait, and returns what it has received.
func slow(p *place, c *tunneltest.Clinic) (gate chan struct{}, received *atomic.Int64) {
	gate, received = make(chan struct{}), &atomic.Int64{}
	c.Inbox = slowInbox{c.Memory, gate}
	c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, strings.TrimPrefix(p.node.url, "http://"))
		return meter{conn, received}, err
	}
	return gate, received
}

// Clinics whose appliances commit nothing get their window, by count and by bytes, and cost the relay nothing more; another one
// gets its events as ever. When they wake up, they get everything in order, an event larger than the window too.
func TestSlowClinics(t *testing.T) {
	p := newPlace(t, func(c *relay.Config) { c.MaxBody = wire.MaxBody })
	list := p.join("many", "large", "well")
	many, large, well := list[0], list[1], list[2]
	manyGate, manyBytes := slow(p, many)
	largeGate, largeBytes := slow(p, large)
	for _, c := range list {
		c.Start(t)
	}
	eventually(t, "connected", func() bool {
		return !slices.ContainsFunc(list, func(c *tunneltest.Clinic) bool { return c.Client.Status().State != client.Connected })
	})
	goroutines, heap := runtime.NumGoroutine(), inUse()

	var wantMany, wantLarge []string
	for i := range 1500 {
		wantMany = append(wantMany, fmt.Sprint("many ", i))
	}
	for i := range 24 { // the first is larger than the window alone
		size := wire.MaxBody
		if i%4 != 0 {
			size = 200 << 10
		}
		wantLarge = append(wantLarge, fmt.Sprint("large ", i, strings.Repeat(".", size-20)))
	}
	for _, body := range wantLarge {
		post(t, p.front.url, large, body)
	}
	for _, body := range wantMany {
		post(t, p.front.url, many, body)
	}
	for i := range 50 {
		post(t, p.front.url, well, fmt.Sprint(i))
	}
	eventually(t, "the third clinic is well", func() bool { return len(well.Memory.Seqs()) == 50 })
	most := int64(wire.WindowBytes + wire.MaxBody + wire.FrameOverhead + 64<<10)
	if n := largeBytes.Load(); n > most || n < wire.MaxBody {
		t.Errorf("%d bytes were sent into a window of %d", n, wire.WindowBytes)
	}
	// A sealed event of this size is below 800 bytes, whatever its headers.
	if n := manyBytes.Load(); n > wire.WindowMsgs*800+64<<10 {
		t.Errorf("%d bytes were sent into a window of %d events", n, wire.WindowMsgs)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 100 {
		t.Errorf("%d goroutines more", n)
	}
	if n := inUse() - heap; n > 24<<20 { // both ends, of which the appliances hold their windows
		t.Errorf("the heap grew by %d MB", n>>20)
	}
	close(manyGate)
	close(largeGate)
	eventually(t, "all is there", func() bool {
		return len(many.Memory.Seqs()) == len(wantMany) && len(large.Memory.Seqs()) == len(wantLarge)
	})
	if !slices.Equal(many.Bodies(t, ""), wantMany) || !slices.Equal(large.Bodies(t, ""), wantLarge) {
		t.Error("not what was sent, or not in its order")
	}
	p.admin(func(_ *relay.Admin, st relayd.Store) {
		eventually(t, "all is acknowledged", func() bool {
			m, err := st.Mailbox(t.Context(), large.Credentials.ClinicID)
			return err == nil && m.Acked == m.Head
		})
	})
}

// inUse is the heap after a collection.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// An inbox whose commits fail, as on a full disk, gets its events when they work again, and nothing was acknowledged before.
func TestInboxFails(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	a := p.join("a")[0]
	a.Memory.Fail(context.DeadlineExceeded)
	a.Start(t)
	eventually(t, "connected", func() bool { return a.Client.Status().State == client.Connected })
	for i := range 10 {
		post(t, p.front.url, a, fmt.Sprint(i))
	}
	eventually(t, "the failure shows", func() bool { return a.Client.Status().InboxError != "" })
	if s := p.status("a"); s.Acked != 0 || s.Backlog != 10 {
		t.Errorf("acked to %d, %d wait", s.Acked, s.Backlog)
	}
	a.Memory.Fail(nil)
	eventually(t, "all is there", func() bool { return len(a.Memory.Seqs()) == 10 })
	if a.Memory.Repeats() != 0 {
		t.Errorf("%d came again", a.Memory.Repeats())
	}
}
