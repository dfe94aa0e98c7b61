package appliance

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/drivers/provet"
)

// This file turns the settings file into what each room wants. The file was
// validated when it was loaded; what is wrong here is a mistake of ours.

// stationsOf returns the machines as the lifecycle sees them.
func stationsOf(f *config.File, machines []mwl.Machine) []station {
	list := make([]station, 0, len(f.Modalities))
	for i, m := range f.Modalities {
		s := station{
			Name: m.Name, AETitle: m.AETitle, Serves: m.Serves, Departments: m.Departments,
			IdleAfter: m.IdleAfter.D(), IdleAction: idleAction(m.IdleAction),
		}
		for _, w := range m.DoneWhen {
			s.DoneWhen = append(s.DoneWhen, order.Source(w))
		}
		machine := &machines[i]
		s.Check = func(o *order.Order) []order.Hold { return mwl.Check(o, machine) }
		list = append(list, s)
	}
	return list
}

// machinesOf returns the machines as the worklist sees them.
func machinesOf(f *config.File) ([]mwl.Machine, error) {
	list := make([]mwl.Machine, 0, len(f.Modalities))
	for _, m := range f.Modalities {
		x, err := machineOf(&m)
		if err != nil {
			return nil, fmt.Errorf("appliance: machine %q: %w", m.Name, err)
		}
		list = append(list, x)
	}
	return list, nil
}

func machineOf(m *config.Modality) (mwl.Machine, error) {
	x := mwl.Machine{
		Name: m.Name, AETitle: m.AETitle, Aliases: m.AEAliases, CalledAliases: m.CalledAliases,
		Code: m.Code, CodeAliases: m.CodeAliases, Sees: m.Sees, StationKey: mwl.StationKey(m.StationKey),
		Charset: m.Charset, PatientName: mwl.PatientNameRule(m.PatientName),
		DaysBack: window(m.DaysBack), DaysAhead: window(m.DaysAhead), MaxAnswers: m.MaxAnswers,
		TransferSyntax: m.TransferSyntax, TextLimits: map[mwl.TextField]int{}, FixedKeys: map[dataset.Tag]string{},
	}
	if m.MaxAnswers == 0 {
		x.MaxAnswers = -1 // the file's 0 is "no limit"
	}
	for _, a := range m.Addresses {
		p, err := prefix(a)
		if err != nil {
			return x, err
		}
		x.Addresses = append(x.Addresses, p)
	}
	for _, s := range m.Show {
		x.Show = append(x.Show, order.State(s))
	}
	for _, s := range m.SpeciesIn {
		x.SpeciesIn = append(x.SpeciesIn, mwl.SpeciesField(s))
	}
	t := m.TextLimits
	for field, n := range map[mwl.TextField]int{
		mwl.LimitAccession: t.Accession, mwl.LimitPatientID: t.PatientID, mwl.LimitName: t.Name,
		mwl.LimitOwner: t.Owner, mwl.LimitSpecies: t.Species, mwl.LimitBreed: t.Breed,
		mwl.LimitProcedure: t.Procedure, mwl.LimitStep: t.Step, mwl.LimitComments: t.Comments,
	} {
		if n > 0 {
			x.TextLimits[field] = n
		}
	}
	for _, k := range m.DropKeys {
		t, err := mwl.ParseTag(k)
		if err != nil {
			return x, err
		}
		x.DropKeys = append(x.DropKeys, t)
	}
	for k, v := range m.FixedKeys {
		t, err := mwl.ParseTag(k)
		if err != nil {
			return x, err
		}
		x.FixedKeys[t] = v
	}
	return x, nil
}

// window returns nil for -1, unlimited.
func window(days int) *int {
	if days < 0 {
		return nil
	}
	return &days
}

// prefix reads an address or a network.
func prefix(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
}

// tablesOf returns the clinic's own mappings.
func tablesOf(f *config.File) mwl.Tables {
	t := mwl.Tables{
		Species: map[string]mwl.Species{}, BodyParts: map[string]string{},
		Procedures: map[string]mwl.Code{}, Protocols: map[string]mwl.Code{},
	}
	for _, s := range f.Species {
		row := mwl.Species{Orientation: s.Orientation, Code: codeOf(s.DICOM)}
		for _, key := range []string{s.Name, s.Code} {
			if key != "" {
				t.Species[key] = row
			}
		}
	}
	for _, a := range f.TargetAreas {
		if a.BodyPart != "" {
			t.BodyParts[a.Name] = a.BodyPart
		}
		if a.Code.Value != "" {
			t.Protocols[a.Name] = codeOf(a.Code)
		}
	}
	for _, p := range f.Procedures {
		t.Procedures[p.Modality] = codeOf(p.Code)
	}
	return t
}

func codeOf(c config.Code) mwl.Code {
	return mwl.Code{Value: c.Value, Scheme: c.Scheme, Meaning: c.Meaning}
}

// statusesOf returns the value that stands for each of our states in the
// clinic's Provet; a state without one is not written.
func statusesOf(f *config.File) map[order.State]string {
	s := f.Provet.Status
	all := map[order.State]string{
		order.Scheduled: string(s.Scheduled), order.InProgress: string(s.InProgress), order.Completed: string(s.Completed),
		order.Discontinued: string(s.Discontinued), order.Cancelled: string(s.Cancelled),
	}
	for st, v := range all {
		if v == "" {
			delete(all, st)
		}
	}
	return all
}

// scopeOf is the departments filter as one text, to see when it changes.
func scopeOf(f *config.File) string {
	list := slices.Sorted(slices.Values(f.Provet.Departments))
	return strings.Join(slices.Compact(list), "\n")
}

// provetOf returns the settings of the Provet driver, without secret and log.
func provetOf(f *config.File) provet.Config {
	p := f.Provet
	c := provet.Config{
		BaseURL: p.BaseURL, ClientID: p.ClientID, CAFile: p.CAFile, ProxyURL: p.ProxyURL,
		Fields: provet.Fields{}, Status: statusesOf(f), Withdrawn: p.Status.Withdrawn, Departments: p.Departments,
		Zone: f.Clinic.Location(), WeightUnit: p.WeightUnit, Sexes: map[string]provet.SexMeaning{},
	}
	for resource, fields := range p.Fields {
		c.Fields[resource] = map[string][]string{}
		for name, candidates := range fields {
			c.Fields[resource][name] = candidates
		}
	}
	for code, meaning := range p.Sexes {
		c.Sexes[code] = sexOf(meaning)
	}
	return c
}

// sexOf reads "M altered", "F", "O unaltered".
func sexOf(s string) provet.SexMeaning {
	var m provet.SexMeaning
	for w := range strings.FieldsSeq(s) {
		switch strings.ToUpper(w) {
		case "M", "F", "O":
			m.Sex = order.Sex(strings.ToUpper(w))
		case "ALTERED", "UNALTERED":
			m.Neutered = order.Neutered(strings.ToUpper(w))
		}
	}
	return m
}
