package mwl

import (
	"context"
	"net"
	"testing"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// serve answers a list on a loopback port until the test ends.
func serve(t testing.TB, svc *Service) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := dimse.NewServer(dimse.ServerConfig{
		AETitle: "RAYHOUND", Services: map[string]any{SOPClass: svc}, Limits: dimse.Limits{Answers: 20_000},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// associate, find, release: what a console does every minute.
func associateAndFind(ctx context.Context, address, title string, syntax dataset.Syntax, id []byte, each func(dimse.FindAnswer) bool) (int, error) {
	client, err := dimse.Dial(ctx, dimse.ClientConfig{
		Address: address, CallingAETitle: title, CalledAETitle: "RAYHOUND",
		Contexts: []dimse.ProposedContext{{AbstractSyntax: SOPClass, TransferSyntaxes: []string{syntax.UID()}}},
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for a, err := range client.Find(ctx, SOPClass, id) {
		if err != nil {
			_ = client.Abort()
			return n, err
		}
		if n++; each != nil && !each(a) {
			break
		}
	}
	return n, client.Release(ctx)
}

func TestLoopback(t *testing.T) {
	c := newClinic(t, machines(), many(500)...)
	address := serve(t, NewService(ServiceConfig{List: c.list}))
	for _, syntax := range []dataset.Syntax{dataset.ImplicitLE, dataset.ExplicitLE} {
		var bad error
		n, err := associateAndFind(t.Context(), address, "DR1", syntax, everything(t, syntax), func(a dimse.FindAnswer) bool {
			_, bad = dataset.Parse(a.Data, syntax, dataset.Limits{})
			return bad == nil && a.Status == dimse.Pending
		})
		if n != 500 || err != nil || bad != nil {
			t.Fatal(syntax, n, err, bad)
		}
	}
	// The console stops reading at its own maximum (D50).
	if n, err := associateAndFind(t.Context(), address, "DR1", dataset.ImplicitLE, everything(t, dataset.ImplicitLE), func(dimse.FindAnswer) bool { return false }); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	// An identifier that cannot be read: A900, and the association lives (D52).
	client, err := dimse.Dial(t.Context(), dimse.ClientConfig{
		Address: address, CallingAETitle: "DR1", CalledAETitle: "RAYHOUND",
		Contexts: []dimse.ProposedContext{{AbstractSyntax: SOPClass, TransferSyntaxes: []string{dataset.ImplicitLE.UID()}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range client.Find(t.Context(), SOPClass, []byte("xx")) {
		if st, _ := dimse.StatusOf(err); st.Code != dimse.IdentifierMismatch {
			t.Error(err)
		}
	}
	n := 0
	for _, err := range client.Find(t.Context(), SOPClass, keys(t, dataset.ImplicitLE, dataset.UTF8, "AccessionNumber=1001")) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if err := client.Release(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// BenchmarkAssociation is connect, associate, C-FIND, release over loopback.
func BenchmarkAssociation(b *testing.B) {
	ms, orders := big()
	c := newClinic(b, ms, orders...)
	address := serve(b, NewService(ServiceConfig{List: c.list}))
	for _, cell := range cells(b) {
		if n, err := associateAndFind(b.Context(), address, cell.title, dataset.ImplicitLE, cell.id, nil); n != cell.matches || err != nil {
			b.Fatal(n, err)
		}
		b.Run(cell.name, func(b *testing.B) {
			for b.Loop() {
				if n, err := associateAndFind(b.Context(), address, cell.title, dataset.ImplicitLE, cell.id, nil); n != cell.matches || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
	b.Run("eight clients", func(b *testing.B) {
		cell := cells(b)[0]
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := associateAndFind(b.Context(), address, cell.title, dataset.ImplicitLE, cell.id, nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
