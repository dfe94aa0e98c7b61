package appliance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/tunnel/wire"
)

const postOffice = "p0st0ff1ce-s3cret-"

// joined is an appliance that is paired with a relay of the test: what Provet
// Cloud posts there is sealed and put into the inbox before it is answered.
type joined struct {
	t        *testing.T
	sim      *provetsim.Sim
	dir      string
	settings *config.File
	relay    string
	pair     *pairing
	pub      []byte
	keyID    string

	app  atomic.Pointer[Appliance]
	stop func()
	runs atomic.Int32

	mu  sync.Mutex
	seq wire.Seq
	log bytes.Buffer
}

// Write takes the log, line by line.
func (j *joined) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.Write(b)
}

func join(t *testing.T, sc provetsim.Config, change func(*joined)) *joined {
	t.Helper()
	j := &joined{t: t, dir: t.TempDir(), settings: config.Default()}
	sc.NoLimits, sc.Delivery = true, provetsim.Delivery{Interval: 50 * time.Millisecond, Retries: 400}
	j.sim = provetsim.New(sc)
	cloud, relay := httptest.NewServer(j.sim), httptest.NewServer(j)
	j.relay = relay.URL
	j.sim.SetBaseURL(cloud.URL)
	t.Cleanup(func() {
		j.stop()
		j.sim.Close()
		cloud.Close()
		relay.Close()
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, word := range []string{postOffice, "t0psecret"} {
			if strings.Contains(j.log.String(), word) {
				t.Errorf("the log holds %s:\n%s", word, j.log.String())
			}
		}
	})
	priv, pub, keyID, err := wire.NewSealingKey()
	j.ok(err)
	j.pub, j.keyID = pub, keyID
	j.pair = &pairing{
		RelayURL: testRelay, ClinicID: testMailbox, InstanceID: "i1", Sealing: map[string]sealingKey{keyID: {Private: priv}}, SealingKeyID: keyID,
	}
	for _, k := range wire.Kinds() {
		j.pair.URLs = append(j.pair.URLs, wire.InboundURL{Kind: k, URL: j.address(k)})
	}
	f := j.settings
	f.Tunnel.RelayURL = testRelay
	f.DICOM.Listen, f.Page.Listen = config.Names{"127.0.0.1:0"}, config.Names{"127.0.0.1:0"}
	f.Provet.PollInterval, f.Provet.SweepInterval = config.Duration(time.Hour), config.Duration(time.Hour)
	f.Provet.Fields = map[string]config.Fields{}
	for res, names := range j.sim.RenamedFields() {
		f.Provet.Fields[res] = config.Fields{}
		for ours, theirs := range names {
			f.Provet.Fields[res][ours] = config.Names{theirs}
		}
	}
	if change != nil {
		change(j)
	}
	j.start()
	return j
}

// address is where Provet Cloud posts a kind.
func (j *joined) address(kind string) string { return j.relay + "/in/" + postOffice + kind }

