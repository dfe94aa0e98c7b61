package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Delivery of notices.
const (
	tellEvery   = 5 * time.Second
	tellLease   = 2 * time.Minute
	tellBatch   = 20
	tellMaxTry  = 20
	tellMaxWait = time.Hour
	offlineSoon = time.Hour // the first step of offlineSteps
)

// offlineSteps are the silences an operator is told of.
var offlineSteps = []struct {
	after time.Duration
	name  string
}{{offlineSoon, "1h"}, {24 * time.Hour, "24h"}, {7 * 24 * time.Hour, "7d"}}

// noticeBody is what notify_url receives. It names the clinic as the operator does, and no person.
type noticeBody struct {
	Kind     string        `json:"kind"` // offline, recovery, takeover, frozen, gap
	ClinicID wire.ClinicID `json:"clinic_id"`
	Clinic   string        `json:"clinic"`
	At       time.Time     `json:"at"`
	Detail   string        `json:"detail,omitempty"`
	Relay    string        `json:"relay"` // public URL
	Version  string        `json:"version,omitempty"`
}

// notify queues a notice, once for each kind, clinic and incident.
func (r *Relay) notify(ctx context.Context, kind string, c wire.ClinicID, incident, detail string) {
	r.metrics.notices.WithLabelValues(kind).Inc()
	if r.cfg.NotifyURL == "" {
		return
	}
	n := Notice{
		Key: kind + ":" + string(c) + ":" + incident, Kind: kind, Clinic: c, Name: r.dir.state(c).Name, At: r.cfg.Now().UTC(), Detail: detail,
	}
	if _, err := r.cfg.Registry.AddNotice(ctx, n); err != nil {
		r.log.Warn("a notice was not stored", "kind", kind, "clinic", string(c), "error", err)
	}
}

// tellTakeover records that another computer took a clinic.
func (r *Relay) tellTakeover(ctx context.Context, c wire.ClinicID, h History) {
	r.metrics.takeovers.Inc()
	if k := r.dir.clinic(c); k != nil {
		k.counts.takeovers.Add(1)
	}
	at := strconv.FormatInt(h.Present.At.Unix(), 10)
	r.audit(ctx, c, "takeover", "by instance "+string(h.Present.Instance))
	r.log.Warn("another computer took over a clinic", "clinic", string(c), "takeovers", len(h.Takeovers))
	r.notify(ctx, "takeover", c, at, strconv.Itoa(len(h.Takeovers))+" within the hour")
	if h.Frozen.Equal(h.Present.At) {
		r.audit(ctx, c, "freeze", "too many takeovers")
		r.log.Error("two computers fight over a clinic; it is frozen on the present one", "clinic", string(c))
		r.notify(ctx, "frozen", c, at, "pair again to end it")
	}
}

// tellRecovery tells that a clinic is back, if its silence was long enough to be told of.
func (r *Relay) tellRecovery(ctx context.Context, c wire.ClinicID, lastHeard time.Time) {
	now := r.cfg.Now()
	if lastHeard.IsZero() || now.Sub(lastHeard) < offlineSoon {
		return
	}
	r.log.Info("a clinic is back", "clinic", string(c), "silent", now.Sub(lastHeard).Round(time.Second).String())
	r.notify(ctx, "recovery", c, strconv.FormatInt(lastHeard.Unix(), 10), "silent since "+lastHeard.UTC().Format(time.RFC3339))
}

// tellOffline tells of clinics that have been silent for long. A relay that has just started has heard nobody yet.
func (r *Relay) tellOffline(ctx context.Context, list []Status) {
	now := r.cfg.Now()
	if now.Sub(r.started) < 15*time.Minute {
		return
	}
	for _, st := range list {
		if !st.Clinic.RevokedAt.IsZero() || st.Paired.IsZero() || st.LastHeard.IsZero() {
			continue
		}
		for i := len(offlineSteps) - 1; i >= 0; i-- {
			if step := offlineSteps[i]; now.Sub(st.LastHeard) >= step.after {
				r.notify(ctx, "offline", st.Clinic.ID, step.name+":"+strconv.FormatInt(st.LastHeard.Unix(), 10), step.name)
				break
			}
		}
	}
}

// tell delivers notices.
func (r *Relay) tell(ctx context.Context) error {
	return r.every(ctx, tellEvery, "notices", r.tellDue)
}

func (r *Relay) tellDue(ctx context.Context) error {
	if r.cfg.NotifyURL == "" {
		return nil
	}
	due, err := r.cfg.Registry.DueNotices(ctx, r.cfg.Now().UTC(), tellLease, tellBatch)
	if err != nil {
		return err
	}
	for _, n := range due {
		if err := r.tellOne(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *Relay) tellOne(ctx context.Context, n Notice) error {
	err := r.post(ctx, n)
	if err == nil {
		return r.cfg.Registry.SettleNotice(ctx, n.Key)
	}
	r.errLog.Do(func() { r.log.Warn("a notice was not delivered", "kind", n.Kind, "tries", n.Tries+1, "error", err) })
	if n.Tries+1 >= tellMaxTry {
		return r.cfg.Registry.SettleNotice(ctx, n.Key)
	}
	wait := min(tellMaxWait, 30*time.Second<<min(n.Tries, 10))
	return r.cfg.Registry.RetryNotice(ctx, n.Key, r.cfg.Now().UTC().Add(wait))
}

func (r *Relay) post(ctx context.Context, n Notice) error {
	b, err := json.Marshal(noticeBody{n.Kind, n.Clinic, n.Name, n.At.UTC(), n.Detail, r.public, r.cfg.Version})
	if err != nil {
		return err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.cfg.NotifyURL, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("relay: notify_url: %w", err)
	}
	q.Header.Set("Content-Type", "application/json")
	a, err := r.cfg.NotifyClient.Do(q)
	var quoted *url.Error
	if errors.As(err, &quoted) {
		err = quoted.Err // without the address: it often holds a secret
	}
	if err != nil {
		return fmt.Errorf("relay: notify_url: %w", err)
	}
	defer a.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, 64<<10))
	if a.StatusCode < 200 || a.StatusCode > 299 {
		return fmt.Errorf("relay: notify_url answered %d", a.StatusCode)
	}
	return nil
}
