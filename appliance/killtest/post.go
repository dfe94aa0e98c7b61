package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
)

// mailbox is the clinic's name at the relay.
const mailbox = "Riverside Veterinary Clinic"

// postHeader numbers the webhooks. The relay keeps headers of that kind with
// the webhook, and so does the program.
const postHeader = "X-Killtest-Post"

// post is a real relay as a process of its own, which is killed too, and all
// that was ever posted to it.
type post struct {
	t            *trial
	address      string
	settingsPath string
	dataDir      string
	rng          *rand.Rand
	kills        int
	early        int           // of them before it answered anything
	began        chan struct{} // a webhook is being posted

	mu       sync.Mutex
	posted   []posting
	statuses map[string]int // answers

	forgotten int // events that the relay does not hold any more
}

// posting is one try to deliver a webhook.
type posting struct {
	orderID string
	stored  bool // it was answered 200
}

// openPost writes the relay's settings.
func (t *trial) openPost(address string) error {
	p := &post{
		t: t, address: address, settingsPath: filepath.Join(t.dir, "relay.toml"), dataDir: filepath.Join(t.dir, "relay"),
		rng: dice(t.o.seed, "post"), began: make(chan struct{}, 1), statuses: map[string]int{},
	}
	s := fmt.Sprintf("listen = %q\npublic_url = %q\nmetrics_listen = \"\"\nrate_per_clinic = 10000\n", address, "http://"+address)
	if err := os.WriteFile(p.settingsPath, []byte(s), 0o600); err != nil {
		return err
	}
	t.post = p
	return os.MkdirAll(p.dataDir, 0o700)
}

// RoundTrip posts one webhook and notes what became of it.
func (p *post) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	id := orderOf(body)
	if id == "" {
		p.t.book.violate("webhook: without an order: %s", body)
	}
	p.mu.Lock()
	p.posted = append(p.posted, posting{orderID: id})
	n := len(p.posted) - 1
	p.mu.Unlock()
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set(postHeader, strconv.Itoa(n))
	p.t.aim(aimHint)
	select {
	case p.began <- struct{}{}:
	default:
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil:
		p.statuses["none"]++
	case resp.StatusCode == http.StatusOK:
		p.posted[n].stored = true
		p.t.book.hinted()
		fallthrough
	default:
		p.statuses[strconv.Itoa(resp.StatusCode)]++
	}
	return resp, err
}

// orderOf returns the order that a webhook is about, a form or JSON.
func orderOf(body []byte) string {
	const key = "diagnosticimagingworklist_id"
	fields := map[string]string{}
	if json.Unmarshal(body, &fields) == nil {
		return fields[key]
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	return form.Get(key)
}

// command is a command of the relay's.
func (p *post) command(args ...string) []string {
	return append(append([]string{"relay"}, args...), "--config", p.settingsPath, "--data", p.dataDir)
}

// start begins a life of the relay.
func (p *post) start() (*child, error) { return p.t.spawn("relay.out", p.command("run")...) }

// awake waits until the relay answers.
func (p *post) awake(ctx context.Context, c *child) error {
	for began := time.Now(); ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.address+"/healthz", http.NoBody)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
			return nil
		}
		switch {
		case c.died():
			return fmt.Errorf("the relay ended by itself:\n%s", p.t.lastWords("relay.out"))
		case time.Since(began) > 20*time.Second:
			return fmt.Errorf("the relay does not answer:\n%s", p.t.lastWords("relay.out"))
		case !pause(ctx, 5*time.Millisecond):
			return ctx.Err()
		}
	}
}

// run kills the relay and starts it again, until load ends. The last life goes
// on until ctx ends.
func (p *post) run(load, ctx context.Context) { //nolint:revive // both are contexts
	for {
		c, err := p.start()
		if err != nil {
			p.t.book.violate("post: %v", err)
			return
		}
		early := p.rng.IntN(8) == 0
		switch {
		case load.Err() != nil:
			<-ctx.Done()
			p.end(c)
			return
		case early:
			pause(load, time.Duration(p.rng.IntN(80))*time.Millisecond)
		default:
			if err := p.awake(ctx, c); err != nil && ctx.Err() == nil {
				p.t.book.violate("post: %v", err)
			}
			pause(load, time.Duration(100+p.rng.ExpFloat64()*1500)*time.Millisecond)
			p.aimed(load)
		}
		if load.Err() != nil { // it need not be ended
			<-ctx.Done()
			p.end(c)
			return
		}
		p.kills++
		if early {
			p.early++
		}
		p.end(c)
		pause(load, time.Duration(p.rng.IntN(250))*time.Millisecond)
	}
}