// ServeHTTP is relay, tunnel and inbox in one.
func (j *joined) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, ok := strings.CutPrefix(r.URL.Path, "/in/"+postOffice)
	app := j.app.Load()
	body, err := io.ReadAll(r.Body)
	if !ok || app == nil || err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h, sealed, err := wire.Seal(j.pub, j.keyID, testMailbox, wire.Request{
		Label: kind, Header: map[string]string{"content-type": r.Header.Get("Content-Type")}, Body: body,
	})
	if err == nil {
		j.mu.Lock()
		j.seq++
		e := wire.Event{Seq: j.seq, ReceivedAt: time.Now().UTC().Truncate(time.Microsecond), Header: h, Body: sealed}
		j.mu.Unlock()
		if app.tunnel.reader().clinic == "" {
			err = errors.New("not paired yet")
		} else {
			err = app.tunnel.inbox().Commit(r.Context(), testEpoch, []wire.Event{e})
		}
	}
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// start runs the appliance, and again whenever it asks for that.
func (j *joined) start() {
	j.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(j.t.Context()))
	ended := make(chan error, 1)
	ready := make(chan struct{})
	begin := func() (*Appliance, error) {
		a, err := New(ctx, Config{
			Settings: j.settings, DataDir: j.dir, Version: "test", NoCallBudget: true,
			Log: slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		if err != nil {
			return nil, err
		}
		a.tunnel.open = func(*tunnel, *pairing) (agent, error) { return &wireman{}, nil }
		if err := savePairing(a.secrets, j.pair); err != nil {
			return nil, err
		}
		j.runs.Add(1)
		j.app.Store(a)
		return a, nil
	}
	go func() {
		for first := true; ; first = false {
			a, err := begin()
			if first {
				close(ready)
			}
			if err == nil {
				err = a.Run(ctx)
			}
			if !errors.Is(err, ErrAgain) {
				ended <- err
				return
			}
		}
	}()
	<-ready
	j.stop = sync.OnceFunc(func() {
		j.app.Store(nil)
		cancel()
		j.ok(<-ended)
	})
}

func (j *joined) restart() {
	j.stop()
	j.start()
}

func (j *joined) ok(err error) {
	j.t.Helper()
	if err != nil {
		j.t.Fatal(err)
	}
}

// until waits for something to become true.
func (j *joined) until(what string, check func(*Appliance) error) {
	j.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := errors.New("no appliance runs")
		if a := j.app.Load(); a != nil {
			err = check(a)
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			j.t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-j.t.Context().Done():
			j.t.Fatalf("%s: %v", what, err)
		}
	}
}

// shows waits for a problem, or for its end.
func (j *joined) shows(code problem.Code, want bool) (text string) {
	j.t.Helper()
	j.until(fmt.Sprintf("%s should be %v", code, want), func(a *Appliance) error {
		text = ""
		for _, p := range a.board.All() {
			if p.Code == code {
				text = p.Text + " " + p.Help
			}
		}
		if (text != "") != want {
			return fmt.Errorf("%q", text)
		}
		return nil
	})
	if strings.Contains(text, postOffice) {
		j.t.Errorf("%s shows an address: %s", code, text)
	}
	return text
}

// hooked waits until Provet Cloud has our three webhooks.
func (j *joined) hooked() {
	j.t.Helper()
	j.until("the webhooks", func(*Appliance) error {
		have := map[string]bool{}
		for _, h := range j.sim.Webhooks() {
			if !h.Inactive && h.ContentType == 2 {
				have[fmt.Sprint(h.Trigger, h.URL)] = true
			}
		}
		for _, t := range triggers {
			if !have[fmt.Sprint(t.trigger, j.address(t.kind))] {
				return fmt.Errorf("%v", have)
			}
		}
		return nil
	})
}

// arrives waits until an order is known here.
func (j *joined) arrives(id int) {
	j.t.Helper()
	j.until(fmt.Sprintf("order %d", id), func(a *Appliance) error {
		_, _, err := a.Order(j.t.Context(), strconv.Itoa(id))
		return err
	})
}

func (j *joined) audited(what string) (n int) {
	j.t.Helper()
	j.ok(j.app.Load().db.Read(j.t.Context(), func(s *localdb.Snapshot) error {
		list, err := s.ListAudit(j.t.Context(), 0, 500)
		for _, l := range list {
			if strings.Contains(l.Detail, "t0psecret") || strings.Contains(l.Detail, postOffice) {
				j.t.Errorf("the audit holds a secret: %+v", l)
			}
			if l.What == what {
				n++
			}
		}
		return err
	}))
	return n
}

func configured(j *joined) {
	j.settings.Provet.BaseURL, j.settings.Provet.ClientID = j.sim.URL(), "rayhound"
}

