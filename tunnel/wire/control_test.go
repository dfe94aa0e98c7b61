package wire

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// controls are one frame of each type, as version 1 speaks it.
func controls() []Control {
	at := time.Date(2026, 11, 3, 8, 0, 0, 123456000, time.UTC)
	pub := make([]byte, 32)
	pub[0] = 9
	return []Control{
		&Challenge{Nonce: make([]byte, NonceSize), MinProtocol: 1, MaxProtocol: 1, ServerTime: at},
		&Hello{
			Version: "1.4.0", ClinicID: "riverside", InstanceID: "i7", Run: "r1", StoreEpoch: "s1", Resume: 41, ResumeAt: at,
			Window: Window{WindowMsgs, WindowBytes}, Time: at, Signature: make([]byte, 64),
		},
		&Welcome{
			Epoch: 7, StoreEpoch: "s1", Oldest: 3, Head: 44, ServerTime: at, PingSecs: 25, MaxFrame: MaxFrame, ReconnectWindowMS: 55556,
			SealingKeyID: "0011223344556677", Capabilities: []string{CapReplay, CapKey, CapPoll},
		},
		&Ack{Seq: 44, Epoch: 7},
		&Gap{From: 42, To: 43, Reason: GapQuota, StoreEpoch: "s1"},
		&Gap{From: 42, To: 0, Reason: GapRollback, StoreEpoch: "s2"},
		&Replay{From: 10, To: 20},
		&Drain{ReconnectInMS: 1500, Host: "r2.example.com:443"},
		&Drain{},
		&Rotate{Token: "rht1_abcdefgh_" + strings.Repeat("A", 43)},
		&Rotated{KID: "abcdefgh"},
		&Key{KeyID: KeyID(pub), Public: pub},
		&Notice{Text: "The relay's certificate ends in 5 days."},
	}
}

func TestControlRoundTrip(t *testing.T) {
	for _, c := range controls() {
		b, err := EncodeControl(c)
		if err != nil {
			t.Fatalf("%s: %v", c.Type(), err)
		}
		got, err := DecodeControl(b, Limits{})
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s became %+v, %v", b, got, err)
		}
	}
}

// TestRecordedConversation: what version 1 said is understood, and said again the same.
func TestRecordedConversation(t *testing.T) {
	b, err := os.ReadFile("testdata/v1.conversation")
	if err != nil {
		t.Fatal(err)
	}
	want := controls()
	for i, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		c, err := DecodeControl(line, Limits{})
		if err != nil || !reflect.DeepEqual(c, want[i]) {
			t.Errorf("line %d: %+v, %v", i+1, c, err)
			continue
		}
		if again, err := EncodeControl(c); err != nil || !bytes.Equal(again, line) {
			t.Errorf("line %d: said again as %s, %v", i+1, again, err)
		}
	}
}

func TestUnknownControl(t *testing.T) {
	c, err := DecodeControl([]byte(`{"type":"of-version-9","x":[1]}`), Limits{})
	if u, ok := c.(*Unknown); err != nil || !ok || u.Name != "of-version-9" {
		t.Errorf("%v, %v", c, err)
	}
	if _, err := EncodeControl(c); !errors.Is(err, ErrMalformed) {
		t.Errorf("an unknown frame was written: %v", err)
	}
	if c, err := DecodeControl([]byte(`{"type":"ack","seq":3,"epoch":1,"new":true}`), Limits{}); err != nil || c.(*Ack).Seq != 3 {
		t.Errorf("an unknown field: %v, %v", c, err)
	}
}

func TestControlRefusals(t *testing.T) {
	for _, s := range []string{
		``, `{`, `null`, `[]`, `"ack"`, `{}`, `{"type":1}`, `{"type":""}`, `{"type":"a b"}`, `{"type":"ack"}`, "{\"type\":\"ack\xff\"}",
		`{"type":"ack","seq":1,"epoch":1} ` + `x`,
		`{"type":"ack","seq":-1,"epoch":1}`, `{"type":"ack","seq":1.5,"epoch":1}`, `{"type":"ack","seq":"1","epoch":1}`,
		`{"type":"ack","seq":9223372036854775808,"epoch":1}`,
		`{"type":"gap","from":5,"to":4,"reason":"quota","store_epoch":"s"}`,
		`{"type":"gap","from":5,"to":6,"reason":"quota","store_epoch":""}`,
		`{"type":"replay","from":0,"to":4}`,
		`{"type":"drain","reconnect_in_ms":-1}`, `{"type":"drain","reconnect_in_ms":99999999}`,
		`{"type":"drain","reconnect_in_ms":1,"host":"a/b"}`, `{"type":"drain","reconnect_in_ms":1,"host":"a:0"}`, `{"type":"drain","host":"evil@x"}`,
		`{"type":"rotate","token":"rht1_x"}`, `{"type":"rotated","kid":""}`, `{"type":"notice","text":""}`,
		`{"type":"key","key_id":"x","public":"AAAA"}`,
		`{"type":"challenge","nonce":"AAAA","min_protocol":1,"max_protocol":1,"server_time":"2026-01-01T00:00:00Z"}`,
		`{"type":"challenge","nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","min_protocol":2,"max_protocol":1,"server_time":"2026-01-01T00:00:00Z"}`,
	} {
		if c, err := DecodeControl([]byte(s), Limits{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s gave %v, %v", s, c, err)
		}
	}
	if _, err := DecodeControl(make([]byte, MaxControl+1), Limits{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

func TestEncodeRefusesWhatIsRefused(t *testing.T) {
	for _, c := range []Control{&Ack{}, &Hello{}, &Welcome{}, &Notice{Text: strings.Repeat("a", MaxNotice+1)}, &Gap{From: 1, To: 2}} {
		if b, err := EncodeControl(c); err == nil {
			t.Errorf("wrote %s", b)
		}
	}
}

func FuzzDecodeControl(f *testing.F) {
	for _, c := range controls() {
		b, err := EncodeControl(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"type":"of-version-9"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeControl(b, Limits{})
		if err != nil {
			return
		}
		if _, ok := c.(*Unknown); ok {
			return
		}
		again, err := EncodeControl(c)
		if err != nil {
			if errors.Is(err, ErrTooLarge) {
				return // escapes may make it longer
			}
			t.Fatalf("%s was read and cannot be written: %v", b, err)
		}
		if d, err := DecodeControl(again, Limits{}); err != nil || !sameTimes(c, d) {
			t.Fatalf("%s became %s, %v", b, again, err)
		}
	})
}

// sameTimes compares what is written: times may differ in their zone.
func sameTimes(a, b Control) bool {
	x, err := EncodeControl(a)
	y, err2 := EncodeControl(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
