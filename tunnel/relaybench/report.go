package relaybench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what a bench found.
type Report struct {
	Command string    `json:"command"`
	At      time.Time `json:"at"`
	CPUs    int       `json:"cpus"`
	Go      string    `json:"go"`
	Load    []string  `json:"load,omitempty"` // averages of 1 minute, at the start and at the end; Linux
	Rows    []Row     `json:"rows"`
	Notes   []string  `json:"notes,omitempty"`
}

// Row is one figure. Value is the best of Rounds when there are several.
type Row struct {
	Subject string    `json:"subject"`
	Measure string    `json:"measure"`
	Value   float64   `json:"value"`
	Unit    string    `json:"unit"`
	P50     float64   `json:"p50_ms,omitempty"`
	P99     float64   `json:"p99_ms,omitempty"`
	N       int       `json:"n,omitempty"`
	Rounds  []float64 `json:"rounds,omitempty"` // Value in every round
	Target  string    `json:"target,omitempty"`
	Met     *bool     `json:"met,omitempty"` // nil: no target
	Detail  string    `json:"detail,omitempty"`
}

// NewReport begins a report.
func NewReport(command string) *Report {
	return &Report{
		Command: command, At: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(), Go: runtime.Version(), Load: load(),
	}
}

// load is the load average of the last minute, where there is one.
func load() []string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(b), " ")
	return []string{first}
}

func (r *Report) add(rows ...Row) { r.Rows = append(r.Rows, rows...) }

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (x Row) atMost(limit float64) Row {
	return x.judge(x.Value <= limit, fmt.Sprintf("≤ %v %s", limit, x.Unit))
}

func (x Row) atLeast(limit float64) Row {
	return x.judge(x.Value >= limit, fmt.Sprintf("≥ %v %s", limit, x.Unit))
}

// tailAtMost adds a target for the 99th percentile.
func (x Row) tailAtMost(limit float64) Row {
	return x.judge(x.P99 <= limit, fmt.Sprintf("p99 ≤ %v ms", limit))
}

func (x Row) judge(met bool, target string) Row {
	met = met && (x.Met == nil || *x.Met)
	x.Target, x.Met = strings.TrimPrefix(x.Target+", "+target, ", "), &met
	return x
}

// Print writes the report as a table or as JSON.
func (r *Report) Print(w io.Writer, asJSON bool) error {
	r.Load = append(r.Load, load()...)
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	fmt.Fprintf(w, "%s, %s, %d CPUs, %s/%s, load %s\n\n", r.At.Format(time.RFC3339), r.Go, r.CPUs, runtime.GOOS, runtime.GOARCH,
		strings.Join(r.Load, " → "))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "subject\tmeasure\tbest\tp50 ms\tp99 ms\tn\trounds\ttarget\tmet\t")
	for _, x := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Subject, x.Measure, number(x.Value), x.Unit,
			unless(x.P50), unless(x.P99), unless(float64(x.N)), numbers(x.Rounds), x.Target, x.verdict(), x.Detail)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "\n"+n)
	}
	return nil
}

func (x Row) verdict() string {
	switch {
	case x.Met == nil:
		return ""
	case *x.Met:
		return "yes"
	}
	return "NO"
}

func unless(v float64) string {
	if v == 0 {
		return ""
	}
	return number(v)
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

// best joins the rows of several rounds: the computer may be shared, so the round
// that was disturbed least says most.
func best(rounds []Row, better func(a, b float64) bool) Row {
	b := rounds[0]
	var all []float64
	for _, r := range rounds {
		all = append(all, r.Value)
		if better(r.Value, b.Value) {
			b = r
		}
	}
	b.Rounds = all
	return b
}

func lower(a, b float64) bool  { return a < b }
func higher(a, b float64) bool { return a > b }
