package wire

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestEventRoundTrip(t *testing.T) {
	at := time.Date(2026, 11, 3, 8, 1, 2, 123456000, time.UTC)
	for _, body := range [][]byte{nil, {0}, []byte("a=1\x00\xff"), make([]byte, DefaultMaxBody)} {
		e := Event{Seq: 42, ReceivedAt: at, Header: []byte(`{"kind":"test"}`), Body: body}
		got, err := DecodeEvent(AppendEvent(nil, e), Limits{})
		if err != nil || got.Seq != 42 || !got.ReceivedAt.Equal(at) || !bytes.Equal(got.Header, e.Header) || !bytes.Equal(got.Body, body) {
			t.Fatalf("%v became %v, %v", e, got, err)
		}
	}
}

func TestSealIsForOneClinicAndKey(t *testing.T) {
	priv, pub, id, err := NewSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	r := Request{
		Path: "/x", Query: "a=b", RemoteAddr: "192.0.2.1", Label: KindCreated,
		Header: map[string]string{"content-type": "application/json"}, Body: []byte("\x00\xff{}"),
	}
	h, b, err := Seal(pub, id, "riverside", r)
	if err != nil {
		t.Fatal(err)
	}
	e := Event{Seq: 1, Header: h, Body: b}
	got, err := Open(priv, id, "riverside", e)
	if err != nil || !bytes.Equal(got.Body, r.Body) || got.Header["content-type"] != "application/json" || got.Path != "/x" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := Open(priv, id, "hillside", e); !errors.Is(err, ErrSeal) {
		t.Errorf("opened for another clinic: %v", err)
	}
	if _, err := Open(priv, "0011223344556677", "riverside", e); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown key: %v", err)
	}
}
