package relay

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/rayhound/rayhound/tunnel/wire"
)

// What a Registry answers besides the errors of a Store.
var (
	// ErrNameTaken: another clinic that is not revoked has this name (compared without case).
	ErrNameTaken = errors.New("relay: a clinic with this name exists")
	// ErrUnknownToken: no token has this kid, or it is dead.
	ErrUnknownToken = errors.New("relay: no such token")
	// ErrUnknownPairing: no pairing has this public group.
	ErrUnknownPairing = errors.New("relay: no such pairing")
	// ErrPairingUsed: the pairing was used, burnt, replaced or has expired in the meantime; nothing was changed.
	ErrPairingUsed = errors.New("relay: the pairing cannot be used any more")
	// ErrTaken: an id, hash, kid or group that has to be unique exists already; choose another.
	ErrTaken = errors.New("relay: already taken")
	// ErrConflict: somebody else wrote first; read again and decide anew.
	ErrConflict = errors.New("relay: written by somebody else meanwhile")
	// ErrNotPaired: no appliance has been paired with the clinic.
	ErrNotPaired = errors.New("relay: the clinic is not paired")
)

// SecretHash is the SHA-256 of a secret: of an inbound URL, a token, or the secret characters of a pairing code.
type SecretHash [32]byte

// Revision counts the changes of the registry that other nodes have to know of. It rises with each of them and never repeats.
type Revision int64

