// Package dicomtest helps to test the DICOM packages: a peer that follows a
// script, a connection that fails, and recordings of conversations.
package dicomtest

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// patience is how long a scripted peer waits for what it expects.
const patience = 150 * time.Second

// PDU is anything that can be sent.
type PDU interface{ AppendTo(b []byte) []byte }

// ScriptedPeer is one end of a connection that sends what it is told and
// expects what it is told. It fails the test when something else arrives.
type ScriptedPeer struct {
	Conn   net.Conn
	tb     testing.TB
	reader pdu.Reader
	rest   []byte
}

// NewPeer returns a peer on conn, which is closed when the test ends.
func NewPeer(tb testing.TB, conn net.Conn) *ScriptedPeer {
	p := &ScriptedPeer{Conn: conn, tb: tb}
	p.reader.Source = conn
	for t := range p.reader.Limits {
		p.reader.Limits[t] = 1 << 20
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return p
}

// Send sends PDUs in one write.
func (p *ScriptedPeer) Send(units ...PDU) {
	p.tb.Helper()
	var b []byte
	for _, u := range units {
		b = u.AppendTo(b)
	}
	p.SendBytes(b)
}

// SendBytes sends b as it is.
func (p *ScriptedPeer) SendBytes(b []byte) {
	p.tb.Helper()
	_ = p.Conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := p.Conn.Write(b); err != nil {
		p.tb.Errorf("send: %v", err)
	}
}

// Receive returns the next PDU.
func (p *ScriptedPeer) Receive() (pdu.Type, []byte, error) {
	_ = p.Conn.SetReadDeadline(time.Now().Add(patience))
	return p.reader.Next()
}

// Expect returns the body of the next PDU, which must be a t.
func (p *ScriptedPeer) Expect(t pdu.Type) []byte {
	p.tb.Helper()
	got, body, err := p.Receive()
	if err != nil || got != t {
		p.tb.Fatalf("got %v % x, %v; want %v", got, body, err, t)
	}
	return body
}

// ExpectReject expects an A-ASSOCIATE-RJ.
func (p *ScriptedPeer) ExpectReject(result, source, reason byte) {
	p.tb.Helper()
	var got pdu.AssociateRJ
	if err := got.Decode(p.Expect(pdu.TypeAssociateRJ)); err != nil || got != (pdu.AssociateRJ{Result: result, Source: source, Reason: reason}) {
		p.tb.Fatalf("got %v, %v; want RJ %d,%d,%d", got, err, result, source, reason)
	}
}

// ExpectAbort expects an A-ABORT.
func (p *ScriptedPeer) ExpectAbort(source, reason byte) {
	p.tb.Helper()
	var got pdu.Abort
	if err := got.Decode(p.Expect(pdu.TypeAbort)); err != nil || got != (pdu.Abort{Source: source, Reason: reason}) {
		p.tb.Fatalf("got %v, %v; want A-ABORT %d,%d", got, err, source, reason)
	}
}

// ExpectClosed expects that nothing but the end of the connection follows.
func (p *ScriptedPeer) ExpectClosed() {
	p.tb.Helper()
	t, body, err := p.Receive()
	var netErr net.Error
	if err == nil || errors.As(err, &netErr) && netErr.Timeout() {
		p.tb.Fatalf("got %v % x, %v; want the end of the connection", t, body, err)
	}
}

// Request returns an ordinary A-ASSOCIATE-RQ from DR1 to RAYHOUND that proposes
// the abstract syntaxes under ids 1, 3, 5 ... with implicit and explicit VR.
func Request(abstractSyntaxes ...string) *pdu.AssociateRQ {
	rq := &pdu.AssociateRQ{
		ProtocolVersion: 1, ApplicationContext: pdu.ApplicationContextUID,
		User: pdu.UserInformation{MaximumLength: 16384, ImplementationClassUID: "2.25.1", ImplementationVersion: "SCRIPT"},
	}
	rq.SetTitles("RAYHOUND", "DR1")
	for i, uid := range abstractSyntaxes {
		rq.Contexts = append(rq.Contexts, pdu.ProposedContext{
			ID: byte(2*i + 1), AbstractSyntax: uid, //nolint:gosec // a few
			TransferSyntaxes: []string{"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"},
		})
	}
	return rq
}

// Associate sends rq and returns the A-ASSOCIATE-AC.
func (p *ScriptedPeer) Associate(rq *pdu.AssociateRQ) *pdu.AssociateAC {
	p.tb.Helper()
	p.Send(rq)
	ac := new(pdu.AssociateAC)
	if err := ac.Decode(p.Expect(pdu.TypeAssociateAC)); err != nil {
		p.tb.Fatal(err)
	}
	return ac
}

// Message is a PDU that carries a command set and, unless nil, a data set.
func Message(contextID byte, command, data []byte) PDU {
	m := &pdu.PDataTF{Values: []pdu.PDV{{ContextID: contextID, Command: true, Last: true, Data: command}}}
	if data != nil {
		m.Values = append(m.Values, pdu.PDV{ContextID: contextID, Last: true, Data: data})
	}
	return m
}

// ExpectPart returns the next command set or data set, put together.
func (p *ScriptedPeer) ExpectPart() (contextID byte, command bool, part []byte) {
	p.tb.Helper()
	for {
		for len(p.rest) == 0 {
			p.rest = p.Expect(pdu.TypePDataTF)
		}
		v, rest, err := pdu.NextPDV(p.rest)
		if err != nil {
			p.tb.Fatal(err)
		}
		p.rest = rest
		part = append(part, v.Data...)
		if v.Last {
			return v.ContextID, v.Command, part
		}
	}
}

// Release releases the association and expects the peer to agree.
func (p *ScriptedPeer) Release() {
	p.tb.Helper()
	p.Send(pdu.ReleaseRQ{})
	p.Expect(pdu.TypeReleaseRP)
	_ = p.Conn.Close()
}

// Drain reads until the connection ends.
func (p *ScriptedPeer) Drain() {
	_ = p.Conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, p.Conn)
}
