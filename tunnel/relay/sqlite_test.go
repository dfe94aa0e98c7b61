package relay_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relay/sqlitestore"
	"github.com/rayhound/rayhound/tunnel/wire"
)

func openSQLite(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), sqlitestore.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The whole story on the real store, through a stop and a start: nothing is lost, nothing comes twice, and what was paired
// stays paired.
func TestStoryOnSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "relay.db")
	store := openSQLite(t, path)
	w := newWorldOn(t, nil, store, store, nil)
	a := w.pair("Vet & Pet")
	l := a.mustConnect()
	for i := range 100 {
		a.post(fmt.Sprint(i))
	}
	for i := range 100 {
		if got := l.body(); got != fmt.Sprint(i) {
			t.Fatalf("%q, want %d", got, i)
		}
	}
	l.ack(a.resume)
	a.post("on its way")
	w.stop()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	store = openSQLite(t, path)
	w = newWorldOn(t, nil, store, store, func(c *relay.Config) { c.RefreshEvery = 0 })
	t.Cleanup(func() {
		w.stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	a.w = w
	for kind, url := range a.urls { // the relay has another port now
		a.urls[kind] = w.server.URL + url[len(url)-len("/in/")-32:]
	}
	m, err := store.Mailbox(t.Context(), a.id)
	if err != nil || m.Acked != a.resume {
		t.Fatalf("acked to %d, want %d: %v", m.Acked, a.resume, err)
	}
	l = a.mustConnect()
	if got := l.body(); got != "on its way" {
		t.Errorf("%q", got)
	}
	a.post("after the restart")
	if got := l.body(); got != "after the restart" {
		t.Errorf("%q", got)
	}
	p := &poller{agent: a}
	if _, _, status := p.poll(0); status != 200 {
		t.Errorf("long-poll: %d", status)
	}
	if code := l.closed(); code != wire.CloseGoingAway {
		t.Errorf("%d", code)
	}
	b := a.other(false)
	l = b.mustConnect()
	if _, _, status := p.poll(0); status != 409 {
		t.Errorf("superseded: %d", status)
	}
	if err := w.relay.FlushNotes(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := w.admin.ListClinics(t.Context())
	if err != nil || len(list) != 1 || list[0].Counts.Received != 102 || list[0].Counts.Takeovers != 1 || list[0].ConnectedSince.IsZero() {
		t.Errorf("%+v %v", list, err)
	}
	if err := w.relay.Expire(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.admin.Rotate(t.Context(), "vet & pet"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new token comes", func() bool {
		f, err := l.next()
		if err != nil {
			t.Fatal(err)
		}
		_, ok := f.Control.(*wire.Rotate)
		return ok
	})
	again := w.pair("Vet & Pet")
	if code := l.closed(); code != wire.Close4403 {
		t.Errorf("%d", code)
	}
	l = again.mustConnect()
	if err := w.admin.Revoke(t.Context(), "Vet & Pet"); err != nil {
		t.Fatal(err)
	}
	if code := l.closed(); code != wire.Close4403 {
		t.Errorf("%d", code)
	}
	_, _, resp, err := again.upgrade()
	if err == nil || resp.StatusCode/100 != 4 {
		t.Errorf("%v", err)
	} else if resp.Body.Close(); resp.StatusCode != http.StatusForbidden {
		t.Errorf("%d", resp.StatusCode)
	}
}
