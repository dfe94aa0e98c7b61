package wire

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"unicode/utf8"
)

// CodeAlphabet are the letters of pairing codes: no vowels, no look-alikes (RFC
// 8628, section 6.1).
const CodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

// NewCode returns a pairing code, QRST-BCDF-GHJK. The first group names the pairing
// and is not secret, the other two are: 8 letters, 34.6 bits.
func NewCode() (string, error) {
	var b [12]byte
	n := big.NewInt(int64(len(CodeAlphabet)))
	for i := range b {
		k, err := rand.Int(rand.Reader, n)
		if err != nil {
			return "", fmt.Errorf("wire: %w", err)
		}
		b[i] = CodeAlphabet[k.Int64()]
	}
	s := string(b[:])
	return s[:4] + "-" + s[4:8] + "-" + s[8:], nil
}

// NormalizeCode returns a code as it is printed. It takes small letters, and spaces
// and dashes anywhere or nowhere.
func NormalizeCode(s string) (string, error) {
	if len(s) > 100 {
		return "", fmt.Errorf("%w: no pairing code", ErrMalformed)
	}
	var b strings.Builder
	for _, r := range s {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		switch {
		case r == ' ', r == '\t', r == '-', r == '\n', r == '\r', r == 0xA0, 0x2010 <= r && r <= 0x2015, r == 0x2212:
		case r < utf8.RuneSelf && strings.ContainsRune(CodeAlphabet, r):
			b.WriteRune(r)
		default:
			return "", fmt.Errorf("%w: a pairing code has no %q", ErrMalformed, r)
		}
	}
	if b.Len() != 12 {
		return "", fmt.Errorf("%w: a pairing code has 12 letters, this has %d", ErrMalformed, b.Len())
	}
	c := b.String()
	return c[:4] + "-" + c[4:8] + "-" + c[8:], nil
}

// SplitCode returns the parts of a normalized code: what names the pairing, and what
// is secret.
func SplitCode(code string) (name, secret string, err error) {
	c, err := NormalizeCode(code)
	if err != nil {
		return "", "", err
	}
	return c[:4], c[5:], nil
}

// PairPath is where a pairing is posted.
const PairPath = "/v1/pair"

// PairRequest is what an appliance posts with its code.
type PairRequest struct {
	Code       string            `json:"code"`
	Identity   ed25519.PublicKey `json:"identity"` // Ed25519, 32 bytes
	Sealing    []byte            `json:"sealing"`  // X25519, 32 bytes
	InstanceID InstanceID        `json:"instance_id"`
	Version    string            `json:"version"` // of the appliance
}

// InboundURL is an address for Provet Cloud's webhooks, one per kind.
type InboundURL struct {
	Kind string `json:"kind"`
	URL  string `json:"url"`
}

// PairAnswer is what the appliance gets, once.
type PairAnswer struct {
	ClinicID    ClinicID     `json:"clinic_id"`
	Token       string       `json:"token"`
	URLs        []InboundURL `json:"urls"`
	StoreEpoch  StoreEpoch   `json:"store_epoch"`
	MinProtocol int          `json:"min_protocol"`
	MaxProtocol int          `json:"max_protocol"`
}

// Reasons of a refused pairing.
const (
	PairWrong   = "code"    // no such code, used, expired or burnt: 404
	PairTooMany = "tries"   // too many tries: 429
	PairVersion = "version" // too old: 426
	PairBad     = "request" // not understood: 400
)

// PairRefusal is the body of a refused pairing.
type PairRefusal struct {
	Reason string `json:"reason"`
}

// DecodePairRequest reads and checks a pairing as the relay received it. The code
// comes back normalized.
func DecodePairRequest(b []byte) (PairRequest, error) {
	var r PairRequest
	if err := decodePair(b, &r); err != nil {
		return PairRequest{}, err
	}
	code, err := NormalizeCode(r.Code)
	if err != nil {
		return PairRequest{}, err
	}
	r.Code = code
	if len(r.Identity) != ed25519.PublicKeySize || !ValidID(r.InstanceID) || len(r.Version) > MaxID {
		return PairRequest{}, fmt.Errorf("%w: identity, instance or version of a pairing", ErrMalformed)
	}
	if _, err := ecdh.X25519().NewPublicKey(r.Sealing); err != nil {
		return PairRequest{}, fmt.Errorf("%w: sealing key of a pairing", ErrMalformed)
	}
	return r, nil
}

// DecodePairAnswer reads and checks the relay's answer.
func DecodePairAnswer(b []byte) (PairAnswer, error) {
	var a PairAnswer
	if err := decodePair(b, &a); err != nil {
		return PairAnswer{}, err
	}
	if !ValidID(a.ClinicID) || !ValidID(a.StoreEpoch) || a.MinProtocol < 1 || a.MaxProtocol < a.MinProtocol || len(a.URLs) > 100 {
		return PairAnswer{}, fmt.Errorf("%w: answer to a pairing", ErrMalformed)
	}
	if _, _, err := SplitToken(a.Token); err != nil {
		return PairAnswer{}, err
	}
	for _, u := range a.URLs {
		p, err := url.Parse(u.URL)
		if err != nil || !ValidID(u.Kind) || len(u.URL) > 2000 || p.Host == "" || p.Scheme != "https" && p.Scheme != "http" {
			return PairAnswer{}, fmt.Errorf("%w: an inbound URL of a pairing", ErrMalformed)
		}
	}
	return a, nil
}

func decodePair(b []byte, v any) error {
	if len(b) > MaxPair {
		return fmt.Errorf("%w: a pairing of %d bytes", ErrTooLarge, len(b))
	}
	if !utf8.Valid(b) {
		return fmt.Errorf("%w: a pairing is no UTF-8", ErrMalformed)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: a pairing: %w", ErrMalformed, err)
	}
	return nil
}
