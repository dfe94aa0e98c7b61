package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestCodes(t *testing.T) {
	form := regexp.MustCompile("^[" + CodeAlphabet + "]{4}(-[" + CodeAlphabet + "]{4}){2}$")
	for range 100 {
		c, err := NewCode()
		if err != nil || !form.MatchString(c) {
			t.Fatalf("%q, %v", c, err)
		}
		if n, err := NormalizeCode(c); err != nil || n != c {
			t.Fatalf("%q became %q, %v", c, n, err)
		}
	}
	for _, s := range []string{"QRST-BCDF-GHJK", "qrst bcdf ghjk", "QRSTBCDFGHJK", " qrst–bcdf‑ghjk\r\n", "q-r-s-t-b-c-d-f-g-h-j-k"} {
		if got, err := NormalizeCode(s); err != nil || got != "QRST-BCDF-GHJK" {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "QRST-BCDF", "QRST-BCDF-GHJKL", "ARST-BCDF-GHJK", "QRST_BCDF_GHJK", "ſRST-BCDF-GHJK", strings.Repeat("-", 101)} {
		if got, err := NormalizeCode(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q became %q, %v", s, got, err)
		}
	}
	if name, secret, err := SplitCode("qrstbcdfghjk"); err != nil || name != "QRST" || secret != "BCDF-GHJK" {
		t.Errorf("%q, %q, %v", name, secret, err)
	}
}

func TestTokens(t *testing.T) {
	for range 200 {
		token, kid := NewToken()
		k, secret, err := SplitToken(token)
		if err != nil || k != kid || len(secret) != 43 || strings.Contains(kid, "_") || token != TokenPrefix+kid+"_"+secret {
			t.Fatalf("%q: %q, %q, %v", token, k, secret, err)
		}
	}
	a, _ := NewToken()
	if HashToken(a) == HashToken(a+"x") {
		t.Error("hash")
	}
	for _, s := range []string{"", "rht1_", "rht1_a", "rht1_a_b", "rht2_a_" + strings.Repeat("A", 43), "rht1__" + strings.Repeat("A", 43), "rht1_a_" + strings.Repeat("*", 43)} {
		if _, _, err := SplitToken(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", s, err)
		}
	}
	// The secret may hold underscores.
	if k, s, err := SplitToken("rht1_k_" + strings.Repeat("_", 42) + "A"); err != nil || k != "k" || len(s) != 43 {
		t.Errorf("%q, %q, %v", k, s, err)
	}
	if s := NewSecret(); !ValidSecret(s) || ValidSecret(s[1:]) || ValidSecret(strings.ToUpper(s)) {
		t.Errorf("secret %q", s)
	}
}

func pairing() PairRequest {
	pub := make([]byte, 32)
	pub[0] = 9
	return PairRequest{Code: "QRST-BCDF-GHJK", Identity: make(ed25519.PublicKey, 32), Sealing: pub, InstanceID: "i7", Version: "1.4.0"}
}

func pairAnswer() PairAnswer {
	return PairAnswer{
		ClinicID: "riverside", Token: "rht1_k_" + strings.Repeat("A", 43), StoreEpoch: "s1", MinProtocol: 1, MaxProtocol: 1,
		URLs: []InboundURL{{KindCreated, "https://relay.example.com/in/abc"}},
	}
}

func FuzzPairing(f *testing.F) {
	for _, v := range []any{pairing(), pairAnswer()} {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodePairRequest(b); err == nil {
			if n, err := NormalizeCode(r.Code); err != nil || n != r.Code || len(r.Identity) != 32 || len(r.Sealing) != 32 {
				t.Fatalf("%+v", r)
			}
		}
		if a, err := DecodePairAnswer(b); err == nil {
			if _, _, err := SplitToken(a.Token); err != nil || !ValidID(a.ClinicID) {
				t.Fatalf("%+v", a)
			}
		}
	})
}

