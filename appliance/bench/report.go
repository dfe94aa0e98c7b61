package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what a command found.
type report struct {
	Command string    `json:"command"`
	At      time.Time `json:"at"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	Rows    []row     `json:"rows"`
	Notes   []string  `json:"notes,omitempty"`
	JSON    bool      `json:"-"`
}

// row is one measurement. Value is the best of Rounds when there are several.
type row struct {
	Subject string    `json:"subject"` // what was measured
	Measure string    `json:"measure"`
	Value   float64   `json:"value"`
	Unit    string    `json:"unit"`
	Tail    float64   `json:"tail,omitempty"` // p95 or p99 of the same round
	TailOf  string    `json:"tail_of,omitempty"`
	N       int       `json:"n,omitempty"`      // samples in the round
	Rounds  []float64 `json:"rounds,omitempty"` // Value in every round
	Target  string    `json:"target,omitempty"`
	Met     *bool     `json:"met,omitempty"` // nil: no target
	Detail  string    `json:"detail,omitempty"`
}

func (r *report) add(rows ...row) { r.Rows = append(r.Rows, rows...) }

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// atMost gives a row a target.
func (x row) atMost(limit float64) row {
	met := x.Value <= limit
	x.Target, x.Met = fmt.Sprintf("≤ %v %s", limit, x.Unit), &met
	return x
}

// tailAtMost adds a target for the tail to that of the value.
func (x row) tailAtMost(limit float64) row {
	met := x.Tail <= limit && (x.Met == nil || *x.Met)
	x.Target, x.Met = strings.TrimPrefix(x.Target+fmt.Sprintf(", %s ≤ %v %s", x.TailOf, limit, x.Unit), ", "), &met
	return x
}

func (x row) atLeast(limit float64) row {
	met := x.Value >= limit
	x.Target, x.Met = fmt.Sprintf("≥ %v %s", limit, x.Unit), &met
	return x
}

// print writes the report.
func (r *report) print(w io.Writer) error {
	r.At, r.CPUs, r.Go = time.Now().UTC().Truncate(time.Second), runtime.NumCPU(), runtime.Version()
	if r.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(w, "%s, %s, %d CPUs, %s/%s\n\n", r.At.Format(time.RFC3339), r.Go, r.CPUs, runtime.GOOS, runtime.GOARCH)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "subject\tmeasure\tbest\ttail\tn\trounds\ttarget\tmet\t")
	for _, x := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			x.Subject, x.Measure, number(x.Value), x.Unit, x.tail(), count(x.N), numbers(x.Rounds), x.Target, x.verdict(), x.Detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "\n"+n)
	}
	return nil
}

func (x row) tail() string {
	if x.TailOf == "" {
		return ""
	}
	return x.TailOf + " " + number(x.Tail)
}

func (x row) verdict() string {
	switch {
	case x.Met == nil:
		return ""
	case *x.Met:
		return "yes"
	}
	return "NO"
}

// number shows about three digits.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10 || v <= -10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func numbers(vs []float64) string {
	if len(vs) < 2 {
		return ""
	}
	var s []string
	for _, v := range vs {
		s = append(s, number(v))
	}
	return strings.Join(s, " ")
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
