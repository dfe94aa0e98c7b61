package appliance

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/hl7/mllp"
	"github.com/rayhound/rayhound/drivers/hl7/orders"
)

// risPrefix stands before the name of a RIS in a destination of the outbox.
const risPrefix = "ris:"

// risPeer is a RIS or an image manager as the lifecycle sees it: which orders go
// there, and how it wants its messages.
type risPeer struct {
	Name    string
	profile orders.Profile
	codes   map[string]string // DICOM modality by lower-case name or id of Provet's
	clinic  string

	tls       *tls.Config   // nil: plain
	ackWithin time.Duration // a message answered CA has its result by then

	// CancelApplies: an order that the RIS cancels is closed here; otherwise a
	// person is asked.
	CancelApplies bool
	// From are the addresses that it may send from; empty: only the host of its
	// receiver.
	From []netip.Prefix
	// CharsetIn, when set, overrides what its messages say.
	CharsetIn string

	wake    chan struct{} // size 1: the outbox has something for it
	heardAt atomic.Int64  // unix ms of its last answer
}

// dest is the destination of the outbox.
func (p *risPeer) dest() string { return risPrefix + p.Name }

// serves reports whether orders of a modality go to the RIS.
func (p *risPeer) serves(m order.Ref) bool { return p.profile.ServesModality(m.ID, m.Name) }

// wholeOrder reports whether one message holds all steps of an order.
func (p *risPeer) wholeOrder() bool { return p.profile.Message == orders.OMI }

// lastHeard returns when the RIS answered last; zero: not since the start.
func (p *risPeer) lastHeard() time.Time { return unixMilli(p.heardAt.Load()) }

// profileFor returns the profile with the modality codes of an order's steps.
func (p *risPeer) profileFor(steps []order.Step) orders.Profile {
	prof := p.profile
	prof.Modalities = map[string]string{}
	for _, s := range steps {
		for _, key := range []string{s.Modality.ID, s.Modality.Name} {
			if code := p.codes[refKey(key)]; code != "" && key != "" {
				prof.Modalities[key] = code
			}
		}
	}
	return prof
}

func refKey(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// risOf returns the peers of the settings.
func risOf(f *config.File) ([]*risPeer, error) {
	list := make([]*risPeer, 0, len(f.RIS))
	for i := range f.RIS {
		p, err := newRISPeer(f, &f.RIS[i])
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func newRISPeer(f *config.File, r *config.RIS) (*risPeer, error) {
	p := &risPeer{
		Name: r.Name, clinic: f.Clinic.Name, ackWithin: r.AckWithin.D(), CancelApplies: r.Cancel == "apply", CharsetIn: r.CharsetIn,
		wake: make(chan struct{}, 1), codes: map[string]string{},
		profile: orders.Profile{
			Name: r.Name, Address: r.Address, Version: r.Version, Message: r.Message, Update: r.Update, Charset: r.Charset,
			Serves: r.Serves, OwnsWorklist: r.OwnsWorklist,
			SendingApplication: r.SendingApplication, SendingFacility: r.SendingFacility,
			ReceivingApplication: r.ReceivingApplication, ReceivingFacility: r.ReceivingFacility, Test: r.Test,
			ORC5OnNew: r.ORC5OnNew, PlacerNumber: r.PlacerNumber, NewUIDOnReplace: r.NewUIDOnReplace,
			StationInOrder: r.StationInOrder, Stations: map[string]string{},
			SendADT: r.SendADT, RegisterFirst: r.RegisterFirst, PID35In231: r.PID35In231,
			SpeciesScheme: r.SpeciesScheme, BreedScheme: r.BreedScheme,
			PatientAuthority: r.PatientAuthority, MicrochipAuthority: r.MicrochipAuthority,
			CompletedWhen: r.CompletedWhen, ImageManager: r.ImageManager, QuietPeriod: r.QuietPeriod.D(), Zone: f.Clinic.Location(),
			MinGap: r.MinGap.D(), Timeout: r.Timeout.D(), Resend: r.Resend, MaxTries: r.MaxTries, CloseAfterEach: r.CloseAfterEach,
		},
	}
	for _, m := range f.Modalities {
		p.profile.Stations[m.Name] = m.AETitle
		for _, s := range m.Serves {
			if _, known := p.codes[refKey(s)]; !known {
				p.codes[refKey(s)] = m.Code
			}
		}
	}
	for name, code := range r.Modalities {
		p.codes[refKey(name)] = code
	}
	for _, a := range r.ReceivesFrom {
		x, err := prefix(a)
		if err != nil {
			return nil, fmt.Errorf("appliance: RIS %q: %w", r.Name, err)
		}
		p.From = append(p.From, x)
	}
	if err := p.profile.Check(); err != nil {
		return nil, fmt.Errorf("appliance: RIS %q: %w", r.Name, err)
	}
	var err error
	p.tls, err = risTLS(r)
	return p, err
}

// risTLS returns how to speak TLS with a RIS, nil when it does not.
func risTLS(r *config.RIS) (*tls.Config, error) {
	if !r.TLS {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(r.Address)
	if err != nil {
		return nil, fmt.Errorf("appliance: RIS %q: %w", r.Name, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if r.TLSCAFile != "" {
		pem, err := os.ReadFile(r.TLSCAFile)
		if err != nil {
			return nil, problem.New(problem.ConfigInvalid, problem.Args{"path": r.TLSCAFile, "detail": "tls_ca_file of the RIS " + r.Name + " cannot be read"}, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, problem.New(problem.ConfigInvalid, problem.Args{"path": r.TLSCAFile, "detail": "tls_ca_file of the RIS " + r.Name + " holds no certificate"}, nil)
		}
	}
	if len(r.TLSPin) > 0 {
		return mllp.Pin(c, r.TLSPin...)
	}
	return c, nil
}

// owner returns the RIS that answers the machines for a modality, or nil.
func (r *routes) owner(m order.Ref) *risPeer {
	for _, p := range r.ris {
		if p.profile.OwnsWorklist && p.serves(m) {
			return p
		}
	}
	return nil
}

// peer returns the RIS with that name, or nil.
func (r *routes) peer(name string) *risPeer {
	for _, p := range r.ris {
		if strings.EqualFold(p.Name, name) {
			return p
		}
	}
	return nil
}

// place says where an order can be seen: "On the list of CT1", "With the RIS
// clinic-ris".
func (r *routes) place(o *order.Order) string {
	var owners []string
	for _, s := range o.Steps {
		if p := r.owner(s.Modality); p != nil && len(s.Stations) == 0 && !slices.Contains(owners, p.Name) {
			owners = append(owners, p.Name)
		}
	}
	stations := o.Stations()
	switch {
	case len(owners) == 0:
		return "On the list of " + joinNames(stations)
	case len(stations) == 0:
		return "With the RIS " + joinNames(owners)
	}
	return "On the list of " + joinNames(stations) + ", and with the RIS " + joinNames(owners)
}
