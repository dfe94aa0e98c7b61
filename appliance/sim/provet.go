package sim

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet/provetsim"
)

// ProvetOptions describe a simulated Provet Cloud.
type ProvetOptions struct {
	Listen       string // host:port
	ProvetID     string
	ClientID     string
	ClientSecret string
	Orders       int           // there at the start
	Every        time.Duration // a new order; 0: none
	Seed         int64
	Rename       bool // every field and value whose name is not publicly known
	Out          io.Writer
}

// Provet runs a simulated Provet Cloud until ctx ends. It prints the settings
// that fit it.
func Provet(ctx context.Context, o ProvetOptions) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return problem.New(problem.PagePort, problem.Args{"address": o.Listen, "reason": reasonOf(err)}, err)
	}
	p := &printer{w: o.Out}
	cfg := provetsim.Config{
		ProvetID: o.ProvetID, ClientID: o.ClientID, ClientSecret: o.ClientSecret, Seed: o.Seed, Admin: true, NoLimits: true,
		OnPatch: func(patch provetsim.Patch) {
			p.printf("%s  order %d: %s -> %s (%d)\n", time.Now().Format("15:04:05"), patch.ID, patch.From, patch.To, patch.Status)
		},
	}
	if o.Rename {
		cfg = provetsim.Renamed(cfg, o.Seed)
	}
	s := provetsim.New(cfg)
	s.CreateOrders(o.Orders)
	p.printf("Provet Cloud of an invented clinic with %d orders. Settings that fit it:\n\n%s\n", o.Orders, settings(s, "http://"+l.Addr().String()+"/"+o.ProvetID, o.ClientID))
	if o.Every > 0 {
		go func() {
			tick := time.NewTicker(o.Every)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					p.printf("%s  new order %d\n", time.Now().Format("15:04:05"), s.CreateOrders(1)[0])
				}
			}
		}()
	}
	if err := s.Serve(ctx, l); err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	return nil
}

// settings returns the part of rayhound.toml that fits the simulator.
func settings(s *provetsim.Sim, base, clientID string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[provet]\nbase_url = %q\nclient_id = %q\n\n[provet.status]\n", base, clientID)
	for _, key := range []string{"scheduled", "in_progress", "completed", "discontinued", "cancelled"} {
		if v := s.StatusValue(key); v != "" {
			fmt.Fprintf(&b, "%s = %q\n", key, v)
		}
	}
	renamed := s.RenamedFields()
	for _, resource := range slices.Sorted(maps.Keys(renamed)) {
		if len(renamed[resource]) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n[provet.fields.%s]\n", resource)
		for _, field := range slices.Sorted(maps.Keys(renamed[resource])) {
			fmt.Fprintf(&b, "%s = %q\n", field, renamed[resource][field])
		}
	}
	return b.String()
}
