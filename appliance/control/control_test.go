package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/ui"
)

// clinic answers the few calls that the tests make.
type clinic struct {
	ui.Appliance
	secrets map[string]string
	acted   []string
}

func (*clinic) Status(context.Context) (ui.Status, error) { return ui.Status{Version: "1"}, nil }

func (*clinic) Order(_ context.Context, accession string) (ui.OrderDetail, error) {
	if accession == "none" {
		return ui.OrderDetail{}, problem.New(problem.OrderUnknown, problem.Args{"accession": accession}, nil)
	}
	return ui.OrderDetail{Order: ui.Order{AccessionNumber: accession}}, nil
}

func (c *clinic) ActOnOrder(_ context.Context, accession string, a ui.Action) (ui.Order, error) {
	c.acted = append(c.acted, accession+" "+string(a.Kind)+" "+a.Reason)
	return ui.Order{AccessionNumber: accession}, nil
}

func (c *clinic) PauseDestination(_ context.Context, d, reason string) error {
	c.acted = append(c.acted, "pause "+d+" "+reason)
	return nil
}

func (*clinic) RetryOutbox(context.Context, string) (int, error) { return 4, nil }

func (c *clinic) SetSecret(_ context.Context, name string, v secret.Secret) error {
	c.secrets[name] = v.Reveal()
	return nil
}

func (*clinic) SupportFile(_ context.Context, w io.Writer) error {
	_, err := io.WriteString(w, "zip")
	return err
}

func serve(t *testing.T, c *clinic, token secret.Secret) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ui.New(ui.Config{Appliance: c, Token: token}).Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestClient(t *testing.T) {
	dir := t.TempDir()
	token, err := NewToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := &clinic{secrets: map[string]string{}}
	addr := serve(t, a, token)
	c, err := Dial(addr, dir, "orders show")
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if s, err := c.Status(ctx); err != nil || s.Version != "1" {
		t.Errorf("status %+v, %v", s, err)
	}
	for _, accession := range []string{"12", "A/B", "ä 1", "50%", "a?b#c"} {
		if o, err := c.Order(ctx, accession); err != nil || o.AccessionNumber != accession {
			t.Errorf("order %q: %q, %v", accession, o.AccessionNumber, err)
		}
	}
	_, err = c.Order(ctx, "none")
	var r *Refusal
	if !errors.As(err, &r) || r.Body.Code != string(problem.OrderUnknown) || r.Body.Help == "" {
		t.Errorf("unknown order: %v", err)
	}
	if _, err := c.ActOnOrder(ctx, "A/B", ui.Action{Kind: ui.Complete, Reason: "seen"}); err != nil {
		t.Error(err)
	}
	if err := c.PauseDestination(ctx, "ris:a b", "update"); err != nil {
		t.Error(err)
	}
	if len(a.acted) != 2 || a.acted[0] != "A/B complete seen" || a.acted[1] != "pause ris:a b update" {
		t.Errorf("%q", a.acted)
	}
	if n, err := c.RetryOutbox(ctx, ""); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	if err := c.SetSecret(ctx, "a.b", secret.New("v")); err != nil || a.secrets["a.b"] != "v" {
		t.Errorf("%v, %v", a.secrets, err)
	}
	var zip bytes.Buffer
	if err := c.SupportFile(ctx, &zip); err != nil || zip.String() != "zip" {
		t.Errorf("%q, %v", zip.String(), err)
	}

	// The service was started again: the old token is void.
	stale := NewClient(addr, secret.New("x"), "orders show")
	if _, err := stale.Status(ctx); problem.Of(err) == nil || problem.Of(err).Code != problem.ServiceDenied {
		t.Errorf("stale token: %v", err)
	}
}

func TestNoService(t *testing.T) {
	dir := t.TempDir()
	if _, err := Dial("127.0.0.1:1", dir, "status"); problem.Of(err) == nil || problem.Of(err).Code != problem.ServiceStopped {
		t.Errorf("no token: %v", err)
	}
	token, err := NewToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClient(l.Addr().String(), token, "").Status(t.Context()); problem.Of(err) == nil || problem.Of(err).Code != problem.ServiceStopped {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestToken(t *testing.T) {
	dir := t.TempDir()
	first, err := NewToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := NewToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadToken(dir)
	if err != nil || read != second || first == second {
		t.Errorf("%v", err)
	}
	path := filepath.Join(dir, TokenFile)
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadToken(dir); problem.Of(err) == nil || problem.Of(err).Code != problem.ServiceDenied {
		t.Errorf("damaged: %v", err)
	}
}
