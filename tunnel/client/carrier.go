package client

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// Transport names how frames travel.
type Transport string

// The transports.
const (
	Websocket Transport = "websocket"
	LongPoll  Transport = "long-poll"
)

// carrier is an open connection, whichever way it goes. receive is called from one
// goroutine; the others may be called from any.
type carrier interface {
	transport() Transport
	// receive waits for the next frame and tells its size on the wire.
	receive() (wire.Frame, int, error)
	send(c wire.Control) error
	// use takes a token for what is still to be authenticated on this connection.
	use(token string)
	// probe makes receive fail soon when the other end gives no sign of life.
	probe()
	// close says goodbye and ends receive. It waits until nothing of the carrier runs.
	close(code wire.CloseCode, reason string)
	// lastHeard is when the other end gave its last sign of life.
	lastHeard() time.Time
}

// greeting is what one connection says of itself.
type greeting struct {
	clinic   wire.ClinicID
	instance wire.InstanceID
	identity ed25519.PrivateKey
	host     string
	token    string
	hello    wire.Hello // without time and signature
	now      func() time.Time
}

func (g *greeting) challenge(nonce []byte) *wire.Hello {
	h := g.hello
	h.Time = g.now().UTC()
	h.Signature = ed25519.Sign(g.identity, wire.HelloBytes(nonce, g.host, g.clinic, g.instance))
	return &h
}

func (g *greeting) poll(nonce, method, target string, body []byte) *wire.Hello {
	h := g.hello
	h.Time = g.now().UTC()
	h.Signature = ed25519.Sign(g.identity, wire.PollBytes(nonce, g.host, g.clinic, g.instance, method, target, body))
	return &h
}

// answer is an HTTP answer that was read to its end, or its limit.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal reads an answer that is not the one hoped for. A status counts as the
// relay's word only with its header: otherwise a proxy or a login portal has spoken.
func refusal(step StepName, host string, resp answer) *Error {
	e := &Error{Step: step}
	if resp.header.Get(wire.HeaderRelay) == "" {
		what := "the answer does not come from the relay"
		switch resp.status {
		case http.StatusOK, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
			http.StatusPermanentRedirect, http.StatusUnauthorized, http.StatusNetworkAuthenticationRequired:
			what = "a login portal or a proxy answers instead of " + host
		case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusProxyAuthRequired, http.StatusUnavailableForLegalReasons:
			what = "a proxy between this computer and " + host + " does not let it through"
		case http.StatusNotFound, http.StatusUpgradeRequired, http.StatusNotImplemented:
			what = "what answers at " + host + " is no relay, or a proxy drops the upgrade"
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			what = "something before the relay cannot reach it"
		}
		e.Err = fmt.Errorf("%s (status %d)", what, resp.status)
		return e
	}
	e.Code = wire.CodeOf(resp.status)
	e.Err = fmt.Errorf("status %d", resp.status)
	if n, err := strconv.ParseInt(resp.header.Get("Retry-After"), 10, 32); err == nil && n > 0 {
		e.Retry = min(time.Duration(n)*time.Second, wire.MaxRetry)
	}
	if d, ok := wire.ParseRetry(string(resp.body)); ok {
		e.Retry = d
	}
	return e.saidBy(host)
}