// A clinic that was never set up gets its credentials through the hookup
// address, sets its webhooks up, and works.
func TestCredentialsStartTheClinic(t *testing.T) {
	for name, sc := range map[string]provetsim.Config{
		"default names": {Seed: 5, ClientSecret: "t0psecret"},
		"renamed":       provetsim.Renamed(provetsim.Config{Seed: 5, ClientSecret: "t0psecret"}, 4),
	} {
		t.Run(name, func(t *testing.T) {
			j := join(t, sc, nil)
			j.shows(problem.ProvetUnconfigured, true)
			before := j.sim.CreateOrder(provetsim.NewOrder{})
			j.sim.PostCredentials(j.address(wire.KindCredentials), map[string]any{"client_secret": "t0psecret-wrong"})
			j.until("wrong credentials are refused", func(*Appliance) error {
				if j.audited("credentials refused") == 0 {
					return errors.New("not yet")
				}
				return nil
			})
			if j.app.Load().provet != nil {
				t.Fatal("wrong credentials were taken")
			}
			j.sim.PostCredentials(j.address(wire.KindCredentials), nil)
			j.hooked()
			j.arrives(before) // by the first poll
			j.shows(problem.ProvetUnconfigured, false)
			j.arrives(j.sim.CreateOrder(provetsim.NewOrder{})) // by webhook alone: the next poll is an hour away
			if n := j.runs.Load(); n != 2 {
				t.Errorf("started %d times", n)
			}
			for range 3 { // Provet Cloud's own repetitions
				j.sim.PostCredentials(j.address(wire.KindCredentials), nil)
			}
			j.ok(j.sim.WaitWebhooks(t.Context()))
			j.restart()
			j.arrives(j.sim.CreateOrder(provetsim.NewOrder{}))
			j.shows(problem.ProvetCredentials, false)
			if n := j.audited("credentials taken"); n != 1 {
				t.Errorf("taken %d times", n)
			}
			if n := len(j.sim.Webhooks()); n != 3 {
				t.Errorf("%d webhooks", n)
			}
		})
	}
}

// Whoever knows the hookup address cannot move the clinic elsewhere.
func TestCredentialsWaitForAPerson(t *testing.T) {
	j := join(t, provetsim.Config{Seed: 6, ClientSecret: "t0psecret"}, nil)
	evil := provetsim.New(provetsim.Config{ClientID: "evil", ClientSecret: "t0psecret-evil", ProvetID: "666"})
	defer evil.Close()
	den := httptest.NewServer(evil)
	defer den.Close()
	there := map[string]any{"provet_id": 666, "client_id": "evil", "client_secret": "t0psecret-evil", "token_url": den.URL + "/666/oauth2/token/"}
	at := j.address(wire.KindCredentials)

	j.sim.PostCredentials(at, map[string]any{"token_url": "https://evil.invalid/4321/oauth2/token/"})
	if text := j.shows(problem.ProvetCredentials, true); !strings.Contains(text, "evil.invalid") || !strings.Contains(text, "none of Provet Cloud's") {
		t.Error(text)
	}
	j.sim.PostCredentials(at, nil) // the true ones
	j.hooked()
	j.shows(problem.ProvetCredentials, false)
	j.sim.PostCredentials(at, there)
	if text := j.shows(problem.ProvetCredentials, true); !strings.Contains(text, "another address") {
		t.Error(text)
	}
	j.restart()
	j.shows(problem.ProvetCredentials, true)
	if got := j.app.Load().cfg.Settings.Provet; got.BaseURL != j.sim.URL() || got.ClientID != "rayhound" {
		t.Fatalf("moved to %s", got.BaseURL)
	}
	ctx := t.Context()
	face := api{j.app.Load()}
	o, err := face.OfferedCredentials(ctx)
	j.ok(err)
	if o.ClientID != "evil" || o.ProvetID != "666" || o.BaseURLNow != j.sim.URL() || o.ID == "" {
		t.Fatalf("%+v", o)
	}
	if err := face.DecideCredentials(ctx, "000000000000", true); problem.Of(err) == nil {
		t.Errorf("got %v", err)
	}
	j.ok(face.DecideCredentials(ctx, o.ID, false))
	j.shows(problem.ProvetCredentials, false)
	j.sim.PostCredentials(at, there) // it does not nag
	j.ok(j.sim.WaitWebhooks(ctx))
	j.sim.PostCredentials(at, map[string]any{"client_id": "another"})
	j.shows(problem.ProvetCredentials, true)
	o, err = face.OfferedCredentials(ctx)
	j.ok(err)
	if o.ClientID != "another" {
		t.Fatalf("%+v", o)
	}
	if err := face.DecideCredentials(ctx, o.ID, true); problem.Of(err) == nil || problem.Of(err).Code != problem.ProvetAuth {
		t.Errorf("Provet Cloud does not know this client: %v", err)
	}
	j.arrives(j.sim.CreateOrder(provetsim.NewOrder{})) // all that time it worked
	j.ok(face.DecideCredentials(ctx, o.ID, false))

	there["client_id"], there["note"] = "evil", 1 // a person may move the clinic
	there["client_secret"] = "t0psecret-evil"
	j.ok(j.app.Load().db.Write(ctx, func(tx *localdb.Tx) error { return tx.DeleteState(ctx, keyDropped) }))
	j.sim.PostCredentials(at, there)
	j.shows(problem.ProvetCredentials, true)
	o, err = face.OfferedCredentials(ctx)
	j.ok(err)
	j.ok(face.DecideCredentials(ctx, o.ID, true))
	j.until("the clinic moves", func(a *Appliance) error {
		if a.cfg.Settings.Provet.ClientID != "evil" || a.provet == nil {
			return errors.New("not yet")
		}
		return nil
	})
}

