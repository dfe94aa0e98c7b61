package wire

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// SealVersion is how [Seal] seals: HPKE (RFC 9180) in base mode with
// DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM, the encapsulated key
// before the ciphertext.
const SealVersion = 1

// SealOverhead is what sealing adds to header and body: the encapsulated key and
// the tag, besides the four bytes of the length.
const SealOverhead = 32 + 16

// sealed is what lies, as JSON behind its length of 4 bytes, before the body in the
// sealed plaintext.
type sealed struct {
	Label      string            `json:"label"`
	Path       string            `json:"path,omitempty"`
	Query      string            `json:"query,omitempty"`
	RemoteAddr string            `json:"remote_addr,omitempty"`
	Header     map[string]string `json:"header,omitempty"`
}

// NewSealingKey returns a new X25519 key pair, 32 bytes each, and its id.
func NewSealingKey() (priv, pub []byte, keyID string, err error) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, "", fmt.Errorf("wire: %w", err)
	}
	pub = k.PublicKey().Bytes()
	return k.Bytes(), pub, KeyID(pub), nil
}

// KeyID names a public sealing key: the first 8 bytes of its SHA-256 in hex.
func KeyID(pub []byte) string {
	h := sha256.Sum256(pub)
	return hex.EncodeToString(h[:8])
}

// PublicSealingKey returns the public half of a private sealing key.
func PublicSealingKey(priv []byte) ([]byte, error) {
	k, err := ecdh.X25519().NewPrivateKey(priv)
	if err != nil {
		return nil, fmt.Errorf("wire: sealing key: %w", err)
	}
	return k.PublicKey().Bytes(), nil
}

// sealInfo binds a seal to its clinic and key.
func sealInfo(clinic ClinicID, keyID string) []byte {
	return []byte(Protocol + " event\x00" + string(clinic) + "\x00" + keyID)
}

// Seal seals one request for a clinic and returns header and body of its event. The
// kind of the event is r.Label. Only the owner of the private key can read more than
// kind and size; a seal opens for this clinic alone.
func Seal(pub []byte, keyID string, clinic ClinicID, r Request) (header, body []byte, err error) {
	if !ValidID(r.Label) || !ValidID(keyID) || !ValidID(clinic) {
		return nil, nil, fmt.Errorf("%w: kind, key id or clinic of an event", ErrMalformed)
	}
	if len(r.Body) > MaxBody {
		return nil, nil, fmt.Errorf("%w: a body of %d bytes", ErrTooLarge, len(r.Body))
	}
	fields, err := json.Marshal(sealed{r.Label, r.Path, r.Query, r.RemoteAddr, r.Header})
	if err != nil {
		return nil, nil, fmt.Errorf("wire: %w", err)
	}
	if len(fields) > MaxRequest {
		return nil, nil, fmt.Errorf("%w: a request's fields", ErrTooLarge)
	}
	pk, err := ecdh.X25519().NewPublicKey(pub)
	if err != nil {
		return nil, nil, fmt.Errorf("wire: sealing key: %w", err)
	}
	hk, err := hpke.NewDHKEMPublicKey(pk)
	if err != nil {
		return nil, nil, fmt.Errorf("wire: sealing key: %w", err)
	}
	plain := make([]byte, 0, 4+len(fields)+len(r.Body))
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(fields)))
	plain = append(append(plain, fields...), r.Body...)
	body, err = hpke.Seal(hk, hpke.HKDFSHA256(), hpke.AES256GCM(), sealInfo(clinic, keyID), plain)
	if err != nil {
		return nil, nil, fmt.Errorf("wire: seal: %w", err)
	}
	header, err = json.Marshal(EventHeader{Kind: r.Label, Size: len(r.Body), KeyID: keyID, Seal: SealVersion})
	if err != nil {
		return nil, nil, fmt.Errorf("wire: %w", err)
	}
	return header, body, nil
}

// Open returns the request of an event, sealed or not. It fails with ErrUnknownKey
// when the event is sealed to another key than keyID, with ErrSeal when it does not
// open or its header says something else than what is sealed, and with ErrMalformed.
func Open(priv []byte, keyID string, clinic ClinicID, e Event) (Request, error) {
	h, err := ParseHeader(e.Header)
	if err != nil {
		return Request{}, err
	}
	switch {
	case h.Seal == 0:
		if h.Size != len(e.Body) {
			return Request{}, fmt.Errorf("%w: a body of %d bytes instead of %d", ErrMalformed, len(e.Body), h.Size)
		}
		return Request{Path: h.Path, Query: h.Query, RemoteAddr: h.RemoteAddr, Label: h.Kind, Header: h.Header, Body: e.Body}, nil
	case h.Seal != SealVersion:
		return Request{}, fmt.Errorf("%w: version %d", ErrSeal, h.Seal)
	case h.KeyID != keyID:
		return Request{}, fmt.Errorf("%w: %s", ErrUnknownKey, h.KeyID)
	}
	sk, err := ecdh.X25519().NewPrivateKey(priv)
	if err != nil {
		return Request{}, fmt.Errorf("wire: sealing key: %w", err)
	}
	hk, err := hpke.NewDHKEMPrivateKey(sk)
	if err != nil {
		return Request{}, fmt.Errorf("wire: sealing key: %w", err)
	}
	plain, err := hpke.Open(hk, hpke.HKDFSHA256(), hpke.AES256GCM(), sealInfo(clinic, keyID), e.Body)
	if err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrSeal, err)
	}
	return unpack(h, plain)
}

// unpack reads what was sealed and compares it with what the header says.
func unpack(h EventHeader, plain []byte) (Request, error) {
	if len(plain) < 4 {
		return Request{}, fmt.Errorf("%w: %d bytes", ErrSeal, len(plain))
	}
	n := binary.BigEndian.Uint32(plain)
	rest := plain[4:]
	if int64(n) > MaxRequest || int64(n) > int64(len(rest)) {
		return Request{}, fmt.Errorf("%w: fields of %d bytes in %d", ErrSeal, n, len(rest))
	}
	var s sealed
	if err := json.Unmarshal(rest[:n], &s); err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrSeal, err)
	}
	body := rest[n:]
	if s.Label != h.Kind || len(body) != h.Size {
		return Request{}, fmt.Errorf("%w: the header says something else", ErrSeal)
	}
	return Request{Path: s.Path, Query: s.Query, RemoteAddr: s.RemoteAddr, Label: s.Label, Header: s.Header, Body: body}, nil
}
