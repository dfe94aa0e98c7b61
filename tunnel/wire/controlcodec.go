package wire

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// EncodeControl returns the text frame of c. It fails for a frame that the other end
// would refuse.
func EncodeControl(c Control) ([]byte, error) {
	if _, unknown := c.(*Unknown); unknown {
		return nil, fmt.Errorf("%w: a frame of an unknown type", ErrMalformed)
	}
	if err := c.valid(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, c.Type(), err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("wire: %s: %w", c.Type(), err)
	}
	head := `{"type":"` + c.Type() + `"`
	if string(b) != "{}" {
		head += ","
	}
	b = append([]byte(head), b[1:]...)
	if len(b) > MaxControl {
		return nil, fmt.Errorf("%w: a %s of %d bytes", ErrTooLarge, c.Type(), len(b))
	}
	return b, nil
}

// DecodeControl reads one control frame. Unknown fields are ignored, and an unknown
// type gives *Unknown and no error. It fails with ErrMalformed or ErrTooLarge.
func DecodeControl(b []byte, lim Limits) (Control, error) {
	if len(b) > lim.control() {
		return nil, fmt.Errorf("%w: a control frame of %d bytes", ErrTooLarge, len(b))
	}
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: a control frame is no UTF-8", ErrMalformed)
	}
	var head struct {
		Type *string `json:"type"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%w: control frame: %w", ErrMalformed, err)
	}
	if head.Type == nil || !ValidID(*head.Type) {
		return nil, fmt.Errorf("%w: a control frame without a type", ErrMalformed)
	}
	c := newControl(*head.Type)
	if _, unknown := c.(*Unknown); unknown {
		return c, nil
	}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, *head.Type, err)
	}
	if err := c.valid(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, *head.Type, err)
	}
	return c, nil
}

func newControl(name string) Control {
	switch name {
	case TypeChallenge:
		return new(Challenge)
	case TypeHello:
		return new(Hello)
	case TypeWelcome:
		return new(Welcome)
	case TypeAck:
		return new(Ack)
	case TypeGap:
		return new(Gap)
	case TypeReplay:
		return new(Replay)
	case TypeDrain:
		return new(Drain)
	case TypeRotate:
		return new(Rotate)
	case TypeRotated:
		return new(Rotated)
	case TypeKey:
		return new(Key)
	case TypeNotice:
		return new(Notice)
	default:
		return &Unknown{Name: name}
	}
}

func validTime(t time.Time) error {
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return errors.New("time out of range")
	}
	return nil
}

func (c *Challenge) valid() error {
	switch {
	case len(c.Nonce) != NonceSize:
		return errors.New("nonce of the wrong length")
	case c.MinProtocol < 1, c.MaxProtocol < c.MinProtocol, c.MaxProtocol > 1000:
		return errors.New("range of versions")
	}
	return validTime(c.ServerTime)
}

func (h *Hello) valid() error {
	switch {
	case len(h.Version) > MaxID:
		return errors.New("version")
	case !ValidID(h.ClinicID), !ValidID(h.InstanceID), !ValidID(h.Run):
		return errors.New("clinic, instance or run")
	case h.StoreEpoch != "" && !ValidID(h.StoreEpoch):
		return errors.New("store epoch")
	case h.Resume < 0, h.Epoch < 0, h.StoreEpoch == "" && h.Resume != 0:
		return errors.New("resume")
	case h.Window.Msgs < 1, h.Window.Msgs > MaxWindowMsgs, h.Window.Bytes < 1, h.Window.Bytes > MaxWindowBytes:
		return errors.New("window")
	case len(h.Signature) != ed25519.SignatureSize:
		return errors.New("signature of the wrong length")
	}
	if !h.ResumeAt.IsZero() {
		if err := validTime(h.ResumeAt); err != nil {
			return err
		}
	}
	return validTime(h.Time)
}

func (w *Welcome) valid() error {
	switch {
	case w.Epoch < 1:
		return errors.New("epoch")
	case !ValidID(w.StoreEpoch):
		return errors.New("store epoch")
	case w.Oldest < 0, w.Head < 0, w.Oldest > w.Head:
		return errors.New("oldest and head")
	case w.PingSecs < 1, w.PingSecs > 60:
		return errors.New("ping seconds")
	case w.MaxFrame < FrameOverhead, w.MaxFrame > MaxFrame:
		return errors.New("largest frame")
	case w.ReconnectWindowMS < 0, w.ReconnectWindowMS > MaxReconnectWindow.Milliseconds():
		return errors.New("reconnect window")
	case w.SealingKeyID != "" && !ValidID(w.SealingKeyID):
		return errors.New("sealing key id")
	case len(w.Capabilities) > 100:
		return errors.New("capabilities")
	}
	for _, c := range w.Capabilities {
		if !ValidID(c) {
			return errors.New("capabilities")
		}
	}
	return validTime(w.ServerTime)
}

func (a *Ack) valid() error {
	if a.Seq < 0 || a.Epoch < 1 {
		return errors.New("number or epoch")
	}
	return nil
}

func (g *Gap) valid() error {
	switch {
	case g.From < 1, g.To < 0, g.Reason != GapRollback && g.To < g.From:
		return errors.New("range")
	case !ValidID(g.Reason):
		return errors.New("reason")
	case !ValidID(g.StoreEpoch):
		return errors.New("store epoch")
	}
	return nil
}

func (r *Replay) valid() error {
	if r.From < 1 || r.To < r.From {
		return errors.New("range")
	}
	return nil
}

func (d *Drain) valid() error {
	if d.ReconnectInMS < 0 || d.ReconnectInMS > MaxRetry.Milliseconds() {
		return errors.New("slot")
	}
	if d.Host != "" && !validHost(d.Host) {
		return errors.New("host")
	}
	return nil
}

// validHost takes host or host:port, a name or an address.
func validHost(s string) bool {
	if len(s) > 260 {
		return false
	}
	host := s
	if h, p, err := net.SplitHostPort(s); err == nil {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return false
		}
		host = h
	}
	host = strings.Trim(host, "[]")
	if net.ParseIP(host) != nil {
		return true
	}
	if len(host) == 0 || len(host) > 253 {
		return false
	}
	for i := range len(host) {
		c := host[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

func (r *Rotate) valid() error {
	_, _, err := SplitToken(r.Token)
	return err
}

func (r *Rotated) valid() error {
	if !ValidID(r.KID) {
		return errors.New("kid")
	}
	return nil
}

func (k *Key) valid() error {
	if _, err := ecdh.X25519().NewPublicKey(k.Public); err != nil || k.KeyID != KeyID(k.Public) {
		return errors.New("key or its id")
	}
	return nil
}

func (n *Notice) valid() error {
	if n.Text == "" || len(n.Text) > MaxNotice {
		return errors.New("text")
	}
	return nil
}

func (u *Unknown) valid() error {
	if !ValidID(u.Name) {
		return errors.New("type")
	}
	return nil
}
