package query_test

import (
	"context"
	"net"
	"testing"

	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// serve runs a DICOM server named PEER on loopback for the time of the test
// and returns how to reach it.
func serve(t *testing.T, services map[string]any) query.Target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := dimse.NewServer(dimse.ServerConfig{AETitle: "PEER", Services: services})
	go func() { done <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return query.Target{CalledAETitle: "PEER", Address: ln.Addr().String(), CallingAETitle: "US"}
}

// finder is a dimse.Finder made of a function.
type finder func(ctx context.Context, r *dimse.Request, answers *dimse.Answers) error

func (f finder) Find(ctx context.Context, r *dimse.Request, answers *dimse.Answers) error {
	return f(ctx, r, answers)
}
