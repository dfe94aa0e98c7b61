package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// nonce makes the nonce of a clinic's next poll: time ‖ MAC(time ‖ clinic). Every node of the database can check it, so none
// keeps anything for it. It may be used again within its 2 minutes: what it signs is the same request then.
func (r *Relay) nonce(c wire.ClinicID) string {
	return base64.RawURLEncoding.EncodeToString(r.sealNonce(c, r.cfg.Now()))
}

func (r *Relay) sealNonce(c wire.ClinicID, at time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	m := hmac.New(sha256.New, r.macKey)
	m.Write([]byte("poll nonce\x00"))
	m.Write(b)
	m.Write([]byte(c))
	return m.Sum(b)
}

// goodNonce checks one.
func (r *Relay) goodNonce(c wire.ClinicID, text string) bool {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != 8+sha256.Size {
		return false
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(b)))
	if !hmac.Equal(b, r.sealNonce(c, at)) {
		return false
	}
	age := r.cfg.Now().Sub(at)
	return age < wire.PollNonceLife && age > -wire.PollNonceLife // the other node's clock may be ahead
}