// Registry keeps the clinics, their secrets (as hashes) and what is known about them, in the same database as the Store.
// Methods may be called concurrently, by several nodes and by administration in another process. What returns an error
// changed nothing. All is durable on return except Note.
//
// "Counted" methods raise the Revision in their transaction: AddClinic, Revoke, AddURLs, RetireURLs, CompletePairing,
// AddSealingKey, RequestRotation. None of them calls Wake; the caller does.
type Registry interface {
	// AddClinic creates a clinic with its empty mailbox. ErrNameTaken, ErrTaken. Counted.
	AddClinic(ctx context.Context, c Clinic) error
	// Clinic returns one by its id, also a revoked one. ErrUnknownClinic.
	Clinic(ctx context.Context, id wire.ClinicID) (Clinic, error)
	// ClinicByName finds one that is not revoked, without regard to case; else the last revoked one of that name. ErrUnknownClinic.
	ClinicByName(ctx context.Context, name string) (Clinic, error)
	// Revoke ends a clinic: its URLs and open pairings end, its mailbox is left to Expire. Its tokens stay known, so that they are
	// refused as revoked (Token.Revoked). Doing it twice is no error. ErrUnknownClinic. Counted.
	Revoke(ctx context.Context, id wire.ClinicID, at time.Time) error
	// Status lists all clinics with what is known about them, by name; revoked ones too. Backlogs are as of now.
	Status(ctx context.Context) ([]Status, error)

	// Changes returns every clinic and URL that a counted method touched after since, and the revision this answer is as of;
	// since 0 returns everything. A change that commits later than the answer always has a higher revision.
	// Cheap when nothing changed: it is asked each second.
	Changes(ctx context.Context, since Revision) (Changes, error)

	// AddURLs adds inbound URLs to clinics. ErrTaken, ErrUnknownClinic. Counted.
	AddURLs(ctx context.Context, urls []InboundURL) error
	// RetireURLs ends, for each clinic and kind, the URLs for which a younger one was used first before usedBefore, and those past
	// their ExpiresAt. It returns how many. Counted when more than none.
	RetireURLs(ctx context.Context, usedBefore, now time.Time) (int, error)

	// Agent returns the appliance that is paired with a clinic. ErrUnknownClinic, ErrNotPaired.
	Agent(ctx context.Context, id wire.ClinicID) (Agent, error)
	// AddSealingKey records a key the agent offered and makes it the one to seal to. The same key again is no error and
	// is not counted. Otherwise counted.
	AddSealingKey(ctx context.Context, id wire.ClinicID, k SealingKey) error

	// Token returns a token that is alive at now, by kid, with its clinic's state. ErrUnknownToken.
	Token(ctx context.Context, kid string, now time.Time) (Token, error)
	// OfferToken adds a token that is about to be sent to the agent. Of tokens offered and never confirmed or used, the three
	// youngest stay. ErrTaken, ErrUnknownClinic. It also ends a RequestRotation, and is counted then.
	OfferToken(ctx context.Context, t Token) error
	// ConfirmToken records that the agent has stored a token: every older one of the clinic dies at oldDies at the latest.
	// Again is no error. ErrUnknownToken.
	ConfirmToken(ctx context.Context, kid string, at, oldDies time.Time) error
	// UseToken records the first use of a token: every older one of the clinic dies at once. Later calls change nothing. ErrUnknownToken.
	UseToken(ctx context.Context, kid string, at time.Time) error
	// RequestRotation asks for a new token at the next occasion (State.Rotate). ErrUnknownClinic. Counted.
	RequestRotation(ctx context.Context, id wire.ClinicID) error

	// AddPairing opens a pairing; an older open one of the clinic ends. ErrTaken when the group is in use by one that has not
	// expired. ErrUnknownClinic.
	AddPairing(ctx context.Context, p Pairing) error
	// Pairing returns one by its public group, in any state. ErrUnknownPairing.
	Pairing(ctx context.Context, group string) (Pairing, error)
	// WrongTry adds one wrong try and returns how many there are now. At burnAfter the pairing is burnt. ErrUnknownPairing.
	WrongTry(ctx context.Context, group string, burnAfter int) (int, error)
	// CompletePairing uses a pairing, in one transaction: the pairing ends; identity, instance and sealing key replace the former
	// ones; all older tokens die; the token and the URLs are added; History is emptied (this ends a freeze). Older
	// URLs live on until RetireURLs. It returns the mailbox's store epoch. ErrPairingUsed, ErrTaken. Counted.
	CompletePairing(ctx context.Context, p Paired) (wire.StoreEpoch, error)

	// History returns what is known about the sessions of a clinic; zero when there was none. ErrUnknownClinic.
	History(ctx context.Context, id wire.ClinicID) (History, error)
	// SaveHistory writes it if its Version is still the stored one, and raises that by one. ErrConflict.
	SaveHistory(ctx context.Context, id wire.ClinicID, h History) error

	// Note adds up what happened: presence, use of URLs, counts. It is called every few seconds with what changed, need not be
	// durable at once, and ignores clinics and URLs it does not know.
	Note(ctx context.Context, n Notes) error

	// Audit adds a line. Audits returns the youngest lines first, of one clinic or, with an empty id, of all.
	Audit(ctx context.Context, a AuditLine) error
	Audits(ctx context.Context, id wire.ClinicID, limit int) ([]AuditLine, error)

	// AddNotice queues a notice for notify_url unless one with its Key exists, and says whether it was added.
	AddNotice(ctx context.Context, n Notice) (bool, error)
	// DueNotices returns undelivered notices whose time has come and puts each off by lease, so that no other node sends
	// them too.
	DueNotices(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Notice, error)
	// SettleNotice ends one by its key: delivered, or given up.
	SettleNotice(ctx context.Context, key string) error
	// RetryNotice puts one off and counts the try.
	RetryNotice(ctx context.Context, key string, at time.Time) error

	// MACKey returns the 32 random bytes of this database that authenticate poll nonces. Created with the database.
	MACKey(ctx context.Context) ([]byte, error)
}

// Clinic is one customer of the relay.
type Clinic struct {
	ID        wire.ClinicID
	Name      string // given by the operator, at most 200 bytes
	CreatedAt time.Time
	RevokedAt time.Time // zero: live
}

// State is what every node keeps in memory about a clinic.
type State struct {
	ID      wire.ClinicID
	Name    string
	Revoked bool
	Rotate  bool       // a new token was asked for
	Sealing SealingKey // the one to seal to; zero: not paired yet
}

// Changes is what Registry.Changes returns.
type Changes struct {
	Revision Revision
	Clinics  []State
	URLs     []InboundURL // retired, expired and revoked ones are there too, with RetiredAt set
}

// InboundURL is one address for webhooks, known by the hash of its secret alone.
type InboundURL struct {
	Hash      SecretHash
	Clinic    wire.ClinicID
	Kind      string // a kind of wire
	Label     string // for people, e.g. "worklist created"; at most 64 bytes
	CreatedAt time.Time
	ExpiresAt time.Time // zero: none. Set for credentials, which are open for minutes
	RetiredAt time.Time // zero: live
}

// Agent is the appliance of a clinic.
type Agent struct {
	Clinic   wire.ClinicID
	Identity ed25519.PublicKey
	Instance wire.InstanceID // at the time of pairing
	Version  string          // at the time of pairing
	PairedAt time.Time
}

