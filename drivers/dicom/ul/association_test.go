package ul

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const verification = "1.2.840.10008.1.1"

func everything(string) bool { return true }

// accepted returns an association we have accepted, and its peer.
func accepted(t *testing.T) (*Association, *dicomtest.ScriptedPeer) {
	t.Helper()
	client, server := net.Pipe()
	p := dicomtest.NewPeer(t, client)
	done := make(chan *Association, 1)
	go func() {
		acceptor := Acceptor{Offers: everything}
		a, err := acceptor.Accept(context.Background(), server)
		if err != nil {
			t.Error(err)
		}
		done <- a
	}()
	p.Associate(dicomtest.Request(verification))
	return <-done, p
}

// D20: the acceptor asks to release and so does the peer: the requestor answers
// first (PS3.8 7.2.2: Sta7, Sta10, Sta12, Sta13).
func TestReleaseCollisionAsAcceptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := accepted(t)
		done := make(chan error, 1)
		go func() {
			err := a.Release(time.Now().Add(5 * time.Second))
			a.Finish()
			done <- err
		}()
		p.Expect(pdu.TypeReleaseRQ)
		p.Send(pdu.ReleaseRQ{})
		synctest.Wait()
		if s := a.State(); s != Sta10 {
			t.Error(s)
		}
		p.Send(pdu.ReleaseRP{})
		p.Expect(pdu.TypeReleaseRP)
		_ = p.Conn.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Data that is under way when we ask to release is dropped (AR-6).
func TestDataAfterReleaseRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := accepted(t)
		done := make(chan error, 1)
		go func() { done <- a.Release(time.Now().Add(5 * time.Second)) }()
		p.Expect(pdu.TypeReleaseRQ)
		p.SendBytes(pdu.AppendFragments(nil, 1, true, make([]byte, 10), 100))
		p.Send(pdu.ReleaseRP{})
		if err := <-done; err != nil {
			t.Error(err)
		}
		a.Finish()
		p.ExpectClosed()
	})
}

// After our A-ABORT the peer has five seconds to close, whatever it sends.
func TestAfterAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, p := accepted(t)
		start := time.Now()
		why := errors.New("reason")
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := a.Abort(pdu.AbortByUser, 0, why); !errors.Is(err, why) {
				t.Error(err)
			}
			if _, err := a.Next(); !errors.Is(err, why) {
				t.Error(err)
			}
			if err := a.Write(nil); !errors.Is(err, why) {
				t.Error(err)
			}
			a.Finish()
		}()
		p.ExpectAbort(0, 0)
		p.SendBytes(pdu.AppendFragments(nil, 1, true, make([]byte, 10), 100))
		p.Send(dicomtest.Request(verification), pdu.ReleaseRQ{})
		p.ExpectClosed()
		<-done
		if d := time.Since(start); d != 5*time.Second {
			t.Error(d)
		}
	})
}

func TestInterruptWhileAccepting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close() // a pipe
		why := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			time.Sleep(time.Second)
			cancel(why)
		}()
		acceptor := Acceptor{Offers: everything}
		if _, err := acceptor.Accept(ctx, server); !errors.Is(err, why) {
			t.Error(err)
		}
	})
}

// A long request takes memory from a shared reserve and gives it back.
func TestLongRequest(t *testing.T) {
	for _, enough := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			p := dicomtest.NewPeer(t, client)
			taken := 0
			acceptor := Acceptor{
				Offers:    everything,
				Reserve:   func(n int) bool { taken += n; return enough },
				Unreserve: func(n int) { taken -= n },
			}
			done := make(chan error, 1)
			go func() {
				a, err := acceptor.Accept(context.Background(), server)
				if err == nil {
					_, err = a.Next()
					a.Finish()
				}
				done <- err
			}()
			rq := dicomtest.Request()
			for i := range 128 {
				c := pdu.ProposedContext{ID: byte(2*i + 1), AbstractSyntax: verification}
				for range 64 {
					c.TransferSyntaxes = append(c.TransferSyntaxes, "1.2.840.10008.1.2")
				}
				rq.Contexts = append(rq.Contexts, c)
			}
			if !enough {
				_, _ = client.Write(rq.AppendTo(nil))
				p.ExpectClosed()
				<-done
				return
			}
			ac := p.Associate(rq)
			synctest.Wait()
			if len(ac.Contexts) != 128 || taken != 0 {
				t.Error(len(ac.Contexts), taken)
			}
			_ = client.Close()
			if err := <-done; !errors.Is(err, ErrLost) {
				t.Error(err)
			}
		})
	}
}
