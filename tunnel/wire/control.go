package wire

import (
	"time"
)

// Control is a control frame: JSON, one object, its "type" the name of the frame.
// The frames are *Challenge, *Hello, *Welcome, *Ack, *Gap, *Replay, *Drain, *Rotate,
// *Rotated, *Key, *Notice and, for a type this version does not know, *Unknown.
type Control interface {
	// Type is the name of the frame.
	Type() string
	valid() error
}

// Types of control frames.
const (
	TypeChallenge = "challenge"
	TypeHello     = "hello"
	TypeWelcome   = "welcome"
	TypeAck       = "ack"
	TypeGap       = "gap"
	TypeReplay    = "replay"
	TypeDrain     = "drain"
	TypeRotate    = "rotate"
	TypeRotated   = "rotated"
	TypeKey       = "key"
	TypeNotice    = "notice"
)

// Capabilities of a relay, in welcome.
const (
	// CapReplay: the relay takes replay.
	CapReplay = "replay"
	// CapKey: the relay takes key.
	CapKey = "key"
	// CapPoll: the relay serves the long-poll.
	CapPoll = "poll"
)

// Challenge is the relay's first frame.
type Challenge struct {
	Nonce       []byte    `json:"nonce"` // 32 bytes
	MinProtocol int       `json:"min_protocol"`
	MaxProtocol int       `json:"max_protocol"`
	ServerTime  time.Time `json:"server_time"`
}

// Window is what an agent is ready to hold unacknowledged. One event is always
// allowed, however large.
type Window struct {
	Msgs  int `json:"msgs"`
	Bytes int `json:"bytes"` // of event frames
}

// Hello is the agent's answer to a challenge.
type Hello struct {
	Version    string     `json:"version"` // of the appliance
	ClinicID   ClinicID   `json:"clinic_id"`
	InstanceID InstanceID `json:"instance_id"`
	Run        RunID      `json:"run"`
	// StoreEpoch is the one the agent knows; empty on its first connect.
	StoreEpoch StoreEpoch `json:"store_epoch,omitempty"`
	// Resume is the last event in the inbox, 0 for none, and ResumeAt its time of
	// receipt, zero when it is not known.
	Resume   Seq       `json:"resume"`
	ResumeAt time.Time `json:"resume_at,omitzero"`
	Window   Window    `json:"window"`
	Time     time.Time `json:"time"` // the agent's wall clock
	// Epoch is the session a poll continues; 0 starts one. Long-poll only.
	Epoch Epoch `json:"epoch,omitempty"`
	// Signature is the identity's, of [HelloBytes] or [PollBytes].
	Signature []byte `json:"signature"`
}

// Welcome starts the flow of events.
type Welcome struct {
	Epoch      Epoch      `json:"epoch"`
	StoreEpoch StoreEpoch `json:"store_epoch"`
	Oldest     Seq        `json:"oldest"` // the oldest event retained, 0 for none
	Head       Seq        `json:"head"`   // the newest number given out, 0 for none
	ServerTime time.Time  `json:"server_time"`
	PingSecs   int        `json:"ping_seconds"`
	MaxFrame   int        `json:"max_frame"` // the largest event frame, bytes
	// ReconnectWindowMS is W, the time over which the fleet spreads its reconnects.
	ReconnectWindowMS int64 `json:"reconnect_window_ms"`
	// SealingKeyID is the key the relay seals to; empty when it does not seal.
	SealingKeyID string   `json:"sealing_key_id,omitempty"`
	Capabilities []string `json:"capabilities,omitempty"`
}

// Ack says that everything up to Seq is durably in the inbox.
type Ack struct {
	Seq   Seq   `json:"seq"`
	Epoch Epoch `json:"epoch"`
}

// Reasons of a gap.
const (
	GapExpired  = "expired"        // too old
	GapQuota    = "quota"          // too many or too much
	GapRollback = "store_rollback" // the relay's store lost or changed its history
)

// Gap says that events are gone. The agent's cursor moves to To in StoreEpoch, and
// what the relay sends next follows that. After a store_rollback To may be below From.
type Gap struct {
	From       Seq        `json:"from"` // the first number missing
	To         Seq        `json:"to"`   // the last; 0 means that everything from the start on follows
	Reason     string     `json:"reason"`
	StoreEpoch StoreEpoch `json:"store_epoch"`
}

// Replay asks for events again, as far as they are retained.
type Replay struct {
	From Seq `json:"from"`
	To   Seq `json:"to"`
}

// Drain asks the agent to go: in that time it opens a new connection, then closes
// this one.
type Drain struct {
	ReconnectInMS int64  `json:"reconnect_in_ms"`
	Host          string `json:"host,omitempty"` // host or host:port to go to; empty: the same address
}

// Rotate hands out a new token.
type Rotate struct {
	Token string `json:"token"`
}

// Rotated says that the new token is stored durably.
type Rotated struct {
	KID string `json:"kid"`
}

// Key offers a new sealing key. The private half of the old one is kept as long as
// unacked events may be sealed to it.
type Key struct {
	KeyID  string `json:"key_id"`
	Public []byte `json:"public"` // X25519, 32 bytes
}

// Notice is a text for the IT partner.
type Notice struct {
	Text string `json:"text"`
}

// Unknown is a frame of a type this version does not know. It is ignored and counted.
type Unknown struct {
	Name string `json:"-"`
}

// Type implements Control.
func (*Challenge) Type() string { return TypeChallenge }

// Type implements Control.
func (*Hello) Type() string { return TypeHello }

// Type implements Control.
func (*Welcome) Type() string { return TypeWelcome }

// Type implements Control.
func (*Ack) Type() string { return TypeAck }

// Type implements Control.
func (*Gap) Type() string { return TypeGap }

// Type implements Control.
func (*Replay) Type() string { return TypeReplay }

// Type implements Control.
func (*Drain) Type() string { return TypeDrain }

// Type implements Control.
func (*Rotate) Type() string { return TypeRotate }

// Type implements Control.
func (*Rotated) Type() string { return TypeRotated }

// Type implements Control.
func (*Key) Type() string { return TypeKey }

// Type implements Control.
func (*Notice) Type() string { return TypeNotice }

// Type implements Control.
func (u *Unknown) Type() string { return u.Name }

// ReconnectWindow is W as a duration.
func (w *Welcome) ReconnectWindow() time.Duration {
	return time.Duration(w.ReconnectWindowMS) * time.Millisecond
}

// Has tells whether the relay has a capability.
func (w *Welcome) Has(capability string) bool {
	for _, c := range w.Capabilities {
		if c == capability {
			return true
		}
	}
	return false
}

// ReconnectIn is the agent's slot as a duration.
func (d *Drain) ReconnectIn() time.Duration { return time.Duration(d.ReconnectInMS) * time.Millisecond }
