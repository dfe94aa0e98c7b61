package hl7

// Group is one order of a message: an OBR with the ORC before it and what
// belongs to both. Either may be absent.
type Group struct {
	ORC, OBR     Segment
	Notes        []Segment // NTE under ORC and OBR
	Observations []Observation
	// Others are the remaining segments of the order in their order, as TQ1, ZDS,
	// IPC, DG1.
	Others []Segment
}

// Observation is one OBX with its notes.
type Observation struct {
	OBX   Segment
	Notes []Segment
}

// First returns the first segment of that name among Others.
func (g Group) First(name string) Segment {
	for _, s := range g.Others {
		if s.Name() == name {
			return s
		}
	}
	return Segment{}
}

// Groups returns the orders of a message in their sequence. An OBX before any
// ORC and OBR makes a group of its own; other segments before the first order
// belong to none.
func (m *Message) Groups() []Group {
	var out []Group
	open := func() *Group {
		out = append(out, Group{})
		return &out[len(out)-1]
	}
	var g *Group
	for i := range m.segments {
		s := Segment{m, i}
		name := m.segments[i].name
		switch {
		case name == "ORC":
			g = open()
			g.ORC = s
		case name == "OBR":
			if g == nil || g.OBR.Exists() || len(g.Observations) > 0 {
				g = open()
			}
			g.OBR = s
		case name == "OBX":
			if g == nil {
				g = open()
			}
			g.Observations = append(g.Observations, Observation{OBX: s})
		case g == nil:
		case name == "NTE" && len(g.Observations) > 0:
			o := &g.Observations[len(g.Observations)-1]
			o.Notes = append(o.Notes, s)
		case name == "NTE":
			g.Notes = append(g.Notes, s)
		default:
			g.Others = append(g.Others, s)
		}
	}
	return out
}
