package storetest

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// pair adds a pairing and completes it with a token of the given kid.
func pair(t testing.TB, st Store, c wire.ClinicID, kid string) relay.Paired {
	t.Helper()
	group := strings.ToUpper(kid)
	must(t, st.AddPairing(t.Context(), relay.Pairing{Group: group, Clinic: c, Hash: secret(kid), CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}))
	p := paired(c, group, kid)
	got(st.CompletePairing(t.Context(), p))(t)
	return p
}

func paired(c wire.ClinicID, group, kid string) relay.Paired {
	return relay.Paired{
		Group: group, Clinic: c, At: Start.Add(time.Minute),
		Agent:   relay.Agent{Clinic: c, Identity: ed25519.PublicKey(bytes.Repeat([]byte{1}, 32)), Instance: "i1", Version: "1.0", PairedAt: Start.Add(time.Minute)},
		Sealing: relay.SealingKey{KeyID: "key-" + kid, Public: bytes.Repeat([]byte{2}, 32), AddedAt: Start.Add(time.Minute)},
		Token:   relay.Token{KID: kid, Clinic: c, Hash: secret("token " + kid), CreatedAt: Start.Add(time.Minute), ConfirmedAt: Start.Add(time.Minute)},
		URLs:    []relay.InboundURL{{Hash: secret("url " + kid), Clinic: c, Kind: "worklist.created", Label: "created", CreatedAt: Start.Add(time.Minute)}},
	}
}

func testAgent(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	if _, err := st.Agent(ctx, "a"); !errors.Is(err, relay.ErrNotPaired) {
		t.Error(err)
	}
	if err := st.AddSealingKey(ctx, "a", relay.SealingKey{KeyID: "k"}); !errors.Is(err, relay.ErrNotPaired) {
		t.Error(err)
	}
	p := pair(t, st, "a", "k1")
	a := got(st.Agent(ctx, "a"))(t)
	if !a.Identity.Equal(p.Agent.Identity) || a.Instance != "i1" || a.Version != "1.0" || !a.PairedAt.Equal(p.At) || a.Clinic != "a" {
		t.Errorf("%+v", a)
	}
	rev := got(st.Changes(ctx, 0))(t).Revision
	must(t, st.AddSealingKey(ctx, "a", p.Sealing))
	if r := got(st.Changes(ctx, 0))(t).Revision; r != rev {
		t.Error("the same key was counted")
	}
	k := relay.SealingKey{KeyID: "key2", Public: bytes.Repeat([]byte{3}, 32), AddedAt: Start.Add(time.Hour)}
	must(t, st.AddSealingKey(ctx, "a", k))
	c := got(st.Changes(ctx, rev))(t)
	if len(c.Clinics) != 1 || c.Clinics[0].Sealing.KeyID != "key2" || !bytes.Equal(c.Clinics[0].Sealing.Public, k.Public) || !c.Clinics[0].Sealing.AddedAt.Equal(k.AddedAt) {
		t.Errorf("%+v", c)
	}
}

// alive returns which of the tokens can be used.
func alive(t testing.TB, st Store, now time.Time, kids ...string) (out []string) {
	t.Helper()
	for _, kid := range kids {
		tok, err := st.Token(t.Context(), kid, now)
		switch {
		case err == nil && tok.Hash == secret("token "+kid) && tok.KID == kid:
			out = append(out, kid)
		case !errors.Is(err, relay.ErrUnknownToken):
			t.Errorf("token %s: %+v, %v", kid, tok, err)
		}
	}
	return out
}

func offer(t testing.TB, st Store, kid string) {
	t.Helper()
	must(t, st.OfferToken(t.Context(), relay.Token{KID: kid, Clinic: "a", Hash: secret("token " + kid), CreatedAt: Start}))
}

