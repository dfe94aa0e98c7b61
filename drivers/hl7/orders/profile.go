package orders

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// Message types of an order.
const (
	ORM = "ORM^O01" // HL7 2.3.1 and 2.4
	OMG = "OMG^O19" // HL7 2.5.1
	OMI = "OMI^O23" // HL7 2.5.1
)

// Ways to tell a peer about a changed order.
const (
	UpdateXO = "XO"    // change order
	UpdateCA = "CA+NW" // cancel and new order, for peers of the classic SWF profile
	UpdateRP = "RP"    // replace: RP and RO in one message
)

// Profile says how one peer wants its messages. The zero value of a field is
// the default given with it.
type Profile struct {
	Name    string // ours, for lists
	Address string // host:port of its receiver

	Version string // "2.3.1" (default), "2.4", "2.5.1"
	Message string // ORM (default), OMG, OMI
	Update  string // UpdateXO (default), UpdateCA, UpdateRP
	Charset string // as for [hl7.BuilderConfig]; default UTF-8
	// CharsetIn is that of what the peer sends, whatever MSH-18 says; "" means that
	// MSH-18 counts.
	CharsetIn string

	// Serves are the names or ids of Provet modalities that go to the peer; empty
	// means all.
	Serves []string
	// OwnsWorklist means that the peer answers the machines: what it serves is not
	// on our worklist.
	OwnsWorklist bool

	// SendingApplication and SendingFacility are MSH-3 and MSH-4, default
	// "RAYHOUND" and the clinic; ReceivingApplication and ReceivingFacility are MSH-5
	// and MSH-6, default Name and the clinic. What the peer sends back bears them the
	// other way round.
	SendingApplication, SendingFacility     string
	ReceivingApplication, ReceivingFacility string
	// Test makes MSH-11 "T" instead of "P".
	Test bool

	// ORC5OnNew is ORC-5 of NW and XO: empty for a RIS (RAD-2), "SC" for an image
	// manager (RAD-4, dcm4chee). When it is set, CA and DC carry ORC-5 = CA.
	ORC5OnNew string
	// PlacerNumber is ORC-2: "accession" (default), the number of the order, or
	// "step", the id of the step, for peers that refuse a number they know.
	PlacerNumber string
	// NewUIDOnReplace sends a new Study Instance UID with CA+NW and RP, as classic
	// SWF wants. The default keeps the UID, so that images already taken stay with
	// the order.
	NewUIDOnReplace bool
	// StationInOrder sends the AE titles of the machines: ORC-18, in OMI IPC-9.
	StationInOrder bool
	// Stations are the AE titles by name of machine.
	Stations map[string]string
	// Modalities are DICOM modality codes by name or id of the Provet modality. One
	// that is not listed is sent as its name when that looks like a code, else "OT".
	Modalities map[string]string

	// SendADT sends ADT^A08 and A40 when the animal changes; RegisterFirst sends
	// ADT^A04 ahead of a new order.
	SendADT, RegisterFirst bool
	// PID35In231 sends species and breed (PID-35, PID-36) in 2.3.1, whose PID ends
	// before them.
	PID35In231 bool
	// SpeciesScheme and BreedScheme are the coding schemes of the codes of orders,
	// such as "SCT" and "VTSL". Without one the code is not sent, only the text.
	SpeciesScheme, BreedScheme string
	// PatientAuthority is the assigning authority of the patient id, PID-3.4.
	PatientAuthority string
	// MicrochipAuthority sends the microchip as a second PID-3 of that authority;
	// empty does not send it.
	MicrochipAuthority string

	// CompletedWhen are the fields that say an order is done, such as "ORC-5=CM"
	// and "OBR-25=F"; empty means the table of [Read].
	CompletedWhen []string
	// ImageManager: OBR-25 = A and X mean images rejected in quality review, as
	// dcm4chee sends them.
	ImageManager bool
	// QuietPeriod is copied to reports of images: an image manager says completed
	// with the first image.
	QuietPeriod time.Duration
	// Zone is that of times without one, default UTC; times are sent in it.
	Zone *time.Location

	// MinGap is the least time between an answer and the next message; Timeout the
	// wait for the answer, default 30 s.
	MinGap, Timeout time.Duration
	// Resend sends a message again when its outcome is unknown; the default parks it.
	Resend bool
	// MaxTries bounds the tries of a message that the peer answers with an error,
	// default 5.
	MaxTries int
	// CloseAfterEach opens a connection for each message.
	CloseAfterEach bool
}

// ErrProfile is wrapped by the errors of [Profile.Check].
var ErrProfile = errors.New("orders: the settings of the peer do not fit together")

// Check reports the first setting that cannot be.
func (p *Profile) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrProfile}, args...)...)
	}
	version, message := p.version(), p.message()
	switch {
	case !slices.Contains([]string{"2.3.1", "2.4", "2.5.1"}, version):
		return bad("version %q", version)
	case !slices.Contains([]string{ORM, OMG, OMI}, message):
		return bad("message %q", message)
	case (message == ORM) == (version == "2.5.1"):
		return bad("message %q does not exist in version %q", message, version)
	case !slices.Contains([]string{"", UpdateXO, UpdateCA, UpdateRP}, p.Update):
		return bad("update %q", p.Update)
	case p.Charset != "" && !hl7.KnownCharset(p.Charset):
		return bad("character set %q", p.Charset)
	case !slices.Contains([]string{"", "accession", "step"}, p.PlacerNumber):
		return bad("placer number %q", p.PlacerNumber)
	}
	for _, c := range p.CompletedWhen {
		if _, err := parseCondition(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *Profile) version() string {
	if p.Version == "" && p.message() != ORM {
		return "2.5.1"
	}
	return or(p.Version, "2.3.1")
}

func (p *Profile) message() string { return or(p.Message, ORM) }
func (p *Profile) update() string  { return or(p.Update, UpdateXO) }

func (p *Profile) maxTries() int {
	if p.MaxTries <= 0 {
		return 5
	}
	return p.MaxTries
}

// time writes t in the peer's zone.
func (p *Profile) time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if p.Zone != nil {
		t = t.In(p.Zone)
	}
	return hl7.Timestamp(t)
}

// ServesModality reports whether orders of a Provet modality go to the peer.
func (p *Profile) ServesModality(id, name string) bool {
	if len(p.Serves) == 0 {
		return true
	}
	return slices.ContainsFunc(p.Serves, func(s string) bool {
		return s != "" && (s == id || strings.EqualFold(strings.TrimSpace(s), strings.TrimSpace(name)))
	})
}

// host is the host of Address.
func (p *Profile) host() string {
	host, _, err := net.SplitHostPort(p.Address)
	if err != nil {
		return ""
	}
	return host
}

// or returns the first value that is not empty.
func or(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
