package control

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/ui"
)

const base = "/api/v1/"

// Status asks how the appliance is.
func (c *Client) Status(ctx context.Context) (ui.Status, error) {
	return get[ui.Status](ctx, c, base+"status", nil)
}

// Problems asks what is wrong now.
func (c *Client) Problems(ctx context.Context, all bool) ([]problem.Problem, error) {
	return get[[]problem.Problem](ctx, c, base+"problems", url.Values{"all": {strconv.FormatBool(all)}})
}

// Orders lists orders.
func (c *Client) Orders(ctx context.Context, f ui.OrderFilter) ([]ui.Order, error) {
	q := url.Values{}
	for _, s := range f.States {
		q.Add("state", string(s))
	}
	if f.Open {
		q.Set("open", "true")
	}
	set(q, "patient_id", f.PatientID)
	set(q, "station", f.Station)
	set(q, "text", f.Text)
	if !f.Since.IsZero() {
		q.Set("since", f.Since.Format(time.RFC3339))
	}
	setNumber(q, "limit", f.Limit)
	setNumber(q, "offset", f.Offset)
	return get[[]ui.Order](ctx, c, base+"orders", q)
}

// Order shows one order.
func (c *Client) Order(ctx context.Context, accession string) (ui.OrderDetail, error) {
	return get[ui.OrderDetail](ctx, c, base+"orders/"+url.PathEscape(accession), nil)
}

// Report reads what was reported about an order.
func (c *Client) Report(ctx context.Context, accession string) (ui.Report, error) {
	return get[ui.Report](ctx, c, base+"orders/"+url.PathEscape(accession)+"/report", nil)
}