func TestPolled(t *testing.T) {
	var b []byte
	for _, c := range controls() {
		e, err := EncodeControl(c)
		if err != nil {
			t.Fatal(err)
		}
		b = AppendPolled(b, e)
	}
	b = AppendPolled(b, AppendEvent(nil, Event{Seq: 1, ReceivedAt: time.UnixMicro(1), Header: []byte("{}")}))
	frames, err := SplitEvents(b, Limits{})
	if err != nil || len(frames) != len(controls())+1 || frames[len(frames)-1].Event.Seq != 1 || frames[0].Control.Type() != TypeChallenge {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	for _, bad := range [][]byte{{0}, {0, 0, 0, 0}, {0, 0, 0, 9, 1}, {0xff, 0xff, 0xff, 0xff, 1}, AppendPolled(nil, []byte{2})} {
		if _, err := SplitEvents(bad, Limits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("% x: %v", bad, err)
		}
	}
}

func FuzzPollAnswer(f *testing.F) {
	ack, err := EncodeControl(&Ack{Seq: 1, Epoch: 1})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendPolled(AppendPolled(nil, ack), AppendEvent(nil, Event{Seq: 1, ReceivedAt: time.UnixMicro(1)})), "after=1&wait=25", "YQ.e30")
	f.Fuzz(func(t *testing.T, b []byte, query, hello string) {
		if frames, err := SplitEvents(b, Limits{}); err == nil {
			var again []byte
			for _, fr := range frames {
				if fr.Control == nil {
					again = AppendPolled(again, AppendEvent(nil, fr.Event))
				}
			}
			if len(again) > len(b) {
				t.Fatalf("%d bytes became %d", len(b), len(again))
			}
		}
		if after, wait, err := ParsePollQuery(query); err == nil && (after < 0 || wait < 0 || wait > 25) {
			t.Fatalf("%q: %d, %d", query, after, wait)
		}
		if nonce, h, err := DecodeHello(hello); err == nil {
			if len(nonce) > MaxNonce || h == nil {
				t.Fatalf("%q", hello)
			}
		}
	})
}

func TestHelloHeader(t *testing.T) {
	h := controls()[1].(*Hello)
	s, err := EncodeHello("time|mac", h)
	if err != nil {
		t.Fatal(err)
	}
	nonce, got, err := DecodeHello(s)
	if err != nil || nonce != "time|mac" || got.Resume != 41 {
		t.Errorf("%q, %+v, %v", nonce, got, err)
	}
	if after, wait, err := ParsePollQuery(strings.TrimPrefix(PollTarget(41, 99), PollPath+"?")); err != nil || after != 41 || wait != 25 {
		t.Errorf("%d, %d, %v", after, wait, err)
	}
}

func TestSignedBytesAreOfOneThing(t *testing.T) {
	nonce := make([]byte, NonceSize)
	seen := map[string]bool{}
	for _, b := range [][]byte{
		HelloBytes(nonce, "r", "c", "i"), HelloBytes(nonce, "r1", "c", "i"), HelloBytes(nonce, "r", "1c", "i"), HelloBytes(nonce, "r", "ci", ""),
		PollBytes("n", "r", "c", "i", "GET", "/v1/poll?after=1&wait=25", nil), PollBytes("n", "r", "c", "i", "GET", "/v1/poll?after=2&wait=25", nil),
		PollBytes("n", "r", "c", "i", "POST", "/v1/ack", []byte("a")), PollBytes("n", "r", "c", "i", "POST", "/v1/ack", []byte("b")),
	} {
		if seen[string(b)] {
			t.Errorf("%q is signed for two things", b)
		}
		seen[string(b)] = true
	}
	want := "rayhound-tunnel.v1 hello\x00" + string(nonce) + "relay.example.com\x00riverside\x00i7"
	if got := HelloBytes(nonce, "relay.example.com", "riverside", "i7"); !bytes.Equal(got, []byte(want)) {
		t.Errorf("%q", got)
	}
	for raw, want := range map[string]string{"wss://Relay.Example.com.:8443/": "relay.example.com", "https://[::1]:443": "::1"} {
		if got, err := HostName(raw); err != nil || got != want {
			t.Errorf("%s: %q, %v", raw, got, err)
		}
	}
	if _, err := HostName("relay.example.com"); err == nil {
		t.Error("an address without a host was taken")
	}
}

func TestCloseCodeTable(t *testing.T) {
	for _, c := range CloseCodes() {
		if s := c.Status(); s != 0 && CodeOf(s) != c {
			t.Errorf("%d has the status %d, which means %d", c, s, CodeOf(s))
		}
		if c.Text() == "" || strings.HasPrefix(c.Text(), "code ") {
			t.Errorf("%d has no text", c)
		}
	}
	for s, want := range map[string]time.Duration{"retry_ms=1500": 1500 * time.Millisecond, "busy retry_ms=20": 20 * time.Millisecond, RetryReason(time.Minute): time.Minute, "retry_ms=99999999999": MaxRetry} {
		if got, ok := ParseRetry(s); !ok || got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
	for _, s := range []string{"", "retry_ms=", "retry_ms=-1", "retry=1"} {
		if got, ok := ParseRetry(s); ok {
			t.Errorf("%q: %v", s, got)
		}
	}
}
