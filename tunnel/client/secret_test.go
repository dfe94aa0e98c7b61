package client_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The address of a webhook is a secret: a test event that fails does not tell it, neither on the page nor in the log.
func TestFailedTestEventTellsNoAddress(t *testing.T) {
	s := newSite(t, time.Unix(0, 0), far)
	broken := listen(t, nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	s.cfg.TestURL = "http://" + broken + "/in/vjsqgqyyzmpn3pmdkzbvphrxs7a2ezlq"
	steps := s.check(t)
	last := steps[len(steps)-1]
	if last.OK || last.Problem == nil {
		t.Fatalf("%+v", last)
	}
	for _, text := range []string{last.Detail, last.Err.Error(), last.Problem.Sentence(), last.Problem.Error(), fmt.Sprintf("%+v", last)} {
		if strings.Contains(text, "vjsqgqyy") {
			t.Errorf("tells the address: %s", text)
		}
	}
}