func testTokens(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	pair(t, st, "a", "t0")
	offer(t, st, "t1")
	if err := st.OfferToken(ctx, relay.Token{KID: "t1", Clinic: "a"}); !errors.Is(err, relay.ErrTaken) {
		t.Error(err)
	}
	now := Start.Add(time.Hour)
	if a := alive(t, st, now, "t0", "t1", "nothing"); !slices.Equal(a, []string{"t0", "t1"}) {
		t.Errorf("alive: %v", a)
	}
	dies := Start.Add(7 * day)
	must(t, st.ConfirmToken(ctx, "t1", now, dies))
	must(t, st.ConfirmToken(ctx, "t1", now.Add(time.Hour), dies.Add(day))) // again
	old := got(st.Token(ctx, "t0", now))(t)
	if !old.DiesAt.Equal(dies) {
		t.Errorf("%+v", old)
	}
	if a := alive(t, st, dies, "t0", "t1"); !slices.Equal(a, []string{"t1"}) {
		t.Errorf("alive after seven days: %v", a)
	}
	must(t, st.UseToken(ctx, "t0", now)) // the agent still uses the old one
	if a := alive(t, st, now, "t0", "t1"); len(a) != 2 {
		t.Errorf("alive: %v", a)
	}
	must(t, st.UseToken(ctx, "t1", now))
	must(t, st.UseToken(ctx, "t1", now.Add(time.Hour)))
	if a := alive(t, st, now, "t0", "t1"); !slices.Equal(a, []string{"t1"}) {
		t.Errorf("alive after the first use: %v", a)
	}
	if tok := got(st.Token(ctx, "t1", now))(t); !tok.UsedAt.Equal(now) || !tok.ConfirmedAt.Equal(now) || tok.Clinic != "a" || !tok.DiesAt.IsZero() || tok.Revoked {
		t.Errorf("%+v", tok)
	}
	for i, err := range []error{st.UseToken(ctx, "t0", now), st.ConfirmToken(ctx, "nothing", now, now), st.UseToken(ctx, "nothing", now)} {
		if !errors.Is(err, relay.ErrUnknownToken) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// An agent never gets the frame with its new token: offers do not pile up, and none locks it out.
func testRotation(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	pair(t, st, "a", "t0")
	must(t, st.RequestRotation(ctx, "a"))
	for _, kid := range []string{"t1", "t2", "t3", "t4", "t5"} {
		offer(t, st, kid)
	}
	if a := alive(t, st, Start.Add(300*day), "t0", "t1", "t2", "t3", "t4", "t5"); !slices.Equal(a, []string{"t0", "t3", "t4", "t5"}) {
		t.Errorf("alive: %v", a)
	}
	if c := got(st.Changes(ctx, 0))(t); c.Clinics[0].Rotate {
		t.Error("a token was offered, and one is still asked for")
	}
	must(t, st.UseToken(ctx, "t4", Start)) // its confirmation was lost
	if a := alive(t, st, Start, "t0", "t3", "t4", "t5"); !slices.Equal(a, []string{"t4", "t5"}) {
		t.Errorf("alive: %v", a)
	}
}

func testPairing(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b"), t.Context()
	p := relay.Pairing{Group: "QRST", Clinic: "a", Hash: secret("code"), CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}
	must(t, st.AddPairing(ctx, p))
	if g := got(st.Pairing(ctx, "QRST"))(t); g != p {
		t.Errorf("%+v", g)
	}
	if err := st.AddPairing(ctx, relay.Pairing{Group: "QRST", Clinic: "b", CreatedAt: Start.Add(time.Minute), ExpiresAt: Start.Add(2 * time.Hour)}); !errors.Is(err, relay.ErrTaken) {
		t.Error(err)
	}
	second := relay.Pairing{Group: "VWXZ", Clinic: "a", Hash: secret("code2"), CreatedAt: Start.Add(time.Minute), ExpiresAt: Start.Add(time.Hour)}
	must(t, st.AddPairing(ctx, second))
	if g := got(st.Pairing(ctx, "QRST"))(t); !g.EndedAt.Equal(second.CreatedAt) {
		t.Errorf("the older pairing is open: %+v", g)
	}
	if _, err := st.CompletePairing(ctx, paired("a", "QRST", "k0")); !errors.Is(err, relay.ErrPairingUsed) {
		t.Error(err)
	}
	if _, err := st.CompletePairing(ctx, paired("b", "VWXZ", "k0")); !errors.Is(err, relay.ErrPairingUsed) {
		t.Errorf("another clinic's pairing: %v", err)
	}
	late := paired("a", "VWXZ", "k0")
	late.At = second.ExpiresAt
	if _, err := st.CompletePairing(ctx, late); !errors.Is(err, relay.ErrPairingUsed) {
		t.Errorf("an expired pairing: %v", err)
	}
	rev := got(st.Changes(ctx, 0))(t).Revision
	epoch := got(st.CompletePairing(ctx, paired("a", "VWXZ", "k1")))(t)
	if m := got(st.Mailbox(ctx, "a"))(t); m.StoreEpoch != epoch {
		t.Errorf("store epoch %q, want %q", epoch, m.StoreEpoch)
	}
	if c := got(st.Changes(ctx, rev))(t); len(c.Clinics) != 1 || c.Clinics[0].Sealing.KeyID != "key-k1" || len(c.URLs) != 1 || c.URLs[0].Hash != secret("url k1") {
		t.Errorf("%+v", c)
	}
	must(t, st.AddPairing(ctx, relay.Pairing{Group: "QRST", Clinic: "b", CreatedAt: Start.Add(time.Hour), ExpiresAt: Start.Add(2 * time.Hour)})) // expired: free
	if _, err := st.Pairing(ctx, "NONE"); !errors.Is(err, relay.ErrUnknownPairing) {
		t.Error(err)
	}
}

func testPairingRace(t *testing.T, s Suite) {
	st := s.fresh(t, "a")
	must(t, st.AddPairing(t.Context(), relay.Pairing{Group: "G", Clinic: "a", CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}))
	var working sync.WaitGroup
	wins := make(chan string, 12)
	for i := range cap(wins) {
		working.Go(func() {
			kid := "k" + string(rune('a'+i))
			_, err := st.CompletePairing(t.Context(), paired("a", "G", kid))
			if err == nil {
				wins <- kid
			} else if !errors.Is(err, relay.ErrPairingUsed) {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if len(wins) != 1 {
		t.Fatalf("%d used one pairing", len(wins))
	}
	if a := alive(t, st, Start, <-wins); len(a) != 1 {
		t.Error("the winner has no token")
	}
	if c := got(st.Changes(t.Context(), 0))(t); len(c.URLs) != 1 {
		t.Errorf("%d URLs", len(c.URLs))
	}
}

func testPairingTries(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	must(t, st.AddPairing(ctx, relay.Pairing{Group: "G", Clinic: "a", CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}))
	var working sync.WaitGroup
	for range 9 {
		working.Go(func() {
			if _, err := st.WrongTry(t.Context(), "G", 10); err != nil {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if p := got(st.Pairing(ctx, "G"))(t); p.Wrong != 9 || !p.EndedAt.IsZero() {
		t.Errorf("%+v", p)
	}
	if n := got(st.WrongTry(ctx, "G", 10))(t); n != 10 {
		t.Errorf("%d tries", n)
	}
	if p := got(st.Pairing(ctx, "G"))(t); p.EndedAt.IsZero() {
		t.Error("not burnt")
	}
	if _, err := st.CompletePairing(ctx, paired("a", "G", "k")); !errors.Is(err, relay.ErrPairingUsed) {
		t.Error(err)
	}
	if _, err := st.WrongTry(ctx, "NONE", 10); !errors.Is(err, relay.ErrUnknownPairing) {
		t.Error(err)
	}
}

// The clinic has a new computer: the old one is out, its mailbox stays.
func testPairAgain(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a"), t.Context()
	pair(t, st, "a", "k1")
	seq := add(t, st, "a", 1)
	h := got(st.History(ctx, "a"))(t)
	h.Frozen = Start
	must(t, st.SaveHistory(ctx, "a", h))
	epoch := got(st.Mailbox(ctx, "a"))(t).StoreEpoch
	pair(t, st, "a", "k2")
	if a := alive(t, st, Start, "k1", "k2"); !slices.Equal(a, []string{"k2"}) {
		t.Errorf("alive: %v", a)
	}
	after := got(st.History(ctx, "a"))(t)
	if !after.Frozen.IsZero() || after.Version <= h.Version {
		t.Errorf("%+v", after)
	}
	if m := got(st.Mailbox(ctx, "a"))(t); m.Head != seq || m.StoreEpoch != epoch {
		t.Errorf("%+v", m)
	}
	for _, u := range got(st.Changes(ctx, 0))(t).URLs {
		if !u.RetiredAt.IsZero() {
			t.Error("an older URL ended at once")
		}
	}
	must(t, st.AddPairing(ctx, relay.Pairing{Group: "G3", Clinic: "a", CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}))
	if _, err := st.CompletePairing(ctx, paired("a", "G3", "k2")); !errors.Is(err, relay.ErrTaken) {
		// the kid of a token that has just died may be free, but the URL's hash is not
		t.Error(err)
	}
	if p := got(st.Pairing(ctx, "G3"))(t); !p.EndedAt.IsZero() {
		t.Error("a failed pairing was used up")
	}
	if a := alive(t, st, Start, "k2"); len(a) != 1 {
		t.Error("a failed pairing killed the token")
	}
}

func testRevoke(t *testing.T, s Suite) {
	st, ctx := s.fresh(t, "a", "b"), t.Context()
	pair(t, st, "a", "k1")
	pair(t, st, "b", "k2")
	must(t, st.AddPairing(ctx, relay.Pairing{Group: "G", Clinic: "a", CreatedAt: Start, ExpiresAt: Start.Add(time.Hour)}))
	at := Start.Add(time.Minute)
	must(t, st.Revoke(ctx, "a", at))
	must(t, st.Revoke(ctx, "a", at.Add(time.Hour)))
	if c := got(st.Clinic(ctx, "a"))(t); !c.RevokedAt.Equal(at) {
		t.Errorf("%+v", c)
	}
	if tok := got(st.Token(ctx, "k1", at))(t); !tok.Revoked {
		t.Errorf("%+v", tok)
	}
	if tok := got(st.Token(ctx, "k2", at))(t); tok.Revoked {
		t.Errorf("%+v", tok)
	}
	if _, err := st.CompletePairing(ctx, paired("a", "G", "k3")); !errors.Is(err, relay.ErrPairingUsed) {
		t.Error(err)
	}
	for _, u := range got(st.Changes(ctx, 0))(t).URLs {
		if u.RetiredAt.IsZero() != (u.Clinic == "b") {
			t.Errorf("%+v", u)
		}
	}
}
