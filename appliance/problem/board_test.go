package problem

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func codes(ps []Problem) string {
	var all []string
	for _, p := range ps {
		s := string(p.Code)
		if p.Subject != "" {
			s += "/" + p.Subject
		}
		if p.Hidden {
			s += "-"
		}
		all = append(all, s)
	}
	return strings.Join(all, " ")
}

func TestVisibleAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b Board
		b.Raise(ProvetUnreachable, "", Args{"reason": "no answer"}) // visible after 2 minutes
		if got := codes(b.Visible()); got != "" {
			t.Errorf("at once: %s", got)
		}
		time.Sleep(2*time.Minute - time.Nanosecond)
		b.Raise(ProvetUnreachable, "", Args{"reason": "another"}) // keeps Since
		if got := codes(b.Visible()); got != "" {
			t.Errorf("a moment before: %s", got)
		}
		time.Sleep(time.Nanosecond)
		ps := b.Visible()
		if codes(ps) != "RH-102" || !strings.Contains(ps[0].Text, "another") || time.Since(ps[0].Since) != 2*time.Minute {
			t.Errorf("after two minutes: %+v", ps)
		}
		b.Clear(ProvetUnreachable, "")
		b.Raise(ProvetUnreachable, "", nil)
		if got := codes(b.Visible()); got != "" {
			t.Errorf("the wait begins again: %s", got)
		}
		b.RaiseSince(ProvetAuth, "", nil, time.Now().Add(-time.Hour))
		if got := codes(b.Visible()); got != "RH-101-" {
			t.Errorf("read back from the database: %s", got)
		}
	})
}

func TestBoard(t *testing.T) {
	now := time.Unix(1000, 0)
	var heard []string
	b := Board{Now: func() time.Time { return now }}
	b.Changed = func(p Problem, active bool) {
		heard = append(heard, fmt.Sprint(p.Code, "/", p.Subject, " ", active, " ", len(b.All())))
	}
	b.Raise(OrderIdle, "12", Args{"accession": "12", "duration": "24h"})
	now = now.Add(time.Second)
	b.Raise(OrderIdle, "11", nil)
	b.Raise(ReportRefused, "12", nil)
	b.Raise(MachineCharset, "12", nil)
	b.Raise(ProvetAuth, "", nil)
	b.Raise(ReportStuck, "", nil)
	b.Raise(Code("RH-999"), "", nil) // not in the catalogue
	b.Raise(OrderIdle, "12", nil)    // again
	if got, want := codes(b.All()), "RH-101 RH-203/12 RH-208/12 RH-204- RH-208/11 RH-305/12"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b.ClearCode(OrderIdle)
	b.Clear(OrderIdle, "12")
	b.Clear(ProvetAuth, "")
	if got, want := codes(b.All()), "RH-203/12 RH-204 RH-305/12"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(heard) != 9 || heard[0] != "RH-208/12 true 1" || heard[8] != "RH-101/ false 3" {
		t.Errorf("%q", heard)
	}
}

func TestError(t *testing.T) {
	cause := errors.New("sql: no rows")
	err := fmt.Errorf("show: %w", New(OrderUnknown, Args{"accession": "9"}, cause))
	p := Of(err)
	if p == nil || p.Sentence() != "No order has the accession number 9." || !strings.Contains(p.Help(), "rayhound orders list") {
		t.Fatalf("%+v", p)
	}
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "RH-209") || !strings.Contains(err.Error(), "no rows") {
		t.Errorf("the chain: %v", err)
	}
	if p := Of(fmt.Errorf("call: %w", refused{})); p == nil || p.Code != ProvetAuth {
		t.Errorf("an error that knows its problem: %v", p)
	}
	if Of(cause) != nil || Of(nil) != nil {
		t.Error("found a problem where there is none")
	}
	if s := New(Code("RH-999"), nil, nil).Sentence(); s == "" {
		t.Error("no sentence")
	}
}

// refused is an error of a driver that knows its problem.
type refused struct{}

func (refused) Error() string   { return "HTTP 401" }
func (refused) Problem() *Error { return New(ProvetAuth, nil, nil) }
