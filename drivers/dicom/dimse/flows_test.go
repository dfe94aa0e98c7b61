package dimse

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
)

// flowFinder answers with two items, or, for a query that asks for accession
// number CANCEL, with one and then waits for the C-CANCEL.
var flowFinder = finderFunc(func(ctx context.Context, r *Request, answers *Answers) error {
	item := []byte("\x08\x00\x50\x00SH\x04\x001001\x10\x00\x10\x00PN\x06\x00Bella ")
	if r.TransferSyntaxUID == ImplicitVRLittleEndian {
		item = []byte("\x08\x00\x50\x00\x04\x00\x00\x001001\x10\x00\x10\x00\x06\x00\x00\x00Bella ")
	}
	if err := answers.Send(item, Pending); err != nil {
		return err
	}
	if string(r.Data[len(r.Data)-6:]) != "CANCEL" {
		return answers.Send(item, Pending)
	}
	if err := answers.Flush(); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
})

func flowServer() ServerConfig {
	return ServerConfig{AETitle: "RAYHOUND", Services: map[string]any{mwlClass: flowFinder}}
}

// Every recorded conversation goes the same way again, byte for byte.
func TestFlows(t *testing.T) {
	files, err := filepath.Glob("testdata/flows/*.flow")
	if err != nil || len(files) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close() // only read
			flows, err := dicomtest.ParseFlows(f)
			if err != nil || len(flows) < 2 {
				t.Fatal(len(flows), err)
			}
			_, addr := startServer(t, flowServer())
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			dicomtest.Replay(t, conn, flows)
		})
	}
}
