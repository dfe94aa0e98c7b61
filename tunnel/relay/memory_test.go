package relay_test

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// memory is a store and a registry in memory, for tests that need to see or break what a database would do. Tests of
// whole stories run on the real store.
type memory struct {
	mu       sync.Mutex
	fail     error // of Append
	health   relay.Health
	noWake   bool // wake-ups are lost
	boxes    map[wire.ClinicID]*box
	urls     map[relay.SecretHash]*relay.InboundURL
	first    map[relay.SecretHash]time.Time
	touched  map[wire.ClinicID]relay.Revision
	urlRev   map[relay.SecretHash]relay.Revision
	revision relay.Revision
	tokens   map[string]*relay.Token
	pairings map[string]*relay.Pairing
	audits   []relay.AuditLine
	notices  map[string]*notice
	subs     map[chan relay.Wakeup]struct{}
}

type notice struct {
	relay.Notice
	due     time.Time
	settled bool
}

type box struct {
	clinic  relay.Clinic
	agent   *relay.Agent
	sealing relay.SealingKey
	rotate  bool
	history relay.History
	events  []relay.Event
	times   map[wire.Seq]time.Time
	claim   relay.Claim
	heard   time.Time
	present time.Time
	counts  relay.Counts
}

func newMemory() *memory {
	return &memory{
		boxes: map[wire.ClinicID]*box{}, urls: map[relay.SecretHash]*relay.InboundURL{}, first: map[relay.SecretHash]time.Time{},
		touched: map[wire.ClinicID]relay.Revision{}, urlRev: map[relay.SecretHash]relay.Revision{}, tokens: map[string]*relay.Token{},
		pairings: map[string]*relay.Pairing{}, notices: map[string]*notice{}, subs: map[chan relay.Wakeup]struct{}{},
		health: relay.Health{DatabaseBytes: -1, DiskUsed: -1},
	}
}

func (m *memory) box(c wire.ClinicID) (*box, error) {
	if b := m.boxes[c]; b != nil {
		return b, nil
	}
	return nil, relay.ErrUnknownClinic
}

func (m *memory) touch(c wire.ClinicID) {
	m.revision++
	m.touched[c] = m.revision
}

func (m *memory) Append(ctx context.Context, c wire.ClinicID, e relay.Event) (wire.Seq, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	b, err := m.box(c)
	if err != nil {
		return 0, err
	}
	b.claim.Head++
	e.Seq = b.claim.Head
	b.events = append(b.events, e)
	b.times[e.Seq] = e.ReceivedAt
	return e.Seq, nil
}

func (m *memory) After(_ context.Context, c wire.ClinicID, seq wire.Seq, maxMsgs, maxBytes int) ([]relay.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(c)
	if err != nil {
		return nil, err
	}
	if seq < b.claim.RemovedTo {
		return nil, &relay.GapError{RemovedTo: b.claim.RemovedTo, Reason: b.claim.Reason}
	}
	var out []relay.Event
	size := 0
	for _, e := range b.events {
		if e.Seq <= seq {
			continue
		}
		size += len(e.Header) + len(e.Body)
		if len(out) > 0 && (len(out) >= maxMsgs || size > maxBytes) {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

func (m *memory) ReceivedAt(_ context.Context, c wire.ClinicID, seq wire.Seq) (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(c)
	if err != nil {
		return time.Time{}, err
	}
	if at, ok := b.times[seq]; ok {
		return at, nil
	}
	return time.Time{}, relay.ErrNoEvent
}

func (m *memory) Ack(_ context.Context, c wire.ClinicID, seq wire.Seq, ep wire.Epoch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(c)
	if err != nil {
		return err
	}
	if ep != b.claim.Epoch {
		return relay.ErrStaleEpoch
	}
	b.claim.Acked = max(b.claim.Acked, seq)
	return nil
}

func (m *memory) Claim(_ context.Context, c wire.ClinicID, who relay.Claimant) (relay.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(c)
	if err != nil {
		return relay.Claim{}, err
	}
	b.claim.Epoch++
	out := b.mailbox()
	b.claim.Before = who
	b.heard = who.At
	return out, nil
}

func (b *box) mailbox() relay.Claim {
	out := b.claim
	out.LastHeard = b.heard
	if len(b.events) > 0 {
		out.Oldest = b.events[0].Seq
	}
	return out
}

func (m *memory) Mailbox(_ context.Context, c wire.ClinicID) (relay.Claim, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(c)
	if err != nil {
		return relay.Claim{}, err
	}
	return b.mailbox(), nil
}

func (m *memory) Owned(_ context.Context, node relay.NodeID) ([]relay.Ownership, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []relay.Ownership
	for id, b := range m.boxes {
		if b.claim.Before.Node == node {
			out = append(out, relay.Ownership{
				Clinic: id, Epoch: b.claim.Epoch, Head: b.claim.Head, Acked: b.claim.Acked, Revoked: !b.clinic.RevokedAt.IsZero(),
			})
		}
	}
	return out, nil
}

func (m *memory) Pending(_ context.Context, node relay.NodeID) ([]relay.Wakeup, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []relay.Wakeup
	for id, b := range m.boxes {
		if b.claim.Before.Node == node && b.claim.Head > b.claim.Acked {
			out = append(out, relay.Wakeup{Clinic: id, Seq: b.claim.Head})
		}
	}
	return out, nil
}

func (m *memory) NewStoreEpoch(_ context.Context, c wire.ClinicID) (wire.StoreEpoch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(c)
	if err != nil {
		return "", err
	}
	b.claim.StoreEpoch = wire.StoreEpoch(wire.NewID())
	return b.claim.StoreEpoch, nil
}

func (m *memory) NewStoreEpochs(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.boxes {
		b.claim.StoreEpoch = wire.StoreEpoch(wire.NewID())
	}
	return nil
}

func (m *memory) Wake(c wire.ClinicID, seq wire.Seq) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ch := range m.subs {
		if m.noWake {
			continue
		}
		select {
		case ch <- relay.Wakeup{Clinic: c, Seq: seq}:
		default:
		}
	}
}

func (m *memory) Subscribe(ctx context.Context) (<-chan relay.Wakeup, error) {
	ch := make(chan relay.Wakeup, 1000)
	m.mu.Lock()
	m.subs[ch] = struct{}{}
	m.mu.Unlock()
	context.AfterFunc(ctx, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.subs, ch)
		close(ch)
	})
	return ch, nil
}

// Expire knows the quota of events alone.
func (m *memory) Expire(_ context.Context, _ time.Time, l relay.Limits) (relay.Expired, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var x relay.Expired
	for id, b := range m.boxes {
		n := len(b.events) - l.Events
		if n <= 0 {
			continue
		}
		d := relay.Dropped{Clinic: id, From: b.events[0].Seq, To: b.events[n-1].Seq, Events: n, Reason: wire.GapQuota}
		b.events = slices.Clone(b.events[n:])
		b.claim.RemovedTo, b.claim.Reason = d.To, d.Reason
		x.Dropped = append(x.Dropped, d)
	}
	return x, nil
}

func (m *memory) Health(context.Context) (relay.Health, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health, nil
}

var (
	_ relay.Store    = (*memory)(nil)
	_ relay.Registry = (*memory)(nil)
)
