package relay_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func (m *memory) AddClinic(_ context.Context, c relay.Clinic) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.boxes {
		if strings.EqualFold(b.clinic.Name, c.Name) && b.clinic.RevokedAt.IsZero() {
			return relay.ErrNameTaken
		}
	}
	m.boxes[c.ID] = &box{clinic: c, times: map[wire.Seq]time.Time{}, claim: relay.Claim{StoreEpoch: wire.StoreEpoch(wire.NewID())}}
	m.touch(c.ID)
	return nil
}

func (m *memory) Clinic(_ context.Context, id wire.ClinicID) (relay.Clinic, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(id)
	if err != nil {
		return relay.Clinic{}, err
	}
	return b.clinic, nil
}

func (m *memory) ClinicByName(_ context.Context, name string) (relay.Clinic, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out relay.Clinic
	for _, b := range m.boxes {
		if strings.EqualFold(b.clinic.Name, name) && (out.ID == "" || b.clinic.RevokedAt.IsZero()) {
			out = b.clinic
		}
	}
	if out.ID == "" {
		return out, relay.ErrUnknownClinic
	}
	return out, nil
}

func (m *memory) Revoke(_ context.Context, id wire.ClinicID, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(id)
	if err != nil {
		return err
	}
	b.clinic.RevokedAt = at
	m.touch(id)
	for h, u := range m.urls {
		if u.Clinic == id && u.RetiredAt.IsZero() {
			u.RetiredAt = at
			m.urlRev[h] = m.revision
		}
	}
	for _, p := range m.pairings {
		if p.Clinic == id && p.EndedAt.IsZero() {
			p.EndedAt = at
		}
	}
	return nil
}

func (m *memory) Status(context.Context) ([]relay.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []relay.Status
	for id, b := range m.boxes {
		s := relay.Status{
			Clinic: b.clinic, LastHeard: b.heard, ConnectedSince: b.present, Frozen: b.history.Frozen, Head: b.claim.Head,
			Acked: b.claim.Acked, Counts: b.counts, Version: b.claim.Before.Version, Transport: b.claim.Before.Transport,
		}
		if b.agent != nil {
			s.Paired = b.agent.PairedAt
		}
		for _, e := range b.events {
			if e.Seq > b.claim.Acked {
				s.Backlog++
				if s.Oldest.IsZero() {
					s.Oldest = e.ReceivedAt
				}
			}
		}
		for _, u := range m.urls {
			if u.Clinic == id && u.RetiredAt.IsZero() {
				s.URLs = append(s.URLs, relay.URLStatus{Kind: u.Kind, Label: u.Label, CreatedAt: u.CreatedAt, ExpiresAt: u.ExpiresAt})
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b relay.Status) int { return cmp.Compare(a.Clinic.Name, b.Clinic.Name) })
	return out, nil
}

func (m *memory) Changes(_ context.Context, since relay.Revision) (relay.Changes, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ch := relay.Changes{Revision: m.revision}
	for id, rev := range m.touched {
		if rev > since {
			b := m.boxes[id]
			ch.Clinics = append(ch.Clinics, relay.State{
				ID: id, Name: b.clinic.Name, Revoked: !b.clinic.RevokedAt.IsZero(), Rotate: b.rotate, Sealing: b.sealing,
			})
		}
	}
	for h, rev := range m.urlRev {
		if rev > since {
			ch.URLs = append(ch.URLs, *m.urls[h])
		}
	}
	return ch, nil
}

func (m *memory) AddURLs(_ context.Context, urls []relay.InboundURL) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addURLs(urls)
}

func (m *memory) addURLs(urls []relay.InboundURL) error {
	for _, u := range urls {
		if m.urls[u.Hash] != nil {
			return relay.ErrTaken
		}
		m.urls[u.Hash] = &u
		m.touch(u.Clinic)
		m.urlRev[u.Hash] = m.revision
	}
	return nil
}

func (m *memory) RetireURLs(_ context.Context, usedBefore, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for h, u := range m.urls {
		end := !u.ExpiresAt.IsZero() && !now.Before(u.ExpiresAt)
		for g, v := range m.urls {
			used := m.first[g]
			end = end || v.Clinic == u.Clinic && v.Kind == u.Kind && v.CreatedAt.After(u.CreatedAt) && !used.IsZero() && used.Before(usedBefore)
		}
		if end && u.RetiredAt.IsZero() {
			u.RetiredAt = now
			m.touch(u.Clinic)
			m.urlRev[h] = m.revision
			n++
		}
	}
	return n, nil
}

func (m *memory) Agent(_ context.Context, id wire.ClinicID) (relay.Agent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(id)
	if err != nil {
		return relay.Agent{}, err
	}
	if b.agent == nil {
		return relay.Agent{}, relay.ErrNotPaired
	}
	return *b.agent, nil
}

func (m *memory) AddSealingKey(_ context.Context, id wire.ClinicID, k relay.SealingKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(id)
	if err != nil {
		return err
	}
	if b.sealing.KeyID != k.KeyID {
		b.sealing = k
		m.touch(id)
	}
	return nil
}

func (m *memory) Token(_ context.Context, kid string, now time.Time) (relay.Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tokens[kid]
	if t == nil || !t.DiesAt.IsZero() && !now.Before(t.DiesAt) {
		return relay.Token{}, relay.ErrUnknownToken
	}
	out := *t
	out.Revoked = !m.boxes[t.Clinic].clinic.RevokedAt.IsZero()
	return out, nil
}

