package mwl

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
)

// PatientNameRule says what stands in Patient's Name (0010,0010).
type PatientNameRule string

// The rules; the zero value is OwnerPatient, the form of CP-643.
const (
	OwnerPatient PatientNameRule = "owner^patient"
	PatientOwner PatientNameRule = "patient^owner"
	PatientOnly  PatientNameRule = "patient"
)

// DefaultMaxAnswers is the answer limit of a machine that has none of its own.
const DefaultMaxAnswers = 10000

// Machine is one configured imaging machine: who it is, what it may see and how
// it must be spoken to. Everything a machine needs differently is here; the
// service has no settings of that kind. The zero value of every field but Name,
// AETitle and Code is the default.
type Machine struct {
	Name    string // unique; order.Step.Stations holds it, (0040,0010) answers it
	AETitle string // 1 to 16 characters; calls us under it, (0040,0001) answers it

	Aliases       []string       // further calling titles; also accepted in (0040,0001)
	CalledAliases []string       // further names under which this machine may call us
	Addresses     []netip.Prefix // where it may call from; empty means anywhere

	Code        string   // its modality (0008,0060), such as DX
	CodeAliases []string // further codes it may ask for; the answer repeats the one asked for
	Sees        []string // names of other machines whose orders it may list too
	StationKey  StationKey

	Charset     string // "auto" (or empty), or a defined term such as "ISO_IR 100"
	PatientName PatientNameRule

	DaysBack, DaysAhead *int // window, in days from today, when a query names no date; nil is unlimited
	MaxAnswers          int  // 0 is DefaultMaxAnswers, negative is no limit
	Show                []order.State

	TransferSyntax string                 // "auto" (or empty) or "implicit"; enforced when contexts are negotiated
	TextLimits     map[TextField]int      // shorter limits than those of the VR, in characters
	SpeciesIn      []SpeciesField         // also write species and breed there
	DropKeys       []dataset.Tag          // never returned
	FixedKeys      map[dataset.Tag]string // always answered with this value when asked
}

// StationKey says what a machine's (0040,0001) key is used for.
type StationKey string

// The values of StationKey; the zero value is StationMatch.
const (
	StationMatch  StationKey = "match"
	StationIgnore StationKey = "ignore"
)

// TextField names an attribute whose length a machine may limit.
type TextField string

// The fields of TextLimits. An accession number or patient id that does not fit
// holds the order; the others are cut.
const (
	LimitAccession TextField = "accession"
	LimitPatientID TextField = "patient_id"
	LimitName      TextField = "name"
	LimitOwner     TextField = "owner"
	LimitSpecies   TextField = "species"
	LimitBreed     TextField = "breed"
	LimitProcedure TextField = "procedure"
	LimitStep      TextField = "step"
	LimitComments  TextField = "comments"
)

// TextFields lists the fields of TextLimits.
func TextFields() []TextField {
	return []TextField{
		LimitAccession, LimitPatientID, LimitName, LimitOwner, LimitSpecies, LimitBreed,
		LimitProcedure, LimitStep, LimitComments,
	}
}

// SpeciesField names an attribute that may carry species and breed for consoles
// that never ask for (0010,2201).
type SpeciesField string

// The fields of SpeciesIn.
const (
	SpeciesInComments  SpeciesField = "patient_comments"
	SpeciesInProcedure SpeciesField = "procedure"
	SpeciesInStep      SpeciesField = "step"
)

// titles returns the AE titles a machine answers to, its own first.
func (m *Machine) titles() []string {
	return append([]string{m.AETitle}, m.Aliases...)
}

// shows reports whether steps in a state are offered to the machine.
func (m *Machine) shows(s order.State) bool {
	if len(m.Show) == 0 {
		return s == order.Scheduled || s == order.InProgress
	}
	return slices.Contains(m.Show, s)
}

// maxAnswers returns the limit, or 0 for none.
func (m *Machine) maxAnswers() int {
	switch {
	case m.MaxAnswers < 0:
		return 0
	case m.MaxAnswers == 0:
		return DefaultMaxAnswers
	}
	return m.MaxAnswers
}

// limit returns the number of characters a field may have; vr is the limit of
// its value representation.
func (m *Machine) limit(f TextField, vr int) int {
	if n := m.TextLimits[f]; n > 0 && n < vr {
		return n
	}
	return vr
}

// allows reports whether the machine may call from addr. An IPv4 address that
// arrived mapped into IPv6 counts as IPv4.
func (m *Machine) allows(addr netip.Addr) bool {
	if len(m.Addresses) == 0 {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(m.Addresses, func(p netip.Prefix) bool {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(addr)
	})
}

// Caller finds the machine that calls: its title or alias and its address must
// fit. AE titles are compared without regard to case and surrounding spaces,
// since settings never hold two that differ only in case. When the title is
// known but the address is not allowed, it returns that machine and false.
func Caller(machines []Machine, callingAETitle string, addr netip.Addr) (m *Machine, ok bool) {
	title := trim(callingAETitle)
	if title == "" {
		return nil, false
	}
	for i := range machines {
		if !slices.ContainsFunc(machines[i].titles(), func(t string) bool { return strings.EqualFold(t, title) }) {
			continue
		}
		if machines[i].allows(addr) {
			return &machines[i], true
		}
		if m == nil {
			m = &machines[i]
		}
	}
	return m, false
}

// trim removes the padding of the standard: spaces and NULs at both ends.
func trim(s string) string { return strings.Trim(s, " \x00") }
