package dicomsim_test

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// answers is what our own server does about each misbehaviour.
var answers = map[dicomsim.Kind]string{
	dicomsim.Silent:           `^closed`,
	dicomsim.SlowLoris:        `^closed|A-ABORT|A-ASSOCIATE-AC`,
	dicomsim.HalfPDU:          `^closed|A-ABORT`,
	dicomsim.HugeLength:       `^closed|A-ABORT`,
	dicomsim.HugeData:         `^closed|A-ABORT`,
	dicomsim.Garbage:          `^closed|A-ABORT`,
	dicomsim.HTTP:             `^closed|A-ABORT`,
	dicomsim.WrongCalledAE:    `^A-ASSOCIATE-RJ 1,1,7$`,
	dicomsim.UnknownCallingAE: `^A-ASSOCIATE-RJ 1,1,3$`,
	dicomsim.DataFirst:        `^closed|A-ABORT`,
	dicomsim.Flood:            `^\d+ accepted, [1-9]\d* refused$`,
	dicomsim.NeverRelease:     `^closed|A-ABORT`,
	dicomsim.Vanish:           `^gone$`,
	dicomsim.AbortMidFind:     `^closed`,
	dicomsim.ReleaseMidFind:   `^A-RELEASE-RP|A-ABORT|closed`,
	dicomsim.UnreadAnswers:    `^closed|^nothing$`,
	dicomsim.BadContext:       `^closed|A-ABORT`,
	dicomsim.EmptyFragments:   `^closed|A-ABORT`,
	dicomsim.GarbageFind:      `^status A900$`,
	dicomsim.GarbageReport:    `^status 0110$`,
	dicomsim.DeepReport:       `^status 0213$`,
	dicomsim.DuplicateCreate:  `^status 0111$`,
	dicomsim.SetTwice:         `^status 0110$`,
	dicomsim.SetUnknown:       `^status 0112$`,
	dicomsim.CreateCompleted:  `^status 0106$`,
	dicomsim.CreateWithoutUID: `^status 0000$`,
}

func TestMisbehave(t *testing.T) {
	for _, kind := range dicomsim.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			h := open(t)
			m := h.machine(t, nil)
			heard, err := m.Misbehave(t.Context(), kind)
			if err != nil {
				t.Fatal(err)
			}
			want, ok := answers[kind]
			if !ok || !regexp.MustCompile(want).MatchString(heard) {
				t.Errorf("heard %q, want %s", heard, want)
			}
			if kind == dicomsim.Flood {
				return // its associations may still count
			}
			// Whatever happened, the next one is served.
			if _, err := m.Worklist(t.Context(), query.Keys{}); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestMisbehaveIsBounded(t *testing.T) {
	h := open(t)
	m := h.machine(t, func(c *dicomsim.Config) { c.Patience = 20 * time.Millisecond })
	for _, kind := range []dicomsim.Kind{dicomsim.Silent, dicomsim.SlowLoris, dicomsim.NeverRelease, dicomsim.HalfPDU} {
		if heard, err := m.Misbehave(t.Context(), kind); err != nil || heard != "nothing" {
			t.Errorf("%s: %q, %v", kind, heard, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Misbehave(ctx, dicomsim.Silent); err == nil {
		t.Error("no error after the end of the context")
	}
	if _, err := m.Misbehave(t.Context(), "dance"); err == nil {
		t.Error("an unknown kind was done")
	}
}

func TestMisbehaveNobodyListens(t *testing.T) {
	h := open(t)
	m := h.machine(t, func(c *dicomsim.Config) { c.Address = "127.0.0.1:1" })
	for _, kind := range dicomsim.Kinds() {
		if _, err := m.Misbehave(t.Context(), kind); err == nil {
			t.Errorf("%s: no error", kind)
		}
	}
}
