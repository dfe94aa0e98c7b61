package dimse

import (
	"context"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// Whatever follows an association request, the server neither panics nor hangs
// nor keeps anything.
func FuzzConversation(f *testing.F) {
	var find []byte
	for _, c := range requests() {
		var data []byte
		if c.HasDataSet() {
			data = []byte("data")
		}
		m := dicomtest.Message(1, c.AppendTo(nil), data)
		f.Add(m.AppendTo(nil))
		if c.Field == cFindRQ {
			find = m.AppendTo(nil)
		}
	}
	f.Add(pdu.ReleaseRQ{}.AppendTo(find))
	f.Add(append(append([]byte(nil), find...), find...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	cancelled := CCancelRQ{RespondedTo: 2}.Command()
	f.Add(dicomtest.Message(1, cancelled.AppendTo(nil), nil).AppendTo(find))

	answer := func(_ context.Context, r *Request) (Response, error) { return Response{Data: r.Data}, nil }
	f.Fuzz(func(t *testing.T, b []byte) {
		l := dicomtest.NewPipeListener()
		s := NewServer(ServerConfig{
			Services: map[string]any{mwlClass: mirror, mppsClass: steps{answer, answer}},
			OnPanic:  func(_ Peer, value any, stack []byte) { t.Errorf("%v\n%s", value, stack) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx, l) }()
		conn, err := l.Dial()
		if err != nil {
			t.Fatal(err)
		}
		drained := make(chan struct{})
		p := dicomtest.NewPeer(t, conn)
		p.Associate(dicomtest.Request(mwlClass, mppsClass))
		go func() {
			defer close(drained)
			p.Drain()
		}()
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(b)
		_ = conn.Close()
		<-drained
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if st := s.Stats(); st.Open != 0 || st.Connections != 0 || s.budget.left != s.lim.Memory {
			t.Errorf("%+v, %d bytes left", st, s.budget.left)
		}
	})
}
