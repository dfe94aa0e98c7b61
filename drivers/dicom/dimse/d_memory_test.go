package dimse

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dicomtest"
	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

func TestD32DataLimits(t *testing.T) {
	never := func(context.Context, *Request) (Response, error) {
		t.Error("called")
		return Response{}, nil
	}
	_, addr := startServer(t, ServerConfig{Services: map[string]any{
		mwlClass: mirror, mppsClass: Service{Handler: steps{never, never}, MaxDataSet: 1000},
	}})
	p := associated(t, addr)
	find := CFindRQ{MessageID: 4, AffectedSOPClassUID: mwlClass}.Command()
	create := NCreateRQ{MessageID: 2, AffectedSOPClassUID: mppsClass, HasAttributes: true}.Command()
	p.SendBytes(pdu.AppendFragments(dicomtest.Message(1, find.AppendTo(nil), nil).AppendTo(nil), 1, false, make([]byte, 256<<10+2), 65536))
	expectStatus(t, p, OutOfResources)
	p.Send(dicomtest.Message(3, create.AppendTo(nil), make([]byte, 1002)))
	expectStatus(t, p, ResourceLimitation)
	p.SendBytes(pdu.AppendFragments(dicomtest.Message(1, find.AppendTo(nil), nil).AppendTo(nil), 1, false, make([]byte, 256<<10), 65536))
	p.ExpectPart()
	if _, _, data := p.ExpectPart(); len(data) != 256<<10 {
		t.Error(len(data))
	}
	expectStatus(t, p, Success)
	p.Release()
}

func TestMemoryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s, stop := startPipes(t, ServerConfig{
			Services: map[string]any{mppsClass: steps{}}, Limits: Limits{Memory: 1 << 20},
		})
		defer stop()
		create := NCreateRQ{MessageID: 2, AffectedSOPClassUID: mppsClass, HasAttributes: true}.Command()
		first := dicomtest.Message(1, create.AppendTo(nil), nil).AppendTo(nil)
		open := func() *dicomtest.ScriptedPeer {
			p := pipe(t, l)
			p.Associate(dicomtest.Request(mppsClass))
			p.SendBytes(first)
			return p
		}
		hog := open() // takes most of the budget and does not go on
		for range 12 {
			hog.SendBytes((&pdu.PDataTF{Values: []pdu.PDV{{ContextID: 1, Data: make([]byte, 65530)}}}).AppendTo(nil))
		}
		p := open()
		start := time.Now()
		p.SendBytes(pdu.AppendFragments(nil, 1, false, make([]byte, 1<<20), 65536))
		expectStatus(t, p, ResourceLimitation)
		if d := time.Since(start); d != 10*time.Second {
			t.Error(d)
		}
		p.Release()
		_ = hog.Conn.Close()
		synctest.Wait()
		if s.budget.left != 1<<20 {
			t.Errorf("%d bytes left", s.budget.left)
		}
	})
}

func TestD32SixtyFourHostileConnections(t *testing.T) {
	_, addr := startServer(t, ServerConfig{
		Services: map[string]any{mppsClass: steps{}},
		Limits:   Limits{PerMachine: 64, Memory: 8 << 20, MemoryWait: 10 * time.Millisecond},
	})
	create := NCreateRQ{MessageID: 2, AffectedSOPClassUID: mppsClass, HasAttributes: true}.Command()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	part := (&pdu.PDataTF{Values: []pdu.PDV{{ContextID: 1, Data: make([]byte, 65530)}}}).AppendTo(nil)
	peers := make([]*dicomtest.ScriptedPeer, 64)
	for i := range peers {
		p := connect(t, addr)
		p.Associate(dicomtest.Request(mppsClass))
		p.SendBytes(dicomtest.Message(1, create.AppendTo(nil), nil).AppendTo(nil))
		for range 20 { // 1.3 MiB each
			p.SendBytes(part)
		}
		peers[i] = p
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := int64(after.HeapInuse) - int64(before.HeapInuse); n > 40<<20 {
		t.Errorf("%d MiB in use", n>>20)
	}
	for _, p := range peers {
		_ = p.Conn.Close()
	}
}
