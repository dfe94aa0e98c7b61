package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func sealedEvent(tb testing.TB, clinic ClinicID) (Event, []byte, string, Request) {
	tb.Helper()
	priv, pub, id, err := NewSealingKey()
	if err != nil {
		tb.Fatal(err)
	}
	r := Request{
		Path: "/x", Query: "a=b%20c", RemoteAddr: "192.0.2.1", Label: KindCreated,
		Header: map[string]string{"content-type": "application/json"}, Body: []byte("\x00\xff{}"),
	}
	h, b, err := Seal(pub, id, clinic, r)
	if err != nil {
		tb.Fatal(err)
	}
	return Event{Seq: 1, Header: h, Body: b}, priv, id, r
}

func same(a, b Request) bool {
	return a.Path == b.Path && a.Query == b.Query && a.RemoteAddr == b.RemoteAddr && a.Label == b.Label &&
		a.Header["content-type"] == b.Header["content-type"] && bytes.Equal(a.Body, b.Body)
}

func TestSealAndOpen(t *testing.T) {
	e, priv, id, r := sealedEvent(t, "riverside")
	got, err := Open(priv, id, "riverside", e)
	if err != nil || !same(got, r) {
		t.Fatalf("%+v, %v", got, err)
	}
	// In the clear: kind, size, key id, version; nothing else.
	var clear map[string]any
	if err := json.Unmarshal(e.Header, &clear); err != nil || len(clear) != 4 {
		t.Errorf("header %s", e.Header)
	}
	if bytes.Contains(e.Body, []byte("192.0.2.1")) {
		t.Error("the remote address can be read")
	}
	// A row cannot be moved to another clinic, and another key does not open it.
	if _, err := Open(priv, id, "hillside", e); !errors.Is(err, ErrSeal) {
		t.Errorf("another clinic: %v", err)
	}
	if _, err := Open(priv, "0011223344556677", "riverside", e); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown key id: %v", err)
	}
	other, _, _, err := NewSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other, id, "riverside", e); !errors.Is(err, ErrSeal) {
		t.Errorf("another key: %v", err)
	}
}

func TestSealShowsChanges(t *testing.T) {
	e, priv, id, _ := sealedEvent(t, "riverside")
	body := func(i int) Event {
		c := e
		c.Body = bytes.Clone(e.Body)
		c.Body[i] ^= 1
		return c
	}
	header := func(old, new string) Event {
		c := e
		c.Header = []byte(strings.Replace(string(e.Header), old, new, 1))
		return c
	}
	for name, row := range map[string]struct {
		e    Event
		want error
	}{
		"key":     {body(0), ErrSeal},
		"body":    {body(40), ErrSeal},
		"tag":     {body(len(e.Body) - 1), ErrSeal},
		"cut":     {Event{Header: e.Header, Body: e.Body[:31]}, ErrSeal},
		"kind":    {header(KindCreated, KindDeleted), ErrSeal},
		"size":    {header(`"size":4`, `"size":3`), ErrSeal},
		"version": {header(`"seal":1`, `"seal":2`), ErrSeal},
		"key id":  {header(id, "x"), ErrUnknownKey},
		"no JSON": {Event{Header: []byte("{"), Body: e.Body}, ErrMalformed},
	} {
		if _, err := Open(priv, id, "riverside", row.e); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlain(t *testing.T) {
	_, _, _, r := sealedEvent(t, "riverside")
	h, b, err := Plain(r.Label, r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Open(nil, "", "riverside", Event{Header: h, Body: b})
	if err != nil || !same(got, r) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := Open(nil, "", "riverside", Event{Header: h, Body: b[1:]}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a shorter body: %v", err)
	}
}

func TestSealLimits(t *testing.T) {
	_, pub, id, err := NewSealingKey()
	if err != nil {
		t.Fatal(err)
	}
	largest := Request{Label: KindTest, Body: make([]byte, MaxBody), Header: map[string]string{"x-a": strings.Repeat("a", MaxRequest-40)}}
	h, b, err := Seal(pub, id, "c", largest)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(AppendEvent(nil, Event{Seq: 1, Header: h, Body: b})); n > MaxFrame {
		t.Errorf("the largest request makes a frame of %d bytes", n)
	}
	for name, r := range map[string]Request{
		"body":   {Label: KindTest, Body: make([]byte, MaxBody+1)},
		"fields": {Label: KindTest, Query: strings.Repeat("a", MaxRequest)},
	} {
		if _, _, err := Seal(pub, id, "c", r); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Seal(pub, id, "c", Request{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("no label: %v", err)
	}
	if _, _, err := Plain(KindTest, Request{Query: strings.Repeat("a", MaxHeader)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("plain: %v", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	_, pub, id, err := NewSealingKey()
	if err != nil {
		b.Fatal(err)
	}
	r := Request{Label: KindCreated, Body: make([]byte, 1024)}
	for b.Loop() {
		if _, _, err := Seal(pub, id, "riverside", r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	e, priv, id, _ := sealedEvent(b, "riverside")
	for b.Loop() {
		if _, err := Open(priv, id, "riverside", e); err != nil {
			b.Fatal(err)
		}
	}
}
