package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func testClinics(t *testing.T, s Suite) {
	st, ctx := s.fresh(t), t.Context()
	c := relay.Clinic{ID: "id1", Name: "Eläinklinikka Ähtäri", CreatedAt: Start}
	must(t, st.AddClinic(ctx, c))
	if err := st.AddClinic(ctx, relay.Clinic{ID: "id2", Name: "ELÄINKLINIKKA ähtäri", CreatedAt: Start}); !errors.Is(err, relay.ErrNameTaken) {
		t.Error(err)
	}
	if err := st.AddClinic(ctx, relay.Clinic{ID: "id1", Name: "Other", CreatedAt: Start}); !errors.Is(err, relay.ErrTaken) {
		t.Error(err)
	}
	if g := got(st.Clinic(ctx, "id1"))(t); g != c {
		t.Errorf("%+v", g)
	}
	if g := got(st.ClinicByName(ctx, "eläinklinikka ÄHTÄRI"))(t); g != c {
		t.Errorf("%+v", g)
	}
	must(t, st.Revoke(ctx, "id1", Start.Add(time.Hour)))
	if g := got(st.ClinicByName(ctx, c.Name))(t); g.ID != "id1" || !g.RevokedAt.Equal(Start.Add(time.Hour)) {
		t.Errorf("%+v", g)
	}
	must(t, st.AddClinic(ctx, relay.Clinic{ID: "id3", Name: c.Name, CreatedAt: Start}))
	if g := got(st.ClinicByName(ctx, c.Name))(t); g.ID != "id3" {
		t.Errorf("%+v", g)
	}
	_, err1 := st.Clinic(ctx, "nobody")
	_, err2 := st.ClinicByName(ctx, "nobody")
	_, err3 := st.Agent(ctx, "nobody")
	_, err4 := st.History(ctx, "nobody")
	for i, err := range []error{
		err1, err2, err3, err4, st.Revoke(ctx, "nobody", Start), st.RequestRotation(ctx, "nobody"),
		st.AddURLs(ctx, []relay.InboundURL{{Clinic: "nobody"}}), st.OfferToken(ctx, relay.Token{KID: "k", Clinic: "nobody"}),
		st.AddPairing(ctx, relay.Pairing{Group: "G", Clinic: "nobody"}), st.AddSealingKey(ctx, "nobody", relay.SealingKey{}),
		st.SaveHistory(ctx, "nobody", relay.History{}),
	} {
		if !errors.Is(err, relay.ErrUnknownClinic) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func testChanges(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b"), t.Context()
	first := got(st.Changes(ctx, 0))(t)
	if len(first.Clinics) != 2 || len(first.URLs) != 0 || first.Revision == 0 {
		t.Errorf("%+v", first)
	}
	if c := got(st.Changes(ctx, first.Revision))(t); len(c.Clinics) != 0 || c.Revision != first.Revision {
		t.Errorf("nothing changed: %+v", c)
	}
	u := relay.InboundURL{Hash: secret("u1"), Clinic: "a", Kind: wire.KindTest, Label: "test", CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}
	must(t, st.AddURLs(ctx, []relay.InboundURL{u}))
	next := got(st.Changes(ctx, first.Revision))(t)
	if len(next.Clinics) != 0 || len(next.URLs) != 1 || next.URLs[0] != u || next.Revision <= first.Revision {
		t.Errorf("%+v", next)
	}
	must(t, st.RequestRotation(ctx, "b"))
	last := got(st.Changes(ctx, next.Revision))(t)
	if len(last.Clinics) != 1 || last.Clinics[0].ID != "b" || !last.Clinics[0].Rotate || len(last.URLs) != 0 {
		t.Errorf("%+v", last)
	}
	must(t, st.Revoke(ctx, "a", Start))
	if c := got(st.Changes(ctx, last.Revision))(t); len(c.Clinics) != 1 || !c.Clinics[0].Revoked || len(c.URLs) != 1 || c.URLs[0].RetiredAt.IsZero() {
		t.Errorf("%+v", c)
	}
	if c := got(st.Changes(ctx, last.Revision+1000))(t); len(c.Clinics) != 2 {
		t.Errorf("a revision of another database: %+v", c)
	}
	if err := st.AddURLs(ctx, []relay.InboundURL{{Hash: secret("u2"), Clinic: "b", CreatedAt: Start}, u}); !errors.Is(err, relay.ErrTaken) {
		t.Error(err)
	}
	if c := got(st.Changes(ctx, 0))(t); len(c.URLs) != 1 {
		t.Error("half of a call was stored")
	}
}

// A follower of revisions misses nothing, whoever commits when.
func testChangesRace(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	const writers, each = 6, 10
	var working sync.WaitGroup
	for w := range writers {
		working.Go(func() {
			for i := range each {
				u := relay.InboundURL{Hash: secret(string(rune(w)) + "/" + string(rune(i))), Clinic: "a", Kind: wire.KindTest, CreatedAt: Start}
				if err := st.AddURLs(t.Context(), []relay.InboundURL{u}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[relay.SecretHash]bool{}
	var rev relay.Revision
	eventually(t, "every URL is seen", func() bool {
		c := got(st.Changes(t.Context(), rev))(t)
		for _, u := range c.URLs {
			if seen[u.Hash] {
				t.Error("told twice")
			}
			seen[u.Hash] = true
		}
		rev = c.Revision
		return len(seen) == writers*each
	})
	working.Wait()
}

func testURLs(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b"), t.Context()
	u := func(name string, c wire.ClinicID, kind string, age time.Duration) relay.InboundURL {
		return relay.InboundURL{Hash: secret(name), Clinic: c, Kind: kind, CreatedAt: Start.Add(age)}
	}
	short := u("credentials", "a", wire.KindCredentials, 0)
	short.ExpiresAt = Start.Add(10 * time.Minute)
	must(t, st.AddURLs(ctx, []relay.InboundURL{
		u("old", "a", "worklist.created", 0), u("new", "a", "worklist.created", time.Hour), u("other", "a", "worklist.updated", 0), u("b", "b", "worklist.created", 0), short,
	}))
	retired := func() (names []string) {
		for _, x := range got(st.Changes(ctx, 0))(t).URLs {
			for _, n := range []string{"old", "new", "other", "b", "credentials"} {
				if x.Hash == secret(n) && !x.RetiredAt.IsZero() {
					names = append(names, n)
				}
			}
		}
		slices.Sort(names)
		return names
	}
	if n := got(st.RetireURLs(ctx, Start.Add(day), Start))(t); n != 0 {
		t.Errorf("%d retired, none was used", n)
	}
	rev := got(st.Changes(ctx, 0))(t).Revision
	got(st.RetireURLs(ctx, Start, Start))(t)
	if r := got(st.Changes(ctx, 0))(t).Revision; r != rev {
		t.Error("the revision rose for nothing")
	}
	must(t, st.Note(ctx, relay.Notes{URLs: []relay.URLUse{{Hash: secret("new"), At: Start.Add(2 * time.Hour), Uses: 3}, {Hash: secret("unknown"), At: Start, Uses: 1}}}))
	if n := got(st.RetireURLs(ctx, Start.Add(2*time.Hour), Start.Add(5*time.Minute)))(t); n != 0 {
		t.Errorf("%d retired too early", n)
	}
	if n := got(st.RetireURLs(ctx, Start.Add(3*time.Hour), Start.Add(5*time.Minute)))(t); n != 1 || !slices.Equal(retired(), []string{"old"}) {
		t.Errorf("retired %v", retired())
	}
	if n := got(st.RetireURLs(ctx, Start, Start.Add(10*time.Minute)))(t); n != 1 || !slices.Equal(retired(), []string{"credentials", "old"}) {
		t.Errorf("retired %v", retired())
	}
	var urls []relay.URLStatus
	for _, c := range got(st.Status(ctx))(t) {
		if c.Clinic.ID == "a" {
			urls = c.URLs
		}
	}
	if len(urls) != 2 || urls[1].Uses != 3 || !urls[1].FirstUsed.Equal(Start.Add(2*time.Hour)) {
		t.Errorf("%+v", urls)
	}
}

func testHistory(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	h := got(st.History(ctx, "a"))(t)
	h.Present = relay.Session{Instance: "i", Run: "r", At: Start}
	h.Takeovers = []time.Time{Start}
	h.Frozen = Start.Add(time.Minute)
	must(t, st.SaveHistory(ctx, "a", h))
	if err := st.SaveHistory(ctx, "a", h); !errors.Is(err, relay.ErrConflict) {
		t.Error(err)
	}
	next := got(st.History(ctx, "a"))(t)
	if next.Version != h.Version+1 || next.Present != h.Present || !next.Frozen.Equal(h.Frozen) || len(next.Takeovers) != 1 {
		t.Errorf("%+v", next)
	}
	if c := got(st.Status(ctx))(t); !c[0].Frozen.Equal(h.Frozen) {
		t.Errorf("%+v", c)
	}
	var working sync.WaitGroup
	wins := make(chan bool, 8)
	for range cap(wins) {
		working.Go(func() { wins <- st.SaveHistory(t.Context(), "a", next) == nil })
	}
	working.Wait()
	n := 0
	for range cap(wins) {
		if <-wins {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d wrote the same version", n)
	}
}

func testNotes(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "b", "a"), t.Context()
	c := claim(t, st, "a", "n")
	seqs := addAt(t, st, "a", Start.Add(time.Minute), 3, 100)
	must(t, st.Ack(ctx, "a", seqs[0], c.Epoch))
	heard, since := Start.Add(time.Hour), Start.Add(30*time.Minute)
	must(t, st.Note(ctx, relay.Notes{
		Presence: []relay.Presence{
			{Clinic: "a", Epoch: c.Epoch, LastHeard: heard, ConnectedSince: since},
			{Clinic: "a", Epoch: c.Epoch + 1, LastHeard: heard.Add(time.Hour)},
			{Clinic: "nobody", Epoch: 1, LastHeard: heard},
		},
		Counts: []relay.Counts{{Clinic: "a", Received: 3, TooLarge: 1}, {Clinic: "a", Received: 1, Limited: 2, Gaps: 4, Takeovers: 5}, {Clinic: "nobody", Received: 1}},
	}))
	all := got(st.Status(ctx))(t)
	if len(all) != 2 || all[0].Clinic.ID != "a" || all[1].Clinic.ID != "b" {
		t.Fatalf("%+v", all)
	}
	a := all[0]
	if !a.LastHeard.Equal(heard) || !a.ConnectedSince.Equal(since) || a.Version != "1.0" || a.Transport != "websocket" || a.Node != "n" {
		t.Errorf("%+v", a)
	}
	if a.Counts != (relay.Counts{Clinic: "a", Received: 4, TooLarge: 1, Limited: 2, Gaps: 4, Takeovers: 5}) {
		t.Errorf("%+v", a.Counts)
	}
	if a.Backlog != 2 || a.BacklogBytes != 200 || a.Head != seqs[2] || a.Acked != seqs[0] || !a.Oldest.Equal(Start.Add(time.Minute)) {
		t.Errorf("%+v", a)
	}
	must(t, st.Note(ctx, relay.Notes{Presence: []relay.Presence{{Clinic: "a", Epoch: c.Epoch, LastHeard: Start}}}))
	if a := got(st.Status(ctx))(t)[0]; !a.LastHeard.Equal(heard) || !a.ConnectedSince.IsZero() {
		t.Errorf("%+v", a)
	}
}

func testAudit(t *testing.T, s Suite) {
	st, ctx := s.fresh(t), t.Context()
	for i := range 5 {
		must(t, st.Audit(ctx, relay.AuditLine{At: Start.Add(time.Duration(i) * time.Second), Clinic: wire.ClinicID("ab"[i%2 : i%2+1]), Action: "add", Detail: string(make([]byte, 0, i))}))
	}
	must(t, st.Audit(ctx, relay.AuditLine{At: Start.Add(time.Minute), Action: "epoch", Detail: "all"}))
	lines := got(st.Audits(ctx, "", 3))(t)
	if len(lines) != 3 || lines[0] != (relay.AuditLine{At: Start.Add(time.Minute), Action: "epoch", Detail: "all"}) || !lines[1].At.Equal(Start.Add(4*time.Second)) {
		t.Errorf("%+v", lines)
	}
	if lines := got(st.Audits(ctx, "b", 10))(t); len(lines) != 2 {
		t.Errorf("%+v", lines)
	}
}

func testNotices(t *testing.T, s Suite) {
	st, ctx := s.fresh(t), t.Context()
	n := relay.Notice{Key: "offline a 1", Kind: "offline", Clinic: "a", Name: "Clinic a", At: Start, Detail: "24h"}
	if !got(st.AddNotice(ctx, n))(t) || got(st.AddNotice(ctx, n))(t) {
		t.Error("a key counts once")
	}
	later := n
	later.Key, later.At = "later", Start.Add(time.Hour)
	got(st.AddNotice(ctx, later))(t)
	due := func(at time.Time) []relay.Notice { return got(st.DueNotices(ctx, at, time.Minute, 10))(t) }
	if d := due(Start); len(d) != 1 || d[0] != n {
		t.Errorf("%+v", d)
	}
	if d := due(Start.Add(30 * time.Second)); len(d) != 0 {
		t.Errorf("leased, and due again: %+v", d)
	}
	must(t, st.RetryNotice(ctx, n.Key, Start.Add(5*time.Minute)))
	if d := due(Start.Add(2 * time.Minute)); len(d) != 0 {
		t.Errorf("%+v", d)
	}
	if d := due(Start.Add(5 * time.Minute)); len(d) != 1 || d[0].Tries != 1 {
		t.Errorf("%+v", d)
	}
	must(t, st.SettleNotice(ctx, n.Key))
	if d := due(Start.Add(59 * time.Minute)); len(d) != 0 {
		t.Errorf("settled, and due: %+v", d)
	}
	if got(st.AddNotice(ctx, n))(t) {
		t.Error("a settled notice was added again")
	}
	var working sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 6 {
		working.Go(func() {
			d, err := st.DueNotices(t.Context(), Start.Add(2*time.Hour), time.Hour, 10)
			mu.Lock()
			defer mu.Unlock()
			taken += len(d)
			if err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if taken != 1 {
		t.Errorf("one notice was taken %d times", taken)
	}
}

func testMACKey(t *testing.T, s Suite) {
	open := s.New(t)
	st := open(t)
	key := got(st.MACKey(t.Context()))(t)
	other := s.fresh(t)
	if len(key) != 32 || string(key) == string(got(other.MACKey(t.Context()))(t)) {
		t.Errorf("%d bytes, or two databases have the same", len(key))
	}
	must(t, st.Close())
	if again := got(open(t).MACKey(t.Context()))(t); string(again) != string(key) {
		t.Error("it changed")
	}
}
