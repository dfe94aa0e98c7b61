package ul

import (
	"errors"
	"os"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul/pdu"
)

// writeFactor times the limit without progress is the limit for one write in
// total, so that a peer that reads a byte now and then cannot hold us for ever.
const writeFactor = 4

// MaxBody returns how long the body of a P-DATA-TF we send may be, in bytes.
func (a *Association) MaxBody() int {
	if a.PeerMaxPDU == 0 || int64(a.PeerMaxPDU) > int64(a.lim.MaxPDU) {
		return a.lim.MaxPDU
	}
	return int(a.PeerMaxPDU)
}

// AppendFragments appends the command set or data set of a message to b as
// P-DATA-TF PDUs that the peer can take.
func (a *Association) AppendFragments(b []byte, contextID byte, command bool, data []byte) []byte {
	return pdu.AppendFragments(b, contextID, command, data, a.MaxBody())
}

// Write sends whole P-DATA-TF PDUs, made with AppendFragments, in one write.
func (a *Association) Write(b []byte) error {
	if _, err := a.move(Evt9); err != nil {
		return err
	}
	return a.send(b, a.lim.Write)
}

// send writes b, one writer at a time. A failed write closes the connection.
func (a *Association) send(b []byte, limit time.Duration) error {
	a.wmu.Lock()
	defer a.wmu.Unlock()
	total := time.Now().Add(writeFactor * limit)
	for {
		deadline := time.Now().Add(limit)
		if deadline.After(total) {
			deadline = total
		}
		if !a.armWrite(deadline) {
			return a.lost(nil)
		}
		n, err := a.conn.Write(b)
		if n > 0 {
			a.out.Add(uint64(n))
			if a.Trace != nil {
				a.Trace(true, b[:n])
			}
		}
		if err == nil {
			return nil
		}
		b = b[max(n, 0):]
		if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(total) && a.State() != Sta13 {
			continue
		}
		_ = a.conn.Close() // the stream is cut in the middle of a PDU
		return a.lost(err)
	}
}

func (a *Association) armWrite(t time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cause != nil || a.closed {
		return false
	}
	return a.conn.SetWriteDeadline(t) == nil
}
