package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
)

// usual is what a console asks for: 31 keys, those of the step marked.
var usual = strings.Fields(`
AccessionNumber ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex PatientWeight
MedicalAlerts Allergies PregnancyStatus PatientSpeciesDescription PatientBreedDescription ResponsiblePerson
StudyInstanceUID RequestingPhysician RequestedProcedureDescription RequestedProcedureCodeSequence AdmissionID
CurrentPatientLocation RequestedProcedureID RequestedProcedurePriority
step:Modality step:ScheduledStationAETitle step:ScheduledProcedureStepStartDate step:ScheduledProcedureStepStartTime
step:ScheduledPerformingPhysicianName step:ScheduledProcedureStepDescription step:ScheduledProtocolCodeSequence
step:ScheduledProcedureStepID step:ScheduledStationName step:ScheduledProcedureStepLocation`)

// identifier builds a query of keys, in implicit VR, with values written "Keyword=value" or "step:Keyword=value".
func identifier(keys []string, values ...string) []byte {
	cs := dataset.Latin1
	b, step := dataset.NewBuilder(dataset.ImplicitLE, cs).Charset(), dataset.NewBuilder(dataset.ImplicitLE, cs)
	for _, k := range keys {
		in, value := b, ""
		for _, v := range values {
			if name, val, _ := strings.Cut(v, "="); name == k {
				value = val
			}
		}
		name, ofStep := strings.CutPrefix(k, "step:")
		if ofStep {
			in = step
		}
		tag, _ := dataset.TagByKeyword(name)
		switch {
		case dataset.VROf(tag) == dataset.SQ:
			in.Seq(tag)
		case value == "":
			in.Empty(tag)
		default:
			in.Text(tag, value)
		}
	}
	b.Seq(dataset.ScheduledProcedureStepSequence, step)
	raw, err := b.Bytes()
	if err != nil {
		panic(err) // the keys are constants
	}
	return raw
}

// cell is one kind of query. ask returns what the i-th caller asks, and as whom.
type cell struct {
	name    string
	matches int
	limit   float64 // target, ms
	ask     func(i int) (title string, identifier []byte)
}

// cells are the three queries of the table of targets, for a list of n steps.
func cells(n int) []cell {
	today := noon().Format("20060102")
	perRoom := 0
	for i := range n {
		if room(i) == 0 && i/rooms%days == days/2 {
			perRoom++
		}
	}
	return []cell{
		{"1 match by accession", 1, 0.5, func(i int) (string, []byte) {
			i = i * 37 % n
			return roomTitle(room(i)), identifier(usual, "AccessionNumber="+accessionOf(i))
		}},
		{fmt.Sprintf("today and my AE title, %d matches", perRoom), perRoom, 1.5, func(i int) (string, []byte) {
			t := roomTitle(i % rooms)
			return t, identifier(usual, "step:ScheduledStationAETitle="+t, "step:ScheduledProcedureStepStartDate="+today)
		}},
		{fmt.Sprintf("all %d", n), n, 80, func(int) (string, []byte) { return allTitle, identifier(usual) }},
	}
}

// target is a worklist server.
type target struct {
	name, title, address string
	from                 net.IP // address to call from; nil: any
}

// associateFindRelease is what a console does every minute. It returns the
// number of matches; each, if set, sees them.
func (t target) associateFindRelease(ctx context.Context, as string, id []byte, each func([]byte) error) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cfg := dimse.ClientConfig{
		Address: t.address, CallingAETitle: as, CalledAETitle: t.title,
		Contexts: []dimse.ProposedContext{{AbstractSyntax: mwl.SOPClass, TransferSyntaxes: []string{dataset.ImplicitLE.UID()}}},
	}
	if t.from != nil {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: t.from}, KeepAlive: -1}
		cfg.Dial = func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
	}
	client, err := dimse.Dial(ctx, cfg)
	if err != nil {
		return 0, err
	}
	n := 0
	for a, err := range client.Find(ctx, mwl.SOPClass, id) {
		if err == nil && each != nil {
			err = each(a.Data)
		}
		if err != nil {
			_ = client.Abort() // the first error is the one to report
			return n, err
		}
		n++
	}
	return n, client.Release(ctx)
}

// sample asks one after the other: at least least times and at most most, for
// at most limit.
func (t target) sample(ctx context.Context, c cell, least, most int, limit time.Duration) (samples, error) {
	var s samples
	for began := time.Now(); len(s) < most && (len(s) < least || time.Since(began) < limit); {
		title, id := c.ask(len(s))
		at := time.Now()
		n, err := t.associateFindRelease(ctx, title, id, nil)
		if err != nil {
			return s, fmt.Errorf("%s: %s: %w", t.name, c.name, err)
		}
		s = append(s, time.Since(at))
		if c.matches >= 0 && n != c.matches {
			return s, fmt.Errorf("%s: %s: %d matches, not %d", t.name, c.name, n, c.matches)
		}
	}
	return s, nil
}

// throughput lets clients ask at the same time and returns associations per second.
func (t target) throughput(ctx context.Context, c cell, clients int, limit time.Duration) (row, error) {
	type result struct {
		n   int
		err error
	}
	results := make(chan result, clients)
	began := time.Now()
	for k := range clients {
		go func() {
			var r result
			for r.err == nil && time.Since(began) < limit {
				title, id := c.ask(k*1009 + r.n)
				if _, r.err = t.associateFindRelease(ctx, title, id, nil); r.err == nil {
					r.n++
				}
			}
			results <- r
		}()
	}
	sum := 0
	var err error
	for range clients {
		r := <-results
		sum += r.n
		if err == nil && r.err != nil {
			err = fmt.Errorf("%s: %d clients: %w", t.name, clients, r.err)
		}
	}
	return row{
		Subject: t.name, Measure: fmt.Sprintf("%d clients, by accession", clients),
		Value: float64(sum) / time.Since(began).Seconds(), Unit: "assoc/s", N: sum,
	}, err
}
