package client

import (
	"testing"
	"time"
)

func TestSleptBetween(t *testing.T) {
	for name, row := range map[string]struct {
		mono, wall time.Duration
		want       bool
	}{
		"awake":               {watchEvery, watchEvery, false},
		"a busy computer":     {watchEvery + 2*time.Second, watchEvery + 2*time.Second, false},
		"monotonic stood":     {watchEvery, time.Hour, true},
		"monotonic went on":   {time.Hour, time.Hour, true},
		"clock set back":      {watchEvery, -time.Hour, true},
		"clock set a second ": {watchEvery, watchEvery + time.Second, false},
	} {
		if got := slept(row.mono, row.wall); got != row.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if now := time.Now(); sleptBetween(now, now.Add(watchEvery)) {
		t.Error("awake")
	}
}