// aimed waits, mostly, until a webhook is under way, and a little longer.
func (p *post) aimed(ctx context.Context) {
	if p.rng.IntN(4) == 0 {
		return
	}
	delay := time.Duration(p.rng.IntN(3000)) * time.Microsecond
	select {
	case <-p.began: // an earlier one
	default:
	}
	select {
	case <-p.began:
		pause(ctx, delay)
	case <-time.After(300 * time.Millisecond):
	case <-ctx.Done():
	}
}

func (p *post) end(c *child) {
	if c.died() {
		p.t.book.violate("post: the relay ended by itself: %s", p.t.lastWords("relay.out"))
	}
	c.kill()
}

// shortMemory removes at the relay what the program acknowledged, at once, until
// ctx ends: an acknowledgement that came too early is a gap then.
func (p *post) shortMemory(ctx context.Context) {
	store, err := relayd.OpenStore(ctx, relayStore, p.dataDir, quietly)
	if err != nil {
		p.t.book.violate("post: %v", err)
		return
	}
	defer func() { _ = store.Close() }() // there is nothing to lose
	for pause(ctx, 150*time.Millisecond) {
		x, err := store.Expire(ctx, time.Now().UTC(), relay.Limits{Acked: time.Nanosecond})
		if err != nil && ctx.Err() == nil {
			p.t.book.refuse("retention at the relay")
		}
		p.mu.Lock()
		p.forgotten += x.Acked
		p.mu.Unlock()
	}
}

var codeLine = regexp.MustCompile(`(?m)^([A-Z-]{14})$`)

// join pairs the program with the relay, as two people would, and waits until
// Provet Cloud knows where its webhooks go.
func (p *post) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	server, err := p.start()
	if err != nil {
		return err
	}
	defer server.kill()
	if err := p.awake(ctx, server); err != nil {
		return err
	}
	if _, err := p.t.command(ctx, p.command("clinic", "add", mailbox)...); err != nil {
		return err
	}
	out, err := p.t.command(ctx, p.command("clinic", "pair", mailbox)...)
	if err != nil {
		return err
	}
	code := codeLine.FindString(out)
	c, err := p.t.start()
	if err != nil {
		return err
	}
	defer c.kill()
	if err := p.t.ready(ctx, c, &tally{}); err != nil {
		return err
	}
	if _, err := p.t.command(ctx, "pair", "ws://"+p.address, code, "--config", p.t.settingsPath, "--data", p.t.dataDir); err != nil {
		return err
	}
	for {
		known := 0
		for _, w := range p.t.sim.Webhooks() {
			if strings.HasPrefix(w.URL, "http://"+p.address+"/") && !w.Inactive {
				known++
			}
		}
		if known >= 3 {
			return nil
		}
		if !pause(ctx, 10*time.Millisecond) {
			return errors.Join(errors.New("the program did not set its webhooks up"), ctx.Err())
		}
	}
}

// command runs the program for a moment and returns what it printed.
func (t *trial) command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, t.bin, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("rayhound %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// undelivered counts the webhooks on their way.
func (p *post) undelivered() int {
	n := 0
	for _, d := range p.t.sim.Deliveries() {
		if d.Status == 0 {
			n++
		}
	}
	return n
}

// postings returns every try to deliver a webhook.
func (p *post) postings() []posting {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]posting(nil), p.posted...)
}

// tunnelSettings are those of a clinic that hears by the tunnel.
func (*post) tunnelSettings(f *config.File) { f.Provet.PollInterval = config.Duration(time.Hour) }

// relayStore is the relay's database.
const relayStore = "sqlite:relay.db"

var quietly = slog.New(slog.DiscardHandler)