// CopyDocument copies a document of an order to w.
func (c *Client) CopyDocument(ctx context.Context, accession string, d ui.Document, w io.Writer) error {
	body, err := c.do(ctx, http.MethodGet, base+"orders/"+url.PathEscape(accession)+"/documents/"+strconv.FormatInt(d.ID, 10), nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	n, err := io.Copy(w, body)
	if err == nil && n != d.Bytes {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("control: the document broke off: %w", err)
	}
	return nil
}

// HL7Messages lists what came by HL7.
func (c *Client) HL7Messages(ctx context.Context, f ui.HL7Filter) ([]ui.HL7Message, error) {
	q := url.Values{}
	set(q, "outcome", f.Outcome)
	setNumber(q, "limit", f.Limit)
	return get[[]ui.HL7Message](ctx, c, base+"hl7", q)
}

// HL7Bytes copies a message as it came to w.
func (c *Client) HL7Bytes(ctx context.Context, id int64, w io.Writer) error {
	body, err := c.do(ctx, http.MethodGet, base+"hl7/"+strconv.FormatInt(id, 10), nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("control: the message broke off: %w", err)
	}
	return nil
}

// AddOrder enters an order by hand.
func (c *Client) AddOrder(ctx context.Context, n ui.NewOrder) (ui.Order, error) {
	return post[ui.Order](ctx, c, base+"orders", n)
}

// ActOnOrder completes, cancels, holds, releases, resends or reopens an order.
func (c *Client) ActOnOrder(ctx context.Context, accession string, a ui.Action) (ui.Order, error) {
	return post[ui.Order](ctx, c, base+"orders/"+url.PathEscape(accession)+"/"+url.PathEscape(string(a.Kind)), a)
}

// Hint asks for a look at an order of Provet Cloud.
func (c *Client) Hint(ctx context.Context, provetID string) error {
	_, err := post[nothing](ctx, c, base+"hints", map[string]string{"provet_id": provetID})
	return err
}

// Outbox lists what is owed to others.
func (c *Client) Outbox(ctx context.Context, f ui.OutboxFilter) ([]ui.Message, error) {
	q := url.Values{}
	set(q, "destination", f.Destination)
	set(q, "state", f.State)
	set(q, "accession", f.Accession)
	if f.All {
		q.Set("all", "true")
	}
	setNumber(q, "limit", f.Limit)
	return get[[]ui.Message](ctx, c, base+"outbox", q)
}

// RetryMessage sends one message again now.
func (c *Client) RetryMessage(ctx context.Context, id int64) error {
	_, err := post[nothing](ctx, c, fmt.Sprintf("%soutbox/%d/retry", base, id), nil)
	return err
}

// RetryOutbox sends everything for a destination again, "" for all.
func (c *Client) RetryOutbox(ctx context.Context, destination string) (int, error) {
	n, err := post[ui.Count](ctx, c, base+"outbox/retry", map[string]string{"destination": destination})
	return n.Count, err
}

// PauseDestination stops sending to a destination.
func (c *Client) PauseDestination(ctx context.Context, destination, reason string) error {
	_, err := post[nothing](ctx, c, base+"outbox/"+url.PathEscape(destination)+"/pause", map[string]string{"reason": reason})
	return err
}

// ResumeDestination goes on.
func (c *Client) ResumeDestination(ctx context.Context, destination string) error {
	_, err := post[nothing](ctx, c, base+"outbox/"+url.PathEscape(destination)+"/resume", nil)
	return err
}

// Arrivals lists imaging without an order.
func (c *Client) Arrivals(ctx context.Context, all bool) ([]ui.Arrival, error) {
	return get[[]ui.Arrival](ctx, c, base+"arrivals", url.Values{"all": {strconv.FormatBool(all)}})
}

// LinkArrival ties an arrival to its order.
func (c *Client) LinkArrival(ctx context.Context, id int64, accession, reason string) (ui.Order, error) {
	return post[ui.Order](ctx, c, fmt.Sprintf("%sarrivals/%d/link", base, id),
		map[string]string{"accession_number": accession, "reason": reason})
}

// Machines lists the configured machines.
func (c *Client) Machines(ctx context.Context) ([]ui.Machine, error) {
	return get[[]ui.Machine](ctx, c, base+"machines", nil)
}

// PendingMachines lists callers that are not configured.
func (c *Client) PendingMachines(ctx context.Context) ([]ui.PendingMachine, error) {
	return get[[]ui.PendingMachine](ctx, c, base+"machines/pending", nil)
}

// Queries lists worklist queries.
func (c *Client) Queries(ctx context.Context, f ui.QueryFilter) ([]ui.Query, error) {
	q := url.Values{}
	set(q, "machine", f.Machine)
	set(q, "accession", f.Accession)
	setNumber(q, "limit", f.Limit)
	return get[[]ui.Query](ctx, c, base+"queries", q)
}

// Pair joins a relay with a one-time code.
func (c *Client) Pair(ctx context.Context, relayURL, code string) (ui.Pairing, error) {
	return post[ui.Pairing](ctx, c, base+"tunnel/pair", map[string]string{"relay_url": relayURL, "code": code})
}

// Secrets lists names and ages.
func (c *Client) Secrets(ctx context.Context) ([]secret.Info, error) {
	return get[[]secret.Info](ctx, c, base+"secrets", nil)
}

// SetSecret hands a secret to the service, which seals it.
func (c *Client) SetSecret(ctx context.Context, name string, value secret.Secret) error {
	return c.call(ctx, http.MethodPut, base+"secrets/"+url.PathEscape(name), nil, map[string]string{"value": value.Reveal()}, nil)
}

// Backups lists the copies of the database.
func (c *Client) Backups(ctx context.Context) ([]ui.Backup, error) {
	return get[[]ui.Backup](ctx, c, base+"backups", nil)
}

// CreateBackup makes one now.
func (c *Client) CreateBackup(ctx context.Context) (ui.Backup, error) {
	return post[ui.Backup](ctx, c, base+"backup", nil)
}

// Doctor runs every check.
func (c *Client) Doctor(ctx context.Context) ([]ui.Check, error) {
	return post[[]ui.Check](ctx, c, base+"doctor", nil)
}

// ProbeProvet asks Provet Cloud what it offers.
func (c *Client) ProbeProvet(ctx context.Context) (ui.Probe, error) {
	return post[ui.Probe](ctx, c, base+"provet/probe", nil)
}

// SupportFile copies the redacted bundle to w.
func (c *Client) SupportFile(ctx context.Context, w io.Writer) error {
	body, err := c.do(ctx, http.MethodPost, base+"support-file", nil, struct{}{})
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("control: the support file broke off: %w", err)
	}
	return nil
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setNumber(q url.Values, name string, n int) {
	if n != 0 {
		q.Set(name, strconv.Itoa(n))
	}
}
