package ul

import (
	"errors"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// abortWrite is how long an A-ABORT may wait for another write to end.
const abortWrite = 500 * time.Millisecond

// drainLimit is how much is read and thrown away while we wait for the peer to
// close, in bytes.
const drainLimit = 4 << 20

// AcceptRelease answers the peer's A-RELEASE-RQ. Finish waits for the peer to close.
func (a *Association) AcceptRelease() error {
	action, err := a.move(Evt14)
	if err != nil {
		return err
	}
	if action == AR4 {
		a.await()
	}
	var b [10]byte
	return a.send(pdu.ReleaseRP{}.AppendTo(b[:0]), a.lim.Write)
}

// await starts ARTIM: from here on the peer has to close.
func (a *Association) await() {
	a.mu.Lock()
	a.state = Sta13
	if a.end == nil {
		a.end = ErrEnded
	}
	a.armed = time.Now().Add(a.lim.Close)
	_ = a.conn.SetReadDeadline(a.armed)
	a.mu.Unlock()
}

// Release asks the peer to release the association and waits for its answer
// until limit. Fragments that arrive meanwhile are dropped. A collision is
// resolved as PS3.8 7.2.2 prescribes. The connection stays open until Finish.
func (a *Association) Release(limit time.Time) error {
	if _, err := a.move(Evt11); err != nil {
		return err
	}
	a.SetLimit(limit)
	var b [10]byte
	if err := a.send(pdu.ReleaseRQ{}.AppendTo(b[:0]), min(a.lim.Write, time.Until(limit))); err != nil {
		return err
	}
	for {
		_, err := a.Next()
		switch {
		case err == nil:
		case errors.Is(err, errReleaseConfirmed):
			return nil
		case errors.Is(err, ErrReleased):
			// A collision. The requestor answers at once (Sta9), the acceptor
			// after the peer has answered (Sta12).
			if s := a.State(); s == Sta9 || s == Sta12 {
				if err := a.AcceptRelease(); err != nil {
					return err
				}
				if s == Sta12 {
					return nil
				}
			}
		default:
			return err
		}
	}
}

// Abort ends the association with an A-ABORT (PS3.8 Table 9-26). Next then
// returns the same error, an *AbortedError that wraps why.
func (a *Association) Abort(source, reason byte, why error) error {
	return a.fail(source, reason, why)
}

// fail sends an A-ABORT, starts ARTIM and returns the *AbortedError.
func (a *Association) fail(source, reason byte, why error) error {
	a.mu.Lock()
	if a.state == Sta1 || a.state == Sta13 {
		defer a.mu.Unlock()
		if a.end != nil {
			return a.end
		}
		return ErrEnded
	}
	a.state = Sta13
	a.end = &AbortedError{Source: source, Reason: reason, Err: why}
	end := a.end
	a.armed = time.Now().Add(a.lim.Close)
	_ = a.conn.SetReadDeadline(a.armed)
	a.mu.Unlock()

	if !a.wmu.TryLock() {
		// Somebody is writing: give him a moment, then the abort cannot be sent.
		_ = a.conn.SetWriteDeadline(time.Now().Add(abortWrite))
	} else {
		a.wmu.Unlock()
	}
	var b [10]byte
	_ = a.send(pdu.Abort{Source: source, Reason: reason}.AppendTo(b[:0]), abortWrite)
	return end
}

// Finish waits for the peer to close if it has to (Sta13, at most Limits.Close),
// then closes the connection and gives the buffers back. Only the goroutine
// that calls Next may call it.
func (a *Association) Finish() {
	if a.State() == Sta13 {
		a.drain()
	}
	a.Close()
	a.rest = nil
	a.reader.Buffer()
	if a.first != nil {
		firstBuffers.Put(a.first)
		a.first = nil
	}
}

func (a *Association) drain() {
	buf := a.reader.Buffer()
	if len(buf) == 0 {
		buf = make([]byte, firstBuffer)
	}
	for total := 0; total < drainLimit; {
		n, err := a.conn.Read(buf)
		total += n
		if err != nil {
			return
		}
	}
}

// Close closes the connection at once. Any goroutine may call it.
func (a *Association) Close() {
	a.mu.Lock()
	closed := a.closed
	a.closed = true
	a.state = Sta1
	if a.end == nil {
		a.end = ErrEnded
	}
	a.mu.Unlock()
	if !closed {
		_ = a.conn.Close()
	}
}