// What the settings file names is its owner's.
func TestCredentialsAndTheFile(t *testing.T) {
	j := join(t, provetsim.Config{Seed: 7, ClientSecret: "t0psecret"}, configured)
	j.shows(problem.ProvetUnconfigured, true) // the secret is missing
	j.sim.PostCredentials(j.address(wire.KindCredentials), map[string]any{"client_id": "another"})
	j.shows(problem.ProvetCredentials, true)
	face := api{j.app.Load()}
	o, err := face.OfferedCredentials(t.Context())
	j.ok(err)
	if err := face.DecideCredentials(t.Context(), o.ID, true); problem.Of(err) == nil || !strings.Contains(problem.Of(err).Sentence(), "settings file") {
		t.Errorf("got %v", err)
	}
	j.sim.PostCredentials(j.address(wire.KindCredentials), nil) // those of the file
	j.hooked()
	j.shows(problem.ProvetCredentials, false)
	if n := j.runs.Load(); n != 1 {
		t.Errorf("started %d times", n)
	}
}

// Webhooks are set up, looked after, and left alone where a person decided.
func TestWebhooksLookedAfter(t *testing.T) {
	j := join(t, provetsim.Config{Seed: 8}, configured)
	j.shows(problem.ProvetUnconfigured, true)
	face := api{j.app.Load()}
	j.ok(face.SetSecret(t.Context(), secretProvet, secret.New("secret")))
	signal(j.app.Load().webhooks.wake)
	j.hooked()
	j.sim.RegisterWebhook(provetsim.Webhook{Trigger: 6, URL: "https://other.invalid/in/x", Name: "Rayhound of another clinic"})

	j.sim.UpdateWebhook(801, func(w *provetsim.Webhook) { w.Inactive = true })
	signal(j.app.Load().webhooks.wake)
	if text := j.shows(problem.WebhooksDisabled, true); !strings.Contains(text, "--register") {
		t.Error(text)
	}
	j.sim.Delete("webhook", 802)
	signal(j.app.Load().webhooks.wake)
	j.until("a deleted one comes back", func(*Appliance) error {
		if n := len(j.sim.Webhooks()); n != 4 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	v, err := face.RegisterWebhooks(t.Context())
	j.ok(err)
	if !v.OK || v.Instructions != "" {
		t.Errorf("%+v", v)
	}
	j.shows(problem.WebhooksDisabled, false)

	old := j.pair.URLs
	j.pair.URLs = nil // other addresses of the same mailbox
	for _, u := range old {
		j.pair.URLs = append(j.pair.URLs, wire.InboundURL{Kind: u.Kind, URL: u.URL + "?2"})
	}
	j.restart()
	j.until("the addresses follow", func(*Appliance) error {
		n := 0
		for _, h := range j.sim.Webhooks() {
			if strings.HasSuffix(h.URL, "?2") {
				n++
			}
		}
		if all := len(j.sim.Webhooks()); n != 3 || all != 4 {
			return fmt.Errorf("%d of %d", n, all)
		}
		return nil
	})
}

// Where the integration may not, a person is told what to enter.
func TestWebhooksForbidden(t *testing.T) {
	j := join(t, provetsim.Config{Seed: 9}, func(j *joined) {
		configured(j)
		j.sim.Forbid("webhook", "queue")
	})
	j.ok(api{j.app.Load()}.SetSecret(t.Context(), secretProvet, secret.New("secret")))
	signal(j.app.Load().webhooks.wake)
	if text := j.shows(problem.WebhooksMissing, true); !strings.Contains(text, "Settings: Integration settings") || !strings.Contains(text, "rayhound provet webhooks") {
		t.Error(text)
	}
	face := api{j.app.Load()}
	v, err := face.Webhooks(t.Context())
	j.ok(err)
	for _, tr := range triggers {
		if !strings.Contains(v.Instructions, j.address(tr.kind)) || !strings.Contains(v.Text, j.address(tr.kind)) {
			t.Errorf("no address of %s in %s", tr.kind, v.Text)
		}
	}
	checks := face.checkWebhooks(t.Context())
	if len(checks) != 1 || checks[0].Result != "fail" || checks[0].Code != string(problem.WebhooksMissing) {
		t.Errorf("%+v", checks)
	}
	for _, h := range triggers { // a person enters them
		j.sim.RegisterWebhook(provetsim.Webhook{Trigger: h.trigger, URL: j.address(h.kind)})
	}
	j.sim.Allow("webhook")
	signal(j.app.Load().webhooks.wake)
	j.shows(problem.WebhooksMissing, false)
	if n := len(j.sim.Webhooks()); n != 3 {
		t.Errorf("%d webhooks", n)
	}
	j.arrives(j.sim.CreateOrder(provetsim.NewOrder{})) // a form this time
}

// Eleven deliveries, create and update together, delete before create: one order.
func TestWebhooksInAnyOrder(t *testing.T) {
	j := join(t, provetsim.Config{Seed: 10}, configured)
	j.ok(api{j.app.Load()}.SetSecret(t.Context(), secretProvet, secret.New("secret")))
	signal(j.app.Load().webhooks.wake)
	j.hooked()
	j.sim.SetWebhookFaults(provetsim.WebhookFaults{Hold: true, Copies: 11})
	id, gone := j.sim.CreateOrder(provetsim.NewOrder{}), j.sim.CreateOrder(provetsim.NewOrder{})
	j.sim.DeleteOrder(gone)
	j.sim.SetWebhookFaults(provetsim.WebhookFaults{Reverse: true})
	j.ok(j.sim.WaitWebhooks(t.Context()))
	j.arrives(id)
	j.until("the queue is empty", func(a *Appliance) error {
		st, err := a.db.Stats(t.Context())
		if err == nil && st.Hints > 0 {
			err = fmt.Errorf("%d hints", st.Hints)
		}
		return err
	})
	st, err := j.app.Load().db.Stats(t.Context())
	j.ok(err)
	n := 0
	for _, c := range st.Orders {
		n += c
	}
	if n != 1 {
		t.Errorf("orders %v", st.Orders)
	}
}
