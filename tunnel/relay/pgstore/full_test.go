package pgstore

import (
	"testing"
	"time"
)

// A relay that hears "full" refuses events before they reach the store, so the store has to forget by itself.
func TestFullIsForgotten(t *testing.T) {
	var s Store
	now := time.Now()
	if s.showsFull(now) {
		t.Error("full before anything was tried")
	}
	s.full.Store(now.UnixNano())
	if !s.showsFull(now.Add(time.Second)) {
		t.Error("not full after a failure")
	}
	if s.showsFull(now.Add(fullShown)) {
		t.Error("full for ever")
	}
}
