package dimse

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

func TestD14SilentCaller(t *testing.T) {
	rq := dicomtest.Request(VerificationSOPClassUID).AppendTo(nil)
	for name, send := range map[string]int{"silent": 0, "one byte every 5 s": len(rq)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _, stop := startPipes(t, ServerConfig{})
				defer stop()
				p := pipe(t, l)
				start := time.Now()
				var sender sync.WaitGroup
				defer sender.Wait()
				sender.Go(func() {
					for i := range send {
						if _, err := p.Conn.Write(rq[i : i+1]); err != nil {
							return
						}
						time.Sleep(5 * time.Second)
					}
				})
				p.ExpectClosed()
				if d := time.Since(start); d != 30*time.Second {
					t.Error(d)
				}
			})
		})
	}
}

func TestD15Idle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan AssociationSummary, 1)
		l, _, stop := startPipes(t, ServerConfig{OnEnd: func(_ Peer, s AssociationSummary) { ended <- s }})
		defer stop()
		p := pipe(t, l)
		p.Associate(dicomtest.Request(VerificationSOPClassUID))
		time.Sleep(50 * time.Second)
		echo := CEchoRQ{MessageID: 1, AffectedSOPClassUID: VerificationSOPClassUID}.Command()
		p.Send(dicomtest.Message(1, echo.AppendTo(nil), nil))
		p.ExpectPart()
		start := time.Now()
		p.ExpectAbort(0, 0)
		if d := time.Since(start); d != 120*time.Second {
			t.Error(d)
		}
		p.ExpectClosed()
		if d := time.Since(start); d != 125*time.Second {
			t.Errorf("closed after %v", d)
		}
		if s := <-ended; s.Operations != 1 || s.Err == nil {
			t.Error(s)
		}
	})
}

func TestSlowPDUAndMessage(t *testing.T) {
	echo := CEchoRQ{MessageID: 1, AffectedSOPClassUID: VerificationSOPClassUID}.Command()
	set := echo.AppendTo(nil)
	tests := []struct {
		name  string
		bytes []byte
		want  time.Duration
	}{
		{"half a PDU", pdu.AppendFragments(nil, 1, true, set, 100)[:20], 30 * time.Second},
		{"half a message", pdu.AppendFragments(nil, 1, true, set, 20)[:26], 60 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _, stop := startPipes(t, ServerConfig{})
				defer stop()
				p := pipe(t, l)
				p.Associate(dicomtest.Request(VerificationSOPClassUID))
				time.Sleep(100 * time.Second)
				start := time.Now()
				p.SendBytes(tt.bytes)
				p.ExpectAbort(2, 0)
				if d := time.Since(start); d != tt.want {
					t.Error(d)
				}
				_ = p.Conn.Close()
			})
		})
	}
}

// A peer that does not read is dropped; one that reads a little at a time too,
// though later.
func TestPeerThatDoesNotRead(t *testing.T) {
	for name, tt := range map[string]struct {
		pause time.Duration
		want  time.Duration
	}{"not at all": {0, 30 * time.Second}, "a byte every 20 s": {20 * time.Second, 120 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan AssociationSummary, 1)
				l, _, stop := startPipes(t, ServerConfig{
					Services: map[string]any{mwlClass: matches(1000)}, OnEnd: func(_ Peer, s AssociationSummary) { ended <- s },
				})
				defer stop()
				p := pipe(t, l)
				p.Associate(dicomtest.Request(mwlClass))
				start := time.Now()
				beginFind(p, 1)
				if tt.pause > 0 {
					var reader sync.WaitGroup
					defer reader.Wait()
					reader.Go(func() {
						for b := make([]byte, 1); ; time.Sleep(tt.pause) {
							if _, err := p.Conn.Read(b); err != nil {
								return
							}
						}
					})
				}
				if s := <-ended; !errors.Is(s.Err, ul.ErrLost) || time.Since(start) != tt.want {
					t.Error(s.Err, time.Since(start))
				}
			})
		})
	}
}

func TestPanicInAuthorize(t *testing.T) {
	caught := make(chan any, 1)
	s, addr := startServer(t, ServerConfig{
		Authorize: func(context.Context, AssociateInfo) (Grant, *Reject) { panic("a mistake") },
		OnPanic:   func(_ Peer, value any, _ []byte) { caught <- value },
	})
	p := connect(t, addr)
	p.Send(dicomtest.Request(VerificationSOPClassUID))
	p.ExpectClosed()
	if v := <-caught; v != "a mistake" || s.Stats().Open != 0 {
		t.Error(v, s.Stats())
	}
}
