package provet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// HookState says how a wanted webhook stands.
type HookState string

// The states of a wanted webhook.
const (
	HookOK        HookState = "ok"
	HookCreated   HookState = "created"
	HookChanged   HookState = "changed"
	HookMissing   HookState = "missing"   // CheckWebhooks: not there
	HookOutdated  HookState = "outdated"  // CheckWebhooks: there, with another address or trigger
	HookDisabled  HookState = "disabled"  // there, but a person switched it off
	HookForbidden HookState = "forbidden" // the integration may not
	HookRefused   HookState = "refused"   // Provet Cloud did not accept it
	HookUnknown   HookState = "unknown"   // it could not be found out how to make it
)

// Works reports whether events arrive.
func (s HookState) Works() bool { return s == HookOK || s == HookCreated || s == HookChanged }

// HookResult is one wanted webhook.
type HookResult struct {
	Trigger int
	Name    string
	URL     string // a secret
	ID      string // Provet Cloud's number of it; empty when there is none
	State   HookState
	Detail  string // for people, without addresses
}

// HookQueue is a look at Provet Cloud's delivery queue, for information only:
// its fields are not documented.
type HookQueue struct {
	Count    int            // entries in all; -1 when not said
	Looked   int            // of them looked at
	ByStatus map[string]int // Provet Cloud's words or numbers
}

// HooksReport says which webhooks are there.
type HooksReport struct {
	Hooks      []HookResult
	Permission string            // that is missing; empty: none is
	Foreign    int               // webhooks of others, left alone
	Fields     map[string]string // names of the fields, as far as known
	Queue      *HookQueue        // nil: not open to us
	Notes      []string          // for people, without addresses
}

// OK reports whether every wanted webhook works.
func (r *HooksReport) OK() bool {
	return len(r.Hooks) > 0 && !slices.ContainsFunc(r.Hooks, func(h HookResult) bool { return !h.State.Works() })
}

// Manual lists the webhooks that a person has to enter.
func (r *HooksReport) Manual() []HookResult {
	var out []HookResult
	for _, h := range r.Hooks {
		switch h.State {
		case HookMissing, HookForbidden, HookRefused, HookUnknown, HookOutdated:
			out = append(out, h)
		case HookOK, HookCreated, HookChanged, HookDisabled:
		}
	}
	return out
}

// Disabled lists those that a person switched off.
func (r *HooksReport) Disabled() []HookResult {
	return slices.DeleteFunc(slices.Clone(r.Hooks), func(h HookResult) bool { return h.State != HookDisabled })
}

// Text renders the report for a terminal. It holds the addresses a person has to
// enter, which are secrets.
func (r *HooksReport) Text() string {
	var b strings.Builder
	for _, h := range r.Hooks {
		fmt.Fprintf(&b, "%-10s %s (trigger %d)", h.State, triggerText(h.Trigger), h.Trigger)
		if h.ID != "" {
			fmt.Fprintf(&b, ", number %s", h.ID)
		}
		if h.Detail != "" {
			fmt.Fprintf(&b, ": %s", cleanLine(h.Detail))
		}
		b.WriteByte('\n')
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", cleanLine(n))
	}
	if r.Queue != nil && r.Queue.Looked > 0 {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(r.Queue.ByStatus)) {
			parts = append(parts, fmt.Sprintf("%s: %d", cleanLine(k), r.Queue.ByStatus[k]))
		}
		fmt.Fprintf(&b, "delivery queue, newest %d by status: %s\n", r.Queue.Looked, strings.Join(parts, ", "))
	}
	if len(r.Disabled()) > 0 {
		b.WriteString("\nSwitch the disabled webhooks on again under Settings > General > Integrations > Webhooks, or with rayhound provet webhooks --register.\n")
	}
	b.WriteString(r.Instructions())
	return b.String()
}

// Instructions says what to enter by hand; empty when there is nothing. It holds
// the addresses, which are secrets.
func (r *HooksReport) Instructions() string {
	manual := r.Manual()
	if len(manual) == 0 {
		return ""
	}
	var b strings.Builder
	what := "this webhook"
	if len(manual) > 1 {
		what = fmt.Sprintf("these %d webhooks", len(manual))
	}
	fmt.Fprintf(&b, "\nEnter %s in Provet Cloud under Settings > General > Integrations > Webhooks, active, without a department:\n", what)
	for _, h := range manual {
		fmt.Fprintf(&b, "\n  trigger       %s\n  URL           %s\n  content type  JSON (a form does as well)\n", triggerText(h.Trigger), h.URL)
		if h.Name != "" {
			fmt.Fprintf(&b, "  name          %s\n", h.Name)
		}
	}
	if r.Permission != "" {
		fmt.Fprintf(&b, "\nOr give the integration's user group the permission \"%s\": then Rayhound does it by itself.\n", r.Permission)
	}
	return b.String()
}
