// Package storetest states the contract of relay.Store and relay.Registry as tests. Every store runs the same. It is never
// shipped.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/rayhound/rayhound/tunnel/relay"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// Store is what a store implements.
type Store interface {
	relay.Store
	relay.Registry
	Close() error
}

// Suite says how to make the store under test.
type Suite struct {
	// New makes an empty database and returns a function that opens it, again after Close too.
	New func(t testing.TB) (open func(t testing.TB) Store)
	// Nodes says that several may be open at once and hear each other's wake-ups.
	Nodes bool
	// Spoil makes the database of an open store refuse events of the kind "poison".
	Spoil func(t testing.TB, s Store)
}

// Start is a time for tests; it has microseconds.
var Start = time.Date(2026, 3, 2, 8, 30, 0, 123456000, time.UTC)

// Run runs the whole suite.
func Run(t *testing.T, s Suite) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s Suite)
	}{
		{"RoundTrip", testRoundTrip},
		{"Limits", testLimits},
		{"Unknown", testUnknown},
		{"OrderUnderConcurrency", testOrder},
		{"LateCommitter", testLateCommitter},
		{"NeverReused", testNeverReused},
		{"BatchFailureIsolates", testPoison},
		{"CancelledAppend", testCancelled},
		{"AfterLimits", testAfterLimits},
		{"Claim", testClaim},
		{"ClaimRace", testClaimRace},
		{"Ack", testAck},
		{"AckSurvivesClose", testAckClose},
		{"OwnedAndPending", testOwned},
		{"StoreEpoch", testStoreEpoch},
		{"ExpireAcked", testExpireAcked},
		{"ExpireAge", testExpireAge},
		{"ExpireCount", testExpireCount},
		{"ExpireBytes", testExpireBytes},
		{"ExpirePrefix", testExpirePrefix},
		{"ExpireBatches", testExpireBatches},
		{"Metadata", testMetadata},
		{"Hourly", testHourly},
		{"Rest", testExpireRest},
		{"Wake", testWake},
		{"Nodes", testNodes},
		{"Health", testHealth},
		{"Closed", testClosed},
		{"Clinics", testClinics},
		{"Changes", testChanges},
		{"ChangesRace", testChangesRace},
		{"URLs", testURLs},
		{"Agent", testAgent},
		{"Tokens", testTokens},
		{"Rotation", testRotation},
		{"Pairing", testPairing},
		{"PairingRace", testPairingRace},
		{"PairingTries", testPairingTries},
		{"PairAgain", testPairAgain},
		{"Revoke", testRevoke},
		{"History", testHistory},
		{"Notes", testNotes},
		{"Audit", testAudit},
		{"Notices", testNotices},
		{"MACKey", testMACKey},
		{"Restored", testRestored},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

// fresh opens an empty store with clinics of the given names, whose ids are the names.
func (s Suite) fresh(t testing.TB, clinics ...string) Store {
	t.Helper()
	st := s.New(t)(t)
	addClinics(t, st, clinics...)
	return st
}

func addClinics(t testing.TB, st Store, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, st.AddClinic(t.Context(), relay.Clinic{ID: wire.ClinicID(name), Name: "Clinic " + name, CreatedAt: Start}))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// got returns v unless there is an error.
func got[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// event returns one whose body tells n.
func event(n int) relay.Event {
	return relay.Event{
		ReceivedAt: Start.Add(time.Duration(n) * time.Microsecond), Kind: wire.KindTest,
		Header: []byte(`{"kind":"test"}`), Body: fmt.Appendf(nil, "event %d", n),
	}
}

func add(t testing.TB, st Store, c wire.ClinicID, n int) wire.Seq {
	t.Helper()
	return got(st.Append(t.Context(), c, event(n)))(t)
}

// addAt appends events received at a time and returns their numbers.
func addAt(t testing.TB, st Store, c wire.ClinicID, at time.Time, n, size int) []wire.Seq {
	t.Helper()
	out := make([]wire.Seq, n)
	for i := range n {
		out[i] = got(st.Append(t.Context(), c, relay.Event{ReceivedAt: at, Kind: wire.KindTest, Body: make([]byte, size)}))(t)
	}
	return out
}

func claim(t testing.TB, st Store, c wire.ClinicID, node relay.NodeID) relay.Claim {
	t.Helper()
	return got(st.Claim(t.Context(), c, relay.Claimant{Node: node, Instance: "i-" + wire.InstanceID(node), Run: "r1", Transport: "websocket", Version: "1.0", At: Start}))(t)
}

// all reads a mailbox from its beginning, over announced holes.
func all(t testing.TB, st Store, c wire.ClinicID) []relay.Event {
	t.Helper()
	var out []relay.Event
	for from := got(st.Mailbox(t.Context(), c))(t).RemovedTo; ; {
		part := got(st.After(t.Context(), c, from, 1000, 1<<20))(t)
		if len(part) == 0 {
			return out
		}
		out = append(out, part...)
		from = part[len(part)-1].Seq
	}
}

func numbers(events []relay.Event) []wire.Seq {
	out := make([]wire.Seq, len(events))
	for i, e := range events {
		out[i] = e.Seq
	}
	return out
}

func sameEvent(a, b relay.Event) bool {
	return a.ReceivedAt.Equal(b.ReceivedAt) && a.Kind == b.Kind && bytes.Equal(a.Header, b.Header) && bytes.Equal(a.Body, b.Body)
}

func secret(text string) relay.SecretHash { return sha256.Sum256([]byte(text)) }

// eventually asks until ok, for at most ten seconds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		}
	}
}