// SealingKey is an X25519 public key of an appliance.
type SealingKey struct {
	KeyID   string
	Public  []byte // 32 bytes
	AddedAt time.Time
}

// Token is an agent's token, known by its hash alone.
type Token struct {
	KID         string
	Clinic      wire.ClinicID
	Hash        SecretHash // of the whole token's text
	CreatedAt   time.Time
	ConfirmedAt time.Time // zero: the agent has not said that it stored it. Set at once for a token given by pairing
	UsedAt      time.Time // first use; zero: never
	DiesAt      time.Time // zero: not yet known
	Revoked     bool      // its clinic is revoked; only read
}

// Pairing is a pairing code, known by its public group and the hash of its secret part.
type Pairing struct {
	Group     string
	Clinic    wire.ClinicID
	Hash      SecretHash
	CreatedAt time.Time
	ExpiresAt time.Time
	Wrong     int       // wrong tries; only read
	EndedAt   time.Time // used, burnt or replaced; zero: open
}

// Paired is what CompletePairing writes.
type Paired struct {
	Group   string
	Clinic  wire.ClinicID
	Agent   Agent
	Sealing SealingKey
	Token   Token
	URLs    []InboundURL
	At      time.Time
}

// Session is one run of an agent.
type Session struct {
	Instance wire.InstanceID `json:"instance"`
	Run      wire.RunID      `json:"run"`
	At       time.Time       `json:"at"`
}

// History is what tells a restart from a copy. A store keeps it as JSON and looks at nothing but the version.
type History struct {
	Version   int64       `json:"-"`
	Present   Session     `json:"present"`
	Runs      []Session   `json:"runs,omitempty"`      // earlier ones, youngest last, at most 16
	Takeovers []time.Time `json:"takeovers,omitempty"` // of the last hour
	Frozen    time.Time   `json:"frozen"`              // zero: not frozen
}

// Notes is what happened since the last Note.
type Notes struct {
	Presence []Presence
	URLs     []URLUse
	Counts   []Counts
}

// Presence is whether a clinic is there. The youngest LastHeard stays.
type Presence struct {
	Clinic         wire.ClinicID
	Epoch          wire.Epoch // ignored when another session has claimed since
	LastHeard      time.Time
	ConnectedSince time.Time // zero: not connected
}

// URLUse is the last, and for the first one the first, use of a URL.
type URLUse struct {
	Hash SecretHash
	At   time.Time
	Uses int64 // since the last Note
}

// Counts are added to those of the clinic.
type Counts struct {
	Clinic    wire.ClinicID
	Received  int64 // events answered with 200
	TooLarge  int64 // bodies refused
	Limited   int64 // requests over the rate
	Gaps      int64
	Takeovers int64
}

// Status is a clinic as an operator sees it.
type Status struct {
	Clinic         Clinic
	Paired         time.Time // zero: not yet
	Version        string    // of the agent at the last claim, else at pairing
	LastHeard      time.Time // zero: never
	ConnectedSince time.Time // zero: not connected
	Transport      string
	Node           NodeID
	Frozen         time.Time // zero: not frozen
	Backlog        int       // unacked events
	BacklogBytes   int64
	Oldest         time.Time // receipt of the oldest unacked event; zero: none
	Head           wire.Seq
	Acked          wire.Seq
	Counts         Counts // since the clinic was added
	URLs           []URLStatus
}

// URLStatus is an inbound URL that is not retired, as an operator sees it.
type URLStatus struct {
	Kind      string
	Label     string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: none
	FirstUsed time.Time // zero: never
	LastUsed  time.Time // zero: never
	Uses      int64
}

// AuditLine records what an operator or the relay did. It holds no secret and no personal data.
type AuditLine struct {
	At     time.Time
	Clinic wire.ClinicID // may be empty
	Action string        // "add", "pair", "paired", "revoke", "rotate", "replay", "freeze", "hookup", "takeover", "epoch"
	Detail string        // at most 500 bytes
}

// Notice is a message for notify_url.
type Notice struct {
	Key    string // unique: one incident makes one notice
	Kind   string // "offline", "recovery", "takeover", "frozen", "gap"
	Clinic wire.ClinicID
	Name   string // of the clinic
	At     time.Time
	Detail string // e.g. "24h"; at most 200 bytes
	Tries  int    // only read
}
