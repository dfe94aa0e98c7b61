package relay_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func TestPairingCodes(t *testing.T) {
	w := newWorld(t, nil, nil)
	if _, err := w.admin.AddClinic(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	code := func() string {
		t.Helper()
		c, _, err := w.admin.PairingCode(t.Context(), "C")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	pair := func(code string) (int, string) {
		t.Helper()
		req, _ := w.pairRequest(code)
		status, body := w.postPair(req)
		w.clock.move(20 * time.Minute) // the tries of this address are not what is tested here
		return status, string(body)
	}
	first := code()
	if status, _ := pair(strings.ToLower(strings.ReplaceAll(first, "-", " "))); status != 200 {
		t.Errorf("a good code: %d", status)
	}
	if status, body := pair(first); status != 404 || !strings.Contains(body, wire.PairWrong) {
		t.Errorf("used: %d %s", status, body)
	}
	old, young := code(), code()
	if status, _ := pair(old); status != 404 {
		t.Errorf("replaced: %d", status)
	}
	w.clock.move(time.Hour)
	if status, _ := pair(young); status != 404 {
		t.Errorf("expired: %d", status)
	}
	last := code()
	if err := w.admin.Revoke(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if status, _ := pair(last); status != 404 {
		t.Errorf("of a revoked clinic: %d", status)
	}
	if _, _, err := w.admin.PairingCode(t.Context(), "c"); !errors.Is(err, relay.ErrUnknownClinic) {
		t.Errorf("for a revoked clinic: %v", err)
	}
	if got := w.do(http.MethodPost, w.server.URL+wire.PairPath, []byte("{")); got.status != 400 {
		t.Errorf("rubbish: %d", got.status)
	}
	if got := w.do(http.MethodPost, w.server.URL+wire.PairPath, make([]byte, wire.MaxPair+1)); got.status != 400 {
		t.Errorf("too long: %d", got.status)
	}
}

// wrong returns a code with the right public group.
func wrong(code string) string {
	last := "B"
	if strings.HasSuffix(code, last) {
		last = "C"
	}
	return code[:len(code)-1] + last
}

func TestPairingTriesOfOneAddress(t *testing.T) {
	w := newWorld(t, nil, nil)
	if _, err := w.admin.AddClinic(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	code, _, err := w.admin.PairingCode(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	req, _ := w.pairRequest(wrong(code))
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[int]int{}
	for range 20 { // at once: the limit holds all the same
		wg.Go(func() {
			status, _ := w.postPair(req)
			mu.Lock()
			got[status]++
			mu.Unlock()
		})
	}
	wg.Wait()
	if got[404] != 5 || got[429] != 15 {
		t.Errorf("%v", got)
	}
	req.Code = code
	if status, _ := w.postPair(req); status != 429 {
		t.Errorf("the right code after too many tries: %d", status)
	}
}

// Ten wrong tries from anywhere burn a code, and no other one.
func TestPairingCodeIsBurnt(t *testing.T) {
	w := newWorld(t, nil, func(c *relay.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	codes := map[string]string{}
	for _, name := range []string{"a", "b"} {
		if _, err := w.admin.AddClinic(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		c, _, err := w.admin.PairingCode(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		codes[name] = c
	}
	post := func(code, from string) int {
		req, _ := w.pairRequest(code)
		b := pairJSON(t, req)
		return w.do(http.MethodPost, w.server.URL+wire.PairPath, b, "X-Forwarded-For", from).status
	}
	for i := range 10 {
		if status := post(wrong(codes["a"]), "203.0.113."+string(rune('0'+i))); status != 404 {
			t.Fatalf("try %d: %d", i, status)
		}
	}
	if status := post(codes["a"], "198.51.100.1"); status != 404 {
		t.Errorf("a burnt code: %d", status)
	}
	if status := post(codes["b"], "198.51.100.1"); status != 200 {
		t.Errorf("another clinic's code: %d", status)
	}
}

// Pairing again replaces the old computer: it is closed with 4403 and its token is dead.
func TestPairingAgain(t *testing.T) {
	w := newWorld(t, nil, nil)
	old := w.pair("c")
	old.post("for whoever comes")
	l := old.mustConnect()
	l.event()
	young := w.pair("c")
	if young.id != old.id {
		t.Fatal("another mailbox")
	}
	if code := l.closed(); code != wire.Close4403 {
		t.Errorf("%d", code)
	}
	_, _, resp, err := old.upgrade()
	if err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%v", err)
	}
	resp.Body.Close()
	n := young.mustConnect()
	if e := n.event(); e.Seq != 1 {
		t.Errorf("%d", e.Seq)
	}
	young.post("new")
	if got := n.body(); got != "new" {
		t.Errorf("%q", got)
	}
}

func TestRotation(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	rotate := func(l *line) string {
		t.Helper()
		f, err := l.next()
		if err != nil {
			t.Fatal(err)
		}
		r, ok := f.Control.(*wire.Rotate)
		if !ok {
			t.Fatalf("%+v", f)
		}
		return r.Token
	}
	refused := func(a *agent) bool {
		_, _, resp, err := a.upgrade()
		if err == nil || resp == nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusUnauthorized
	}

	l := a.mustConnect()
	if err := w.admin.Rotate(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	lost := rotate(l) // on demand, while connected; the agent dies before it stores it
	l.c.Close()
	if refused(a) {
		t.Fatal("the old token died although nobody confirmed")
	}
	w.clock.move(91 * 24 * time.Hour)
	l = a.mustConnect()
	second := rotate(l) // by age
	kid, _, _ := wire.SplitToken(second)
	l.send(&wire.Rotated{KID: kid})
	eventually(t, "confirmed", func() bool {
		w.mem.mu.Lock()
		defer w.mem.mu.Unlock()
		return !w.mem.tokens[kid].ConfirmedAt.IsZero()
	})
	w.clock.move(6 * 24 * time.Hour)
	if refused(a) {
		t.Error("the old token died within 7 days")
	}
	b := *a
	b.token = second
	b.mustConnect()
	if !refused(a) {
		t.Error("the old token lives after the first use of the new one")
	}
	a.token = lost
	if !refused(a) {
		t.Error("a token that was offered earlier lives")
	}
	if err := w.admin.Rotate(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	b.mustConnect().c.Close()
	w.clock.move(time.Hour)
	if refused(&b) {
		t.Error("locked out")
	}
}

// A new sealing key is used from the next event on.
func TestNewSealingKey(t *testing.T) {
	w := newWorld(t, nil, nil)
	a := w.pair("c")
	l := a.mustConnect()
	priv, pub, keyID, err := wire.NewSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	l.send(&wire.Key{KeyID: keyID, Public: pub})
	eventually(t, "events are sealed to it", func() bool {
		a.post("x")
		h, err := wire.ParseHeader(l.event().Header)
		return err == nil && h.KeyID == keyID
	})
	a.sealing, a.keyID = priv, keyID
	a.post("y")
	if got := l.body(); got != "y" {
		t.Errorf("%q", got)
	}
}
