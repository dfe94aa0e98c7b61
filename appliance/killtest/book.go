package main

import (
	"fmt"
	"sync"

	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/ui"
)

// book is what was seen from outside during the whole run. It is safe for
// concurrent use.
type book struct {
	mu         sync.Mutex
	studies    map[string]string // accession number -> study UID
	accessions map[string]string // study UID -> accession number
	procedures map[string]string // accession number -> requested procedure id
	steps      map[string]string // step id -> accession number
	orders     map[string]string // Provet's id -> accession number
	seen       map[string]bool   // accession numbers that somebody saw
	acks       []ack
	hints      int // acknowledged
	queries    int // answered worklist queries
	refused    map[string]int
	arrivals   map[string]int
	violations []string
	known      map[string]bool
}

// ack is an MPPS message that was answered 0000.
type ack struct {
	accession string
	step      string
	uid       string // of the performed procedure step
	event     string // as in the ledger
}

func newBook() *book {
	return &book{
		studies: map[string]string{}, accessions: map[string]string{}, procedures: map[string]string{}, steps: map[string]string{},
		orders: map[string]string{}, seen: map[string]bool{}, refused: map[string]int{}, known: map[string]bool{},
	}
}

// violate notes something that must not happen, once.
func (b *book) violate(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(fmt.Sprintf(format, args...))
}

func (b *book) note(text string) {
	if !b.known[text] {
		b.known[text] = true
		b.violations = append(b.violations, text)
	}
}

// same notes that key stood for value, and a violation when it stood for
// another one before. The caller holds mu.
func (b *book) same(m map[string]string, what, key, value string) {
	if key == "" || value == "" {
		b.note(fmt.Sprintf("identity: %s is empty: %q, %q", what, key, value))
		return
	}
	if old, ok := m[key]; ok && old != value {
		b.note(fmt.Sprintf("identity: %s of %s changed from %s to %s", what, key, old, value))
		return
	}
	m[key] = value
}

// entry notes one entry of a machine's worklist.
func (b *book) entry(e *query.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.identity(e.AccessionNumber, e.StudyInstanceUID, e.RequestedProcedureID)
	b.same(b.steps, "the order of step", e.ScheduledProcedureStepID, e.AccessionNumber)
}

func (b *book) identity(accession, study, procedure string) {
	b.seen[accession] = true
	b.same(b.studies, "the study UID", accession, study)
	b.same(b.accessions, "the accession number of study", study, accession)
	b.same(b.procedures, "the requested procedure id", accession, procedure)
}

// listed notes the orders that the API showed at one moment.
func (b *book) listed(orders []ui.Order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	provet, accession, study := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range orders {
		for _, x := range []struct {
			set map[string]bool
			key string
		}{{provet, o.ProvetID}, {accession, o.AccessionNumber}, {study, o.StudyInstanceUID}} {
			if x.set[x.key] {
				b.note(fmt.Sprintf("doubled: %s is there twice (order %s of Provet Cloud)", x.key, o.ProvetID))
			}
			x.set[x.key] = true
		}
		b.identity(o.AccessionNumber, o.StudyInstanceUID, o.RequestedProcedureID)
		b.same(b.orders, "the accession number of Provet's order", o.ProvetID, o.AccessionNumber)
		for _, s := range o.Steps {
			b.same(b.steps, "the order of step", s.ScheduledProcedureStepID, o.AccessionNumber)
		}
	}
}

// acked notes an MPPS message that was answered 0000.
func (b *book) acked(a ack) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acks = append(b.acks, a)
}

// refuse counts answers other than 0000.
func (b *book) refuse(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[what]++
}

func (b *book) hinted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hints++
}

func (b *book) queried() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queries++
}

func (b *book) broken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.violations)
}

func (b *book) ackCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.acks)
}

func (b *book) ackList() []ack {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]ack(nil), b.acks...)
}

// saw reports whether the order of that Provet id was ever seen. The accession
// number is Provet's id, because the clinic has no prefix.
func (b *book) saw(provetID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, listed := b.orders[provetID]
	return listed || b.seen[provetID]
}

// arrived notes the arrivals at the end, by reason.
func (b *book) arrived(reasons map[string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrivals = reasons
}
