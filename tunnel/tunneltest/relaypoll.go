package tunneltest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// hello checks token, nonce and signature of a poll or an ack. It answers itself when
// they are wrong.
func (r *Relay) hello(w http.ResponseWriter, req *http.Request, body []byte) *wire.Hello {
	w.Header().Set(wire.HeaderRelay, wire.Protocol)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.polls++
	if r.faults.PollStatus != 0 {
		w.Header().Del(wire.HeaderRelay)
		r.faults.answer(w, r.faults.PollStatus)
		return nil
	}
	if !r.let(req.Header.Get("Authorization")) {
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	next := fmt.Sprintf("nonce-%d", r.polls)
	r.nonces[next] = r.Now()
	w.Header().Set(wire.HeaderNonce, next)
	nonce, h, err := wire.DecodeHello(req.Header.Get(wire.HeaderHello))
	given, ok := r.nonces[nonce]
	if err != nil || !ok || r.Now().Sub(given) > wire.PollNonceLife ||
		!wire.Verify(r.identity, wire.PollBytes(nonce, r.Host, h.ClinicID, h.InstanceID, req.Method, req.URL.RequestURI(), body), h.Signature) {
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	if r.faults.Drop != 0 {
		w.Header().Del(wire.HeaderNonce)
		http.Error(w, r.faults.Reason, r.faults.Drop.Status())
		return nil
	}
	return h
}

func (r *Relay) poll(w http.ResponseWriter, req *http.Request) {
	h := r.hello(w, req, nil)
	if h == nil {
		return
	}
	after, wait, err := wire.ParsePollQuery(req.URL.RawQuery)
	if err != nil || after != h.Resume {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	s := r.session
	fresh := s == nil || s.over || h.Epoch != r.epoch
	if fresh {
		s, _ = r.claim(h)
	} else {
		// What was sent after that number was lost on the way.
		s.sent = min(s.sent, after)
		for seq := range s.sizes {
			if seq > after {
				delete(s.sizes, seq)
			}
		}
	}
	r.waiter++
	mine := r.waiter
	r.tell()
	limit := time.NewTimer(time.Duration(wait) * time.Second)
	defer limit.Stop()
	for {
		if r.waiter != mine {
			r.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		control, events := r.next(s)
		if len(control)+len(events) > 0 || fresh {
			answer := r.frames(r.welcome(), control, events)
			r.mu.Unlock()
			_, _ = w.Write(answer)
			return
		}
		if s.close != 0 || s.over {
			code, reason := s.close, s.reason
			s.over = true
			r.mu.Unlock()
			if code == 0 {
				code = wire.CloseOverloaded
			}
			if code.Status() == 0 {
				panic(http.ErrAbortHandler) // a restart has no status: the connection is cut
			}
			w.Header().Del(wire.HeaderNonce) // a 401 with one would be about the nonce
			http.Error(w, reason, code.Status())
			return
		}
		changed := r.changed
		r.mu.Unlock()
		timeout := false
		select {
		case <-changed:
		case <-limit.C:
			timeout = true
		case <-req.Context().Done():
			r.locked(func() { s.over = s.over || r.waiter == mine })
			return
		}
		r.mu.Lock()
		fresh = timeout // answer with nothing
	}
}

func (r *Relay) frames(w *wire.Welcome, control []wire.Control, events []wire.Event) []byte {
	var out []byte
	for _, c := range append([]wire.Control{w}, control...) {
		b, err := wire.EncodeControl(c)
		if err != nil {
			panic(err)
		}
		out = wire.AppendPolled(out, b)
	}
	for _, e := range events {
		out = wire.AppendPolled(out, wire.AppendEvent(nil, e))
	}
	return out
}

func (r *Relay) ack(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, wire.MaxControl))
	if err != nil {
		return
	}
	if r.hello(w, req, body) == nil {
		return
	}
	frames, err := wire.SplitEvents(body, wire.Limits{})
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	defer w.WriteHeader(http.StatusNoContent)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range frames {
		if r.session != nil && f.Control != nil {
			r.take(r.session, f.Control)
		}
	}
}

func (r *Relay) ingest(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, wire.MaxBody))
	if err != nil {
		return
	}
	r.Append(wire.KindTest, body)
}

func (r *Relay) pair(w http.ResponseWriter, req *http.Request) {
	w.Header().Set(wire.HeaderRelay, wire.Protocol)
	body, err := io.ReadAll(io.LimitReader(req.Body, wire.MaxPair))
	if err != nil {
		return
	}
	p, err := wire.DecodePairRequest(body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.codes[p.Code] {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	delete(r.codes, p.Code)
	token, _ := wire.NewToken()
	r.identity, r.tokens = p.Identity, []string{token}
	b, err := json.Marshal(wire.PairAnswer{
		ClinicID: r.Clinic, Token: token, StoreEpoch: r.store, MinProtocol: 1, MaxProtocol: 1,
		URLs: []wire.InboundURL{{Kind: wire.KindTest, URL: "http://" + r.Host + "/in/test"}},
	})
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(b)
}
