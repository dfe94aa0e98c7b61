package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/relayd"
)

// clinicName is the clinic's name everywhere.
const clinicName = "Riverside Veterinary Clinic"

// settleWithin bounds how long the parts may need to find each other.
const settleWithin = 20 * time.Second

// openRelay starts a public relay, on loopback, and adds the clinic to it.
func (c *clinic) openRelay() error {
	address, err := freeAddress(c.ctx)
	if err != nil {
		return err
	}
	c.relay = "http://" + address
	started := make(chan struct{})
	c.run("relay", func(ctx context.Context) error {
		return relayd.Run(ctx, relayd.Config{
			// The demo has one clinic that may get a thousand orders at once.
			Relay: relay.Config{
				PublicURL: c.relay, SealAtIngest: true, Version: c.opts.Version,
				RatePerClinic: 10_000, Burst: 10_000,
			},
			Listen: address, Store: "sqlite:relay.db", DataDir: c.dir, Log: c.log.Logger,
			Getenv:  func(string) string { return "" },
			Started: func(net.Addr, net.Addr) { close(started) },
		})
	})
	select {
	case <-started:
		return nil
	case <-c.ctx.Done():
		return c.ended()
	}
}

// joinRelay pairs the appliance with the relay, as two people would by
// telephone, and waits until Provet Cloud knows where its webhooks go.
func (c *clinic) joinRelay() error {
	ctx, cancel := context.WithTimeout(c.ctx, settleWithin)
	defer cancel()
	store, err := relayd.OpenStore(ctx, "sqlite:relay.db", c.dir, c.log.Logger)
	if err != nil {
		return err
	}
	admin := &relay.Admin{Store: store, Registry: store, PublicURL: c.relay}
	code, err := func() (string, error) {
		if _, err := admin.AddClinic(ctx, clinicName); err != nil {
			return "", err
		}
		code, _, err := admin.PairingCode(ctx, clinicName)
		return code, err
	}()
	if err := errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	page, err := control.Dial(c.app.PageAddr(), c.dir, "demo")
	if err != nil {
		return err
	}
	if _, err := page.Pair(ctx, strings.Replace(c.relay, "http://", "ws://", 1), code); err != nil {
		return fmt.Errorf("demo: pairing: %w", err)
	}
	return c.until(ctx, "Provet Cloud does not know the relay", func() bool {
		known := 0
		for _, w := range c.sim.Webhooks() {
			if strings.HasPrefix(w.URL, c.relay) {
				known++
			}
		}
		return known >= 3
	})
}

// until waits for something that other parts do.
func (c *clinic) until(ctx context.Context, otherwise string, is func() bool) error {
	for !is() {
		select {
		case <-ctx.Done():
			if err := c.ended(); err != nil {
				return err
			}
			return errors.New("demo: " + otherwise)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// ended returns why a part ended before its time.
func (c *clinic) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}
