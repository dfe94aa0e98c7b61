package dimse

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// waiting is a finder that sends one answer and waits for its context.
func waiting(begun chan<- struct{}, ended chan<- error) Finder {
	return finderFunc(func(ctx context.Context, _ *Request, answers *Answers) error {
		if err := errors.Join(answers.Send(make([]byte, 10), Pending), answers.Flush()); err != nil {
			return err
		}
		begun <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return context.Cause(ctx)
	})
}

func beginFind(p *dicomtest.ScriptedPeer, id uint16) {
	find := CFindRQ{MessageID: id, AffectedSOPClassUID: mwlClass}.Command()
	p.Send(dicomtest.Message(1, find.AppendTo(nil), []byte{}))
}

func TestD19D20EndInTheMiddleOfAFind(t *testing.T) {
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	_, addr := startServer(t, ServerConfig{Services: map[string]any{mwlClass: waiting(begun, ended)}})
	start := func() *dicomtest.ScriptedPeer {
		p := connect(t, addr)
		p.Associate(dicomtest.Request(mwlClass))
		beginFind(p, 7)
		<-begun
		p.ExpectPart()
		p.ExpectPart()
		return p
	}
	t.Run("abort", func(t *testing.T) {
		p := start()
		p.Send(pdu.Abort{})
		var aborted *ul.AbortedError
		if err := <-ended; !errors.As(err, &aborted) || !aborted.ByPeer {
			t.Error(err)
		}
		p.ExpectClosed()
	})
	t.Run("lost", func(t *testing.T) {
		p := start()
		_ = p.Conn.Close()
		if err := <-ended; !errors.Is(err, ul.ErrLost) {
			t.Error(err)
		}
	})
	t.Run("release", func(t *testing.T) {
		p := start()
		p.Send(pdu.ReleaseRQ{})
		if err := <-ended; !errors.Is(err, ul.ErrReleased) {
			t.Error(err)
		}
		p.Expect(pdu.TypeReleaseRP)
	})
	t.Run("cancel", func(t *testing.T) {
		p := start()
		for _, id := range []uint16{6, 7} { // the first is stray
			c := CCancelRQ{RespondedTo: id}.Command()
			p.Send(dicomtest.Message(1, c.AppendTo(nil), nil))
		}
		if err := <-ended; !errors.Is(err, ErrCancelled) {
			t.Error(err)
		}
		expectStatus(t, p, Cancel)
		p.Release()
	})
}

// expectStatus expects a response without data set.
func expectStatus(t *testing.T, p *dicomtest.ScriptedPeer, want uint16) Command {
	t.Helper()
	_, command, part := p.ExpectPart()
	var c Command
	if err := c.Decode(part); err != nil || !command || c.Status != want || c.HasDataSet() {
		t.Fatalf("%+v, %v; want status %04X", c, err, want)
	}
	return c
}

func TestD22Shutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, ended := make(chan struct{}, 1), make(chan error, 1)
		l, _, stop := startPipes(t, ServerConfig{Services: map[string]any{mwlClass: waiting(begun, ended)}})
		p := pipe(t, l)
		p.Associate(dicomtest.Request(mwlClass))
		beginFind(p, 1)
		p.ExpectPart()
		p.ExpectPart()
		<-begun
		start := time.Now()
		stopped := make(chan struct{})
		go func() { stop(); close(stopped) }()
		synctest.Wait()
		late := pipe(t, l)
		late.Send(dicomtest.Request(mwlClass))
		late.ExpectReject(2, 3, 1)
		_ = late.Conn.Close()
		p.ExpectAbort(0, 0)
		if d := time.Since(start); d != 5*time.Second {
			t.Error(d)
		}
		if err := <-ended; !errors.Is(err, ErrShutdown) {
			t.Error(err)
		}
		p.ExpectClosed()
		<-stopped
	})
}