func (m *memory) OfferToken(_ context.Context, t relay.Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens[t.KID] != nil {
		return relay.ErrTaken
	}
	m.tokens[t.KID] = &t
	if b := m.boxes[t.Clinic]; b.rotate {
		b.rotate = false
		m.touch(t.Clinic)
	}
	return nil
}

func (m *memory) ConfirmToken(_ context.Context, kid string, at, oldDies time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tokens[kid]
	if t == nil {
		return relay.ErrUnknownToken
	}
	t.ConfirmedAt = at
	m.killOlder(t, oldDies)
	return nil
}

func (m *memory) killOlder(t *relay.Token, at time.Time) {
	for _, o := range m.tokens {
		if o.Clinic == t.Clinic && o.CreatedAt.Before(t.CreatedAt) && (o.DiesAt.IsZero() || o.DiesAt.After(at)) {
			o.DiesAt = at
		}
	}
}

func (m *memory) UseToken(_ context.Context, kid string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tokens[kid]
	if t == nil {
		return relay.ErrUnknownToken
	}
	if t.UsedAt.IsZero() {
		t.UsedAt = at
		m.killOlder(t, at)
	}
	return nil
}

func (m *memory) RequestRotation(_ context.Context, id wire.ClinicID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(id)
	if err != nil {
		return err
	}
	b.rotate = true
	m.touch(id)
	return nil
}

func (m *memory) AddPairing(_ context.Context, p relay.Pairing) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.pairings {
		if o.Clinic == p.Clinic && o.EndedAt.IsZero() {
			o.EndedAt = p.CreatedAt
		}
	}
	m.pairings[p.Group] = &p
	return nil
}

func (m *memory) Pairing(_ context.Context, group string) (relay.Pairing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pairings[group]; p != nil {
		return *p, nil
	}
	return relay.Pairing{}, relay.ErrUnknownPairing
}

func (m *memory) WrongTry(_ context.Context, group string, burnAfter int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pairings[group]
	if p == nil {
		return 0, relay.ErrUnknownPairing
	}
	p.Wrong++
	if p.Wrong >= burnAfter && p.EndedAt.IsZero() {
		p.EndedAt = p.CreatedAt
	}
	return p.Wrong, nil
}

func (m *memory) CompletePairing(_ context.Context, d relay.Paired) (wire.StoreEpoch, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pairings[d.Group]
	if p == nil || !p.EndedAt.IsZero() {
		return "", relay.ErrPairingUsed
	}
	p.EndedAt = d.At
	b := m.boxes[d.Clinic]
	b.agent, b.sealing = &d.Agent, d.Sealing
	b.history = relay.History{Version: b.history.Version + 1}
	for kid, t := range m.tokens {
		if t.Clinic == d.Clinic {
			delete(m.tokens, kid)
		}
	}
	m.tokens[d.Token.KID] = &d.Token
	m.touch(d.Clinic)
	return b.claim.StoreEpoch, m.addURLs(d.URLs)
}

func (m *memory) History(_ context.Context, id wire.ClinicID) (relay.History, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(id)
	if err != nil {
		return relay.History{}, err
	}
	return b.history, nil
}

func (m *memory) SaveHistory(_ context.Context, id wire.ClinicID, h relay.History) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := m.box(id)
	if err != nil {
		return err
	}
	if b.history.Version != h.Version {
		return relay.ErrConflict
	}
	h.Version++
	b.history = h
	return nil
}

func (m *memory) Note(_ context.Context, n relay.Notes) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range n.Presence {
		if b := m.boxes[p.Clinic]; b != nil && b.claim.Epoch == p.Epoch {
			b.heard, b.present = p.LastHeard, p.ConnectedSince
		}
	}
	for _, u := range n.URLs {
		if m.first[u.Hash].IsZero() {
			m.first[u.Hash] = u.At
		}
	}
	for _, c := range n.Counts {
		if b := m.boxes[c.Clinic]; b != nil {
			b.counts.Received += c.Received
			b.counts.Gaps += c.Gaps
			b.counts.Takeovers += c.Takeovers
		}
	}
	return nil
}

func (m *memory) Audit(_ context.Context, a relay.AuditLine) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.audits = append(m.audits, a)
	return nil
}

func (m *memory) Audits(context.Context, wire.ClinicID, int) ([]relay.AuditLine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := slices.Clone(m.audits)
	slices.Reverse(out)
	return out, nil
}

func (m *memory) AddNotice(_ context.Context, n relay.Notice) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.notices[n.Key] != nil {
		return false, nil
	}
	m.notices[n.Key] = &notice{Notice: n}
	return true, nil
}

func (m *memory) DueNotices(_ context.Context, now time.Time, lease time.Duration, limit int) ([]relay.Notice, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []relay.Notice
	for _, n := range m.notices {
		if !n.settled && !now.Before(n.due) && len(out) < limit {
			n.due = now.Add(lease)
			out = append(out, n.Notice)
		}
	}
	return out, nil
}

func (m *memory) SettleNotice(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices[key].settled = true
	return nil
}

func (m *memory) RetryNotice(_ context.Context, key string, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notices[key].due = at
	m.notices[key].Tries++
	return nil
}

func (m *memory) MACKey(context.Context) ([]byte, error) { return make([]byte, 32), nil }
