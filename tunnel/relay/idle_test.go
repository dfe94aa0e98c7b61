package relay_test

import (
	"bufio"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// The memory of idle agents is measured with RAYHOUND_IDLE_AGENTS=10000 go test -run TestIdleAgents -v: the relay runs in a
// process of its own, with TLS, and is read after two rounds of pings.
const (
	idleAgents = "RAYHOUND_IDLE_AGENTS"
	idleChild  = "RAYHOUND_IDLE_CHILD"
	idleRound  = 5 * time.Second
)

// idleKey is the identity of all agents of the measurement.
var idleKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func TestIdleAgents(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv(idleAgents))
	if n == 0 || os.Getenv(idleChild) != "" {
		t.Skip("a measurement: set " + idleAgents)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestIdleRelayProcess", "-test.timeout=10m")
	child.Env = append(os.Environ(), idleChild+"=1")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }()
	defer in.Close()
	lines := bufio.NewScanner(out)
	next := func() string {
		if !lines.Scan() {
			t.Fatal("the relay ended")
		}
		return lines.Text()
	}
	url := next()
	type who struct{ clinic, token string }
	work := make(chan who, n)
	for range n {
		c, tok, _ := strings.Cut(next(), " ")
		work <- who{c, tok}
	}
	close(work)
	ask := func() int {
		fmt.Fprintln(in, "rss")
		kb, _ := strconv.Atoi(next())
		return kb
	}
	before := ask()
	var pings atomic.Int64
	var dialers, agents sync.WaitGroup
	var mu sync.Mutex
	var conns []*websocket.Conn
	start := time.Now()
	for range 32 {
		dialers.Go(func() {
			for x := range work {
				c, err := idleConnect(url, wire.ClinicID(x.clinic), x.token)
				if err != nil {
					t.Error(err)
					return
				}
				answer := c.PingHandler()
				c.SetPingHandler(func(s string) error { pings.Add(1); return answer(s) })
				mu.Lock()
				conns = append(conns, c)
				mu.Unlock()
				agents.Go(func() { _, _, _ = c.ReadMessage() })
			}
		})
	}
	dialers.Wait()
	t.Logf("%d agents connected in %s", n, time.Since(start).Round(time.Millisecond))
	from := pings.Load()
	for pings.Load() < from+int64(2*n) {
		time.Sleep(100 * time.Millisecond) // a measurement, no test
	}
	after := ask()
	t.Logf("RSS %d KB before, %d KB after: %.1f KB for each agent", before, after, float64(after-before)/float64(n))
	for _, c := range conns {
		c.Close()
	}
	agents.Wait()
}

func idleConnect(url string, clinic wire.ClinicID, token string) (*websocket.Conn, error) {
	d := websocket.Dialer{
		Subprotocols: wire.Protocols(), ReadBufferSize: 512, WriteBufferSize: 512,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test's own relay
	}
	c, resp, err := d.Dial(url+wire.TunnelPath, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		if resp != nil {
			resp.Body.Close()
		}
		return nil, err
	}
	_, m, err := c.ReadMessage()
	if err != nil {
		return nil, err
	}
	f, err := wire.DecodeControl(m, wire.Limits{})
	if err != nil {
		return nil, err
	}
	h := &wire.Hello{
		ClinicID: clinic, InstanceID: "i", Run: "r", Time: time.Now(), Window: wire.Window{Msgs: wire.WindowMsgs, Bytes: wire.WindowBytes},
		Signature: ed25519.Sign(idleKey, wire.HelloBytes(f.(*wire.Challenge).Nonce, "127.0.0.1", clinic, "i")),
	}
	if m, err = wire.EncodeControl(h); err != nil {
		return nil, err
	}
	if err := c.WriteMessage(websocket.TextMessage, m); err != nil {
		return nil, err
	}
	_, _, err = c.ReadMessage()
	return c, err
}

// TestIdleRelayProcess is the relay of the measurement.
func TestIdleRelayProcess(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv(idleAgents))
	if os.Getenv(idleChild) == "" {
		t.Skip("the other half of TestIdleAgents")
	}
	store := openSQLite(t, filepath.Join(t.TempDir(), "relay.db"))
	t.Cleanup(func() { _ = store.Close() })
	w := newWorldOn(t, nil, store, store, func(c *relay.Config) {
		c.PingEvery, c.RefreshEvery, c.PendingEvery, c.AckEvery = idleRound, 0, 0, 0
	})
	fmt.Println(strings.Replace(w.server.URL, "https:", "wss:", 1))
	ctx := t.Context()
	var g sync.WaitGroup
	lines := make([]string, n)
	for k := range 32 {
		g.Go(func() {
			for i := k; i < n; i += 32 {
				lines[i] = idlePair(t, w, fmt.Sprint("clinic ", i))
			}
		})
	}
	g.Wait()
	for _, l := range lines {
		fmt.Println(l)
	}
	_ = ctx
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(rssKB())
	}
}

func idlePair(t *testing.T, w *world, name string) string {
	c, err := w.admin.AddClinic(t.Context(), name)
	if err != nil {
		t.Error(err)
		return ""
	}
	_, pub, keyID, _ := wire.NewSealingKey()
	var code string
	for {
		if code, _, err = w.admin.PairingCode(t.Context(), name); err == nil {
			break
		}
	}
	group, _, _ := wire.SplitCode(code)
	token, kid := wire.NewToken()
	now := time.Now().UTC()
	_, err = w.reg.CompletePairing(t.Context(), relay.Paired{
		Group: group, Clinic: c.ID, At: now, Sealing: relay.SealingKey{KeyID: keyID, Public: pub, AddedAt: now},
		Agent: relay.Agent{Clinic: c.ID, Identity: idleKey.Public().(ed25519.PublicKey), Instance: "i", PairedAt: now},
		Token: relay.Token{KID: kid, Clinic: c.ID, Hash: wire.HashToken(token), CreatedAt: now, ConfirmedAt: now},
		URLs:  []relay.InboundURL{{Hash: wire.HashSecret(wire.NewSecret()), Clinic: c.ID, Kind: wire.KindCreated, Label: "x", CreatedAt: now}},
	})
	if err != nil {
		t.Error(err)
	}
	return string(c.ID) + " " + token
}

// rssKB is the resident memory of this process.
func rssKB() int {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	b, _ := io.ReadAll(f)
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")))
			return kb
		}
	}
	return 0
}
