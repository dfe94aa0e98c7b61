package hl7sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/drivers/hl7"
)

// incoming is one order of a message.
type incoming struct {
	control, placer, filler, accession string
	patientID, patientName, procedure  string
	steps                              []Step
}

// readOrders reads the orders of a message, with as much as there is of them.
func readOrders(m *hl7.Message) []incoming {
	get := func(s hl7.Segment, at string) string { return strings.TrimSpace(s.Get(at)) }
	var out []incoming
	for _, g := range m.Groups() {
		if !g.ORC.Exists() || len(out) == maxGroups {
			continue
		}
		in := incoming{
			control: strings.ToUpper(get(g.ORC, "1")), placer: first(get(g.ORC, "2"), get(g.OBR, "2")), filler: first(get(g.ORC, "3"), get(g.OBR, "3")),
			accession: get(g.OBR, "18"), patientID: strings.TrimSpace(m.Get("PID-3")), patientName: m.Text("PID-5"), procedure: get(g.OBR, "4.2"),
		}
		for _, s := range g.Others {
			if s.Name() == "IPC" && len(in.steps) < maxGroups {
				in.accession = first(get(s, "1"), in.accession)
				in.steps = append(in.steps, Step{ID: get(s, "4"), RequestedProcedureID: get(s, "2"), StudyInstanceUID: get(s, "3"), Modality: get(s, "5")})
			}
		}
		if len(in.steps) == 0 {
			in.steps = []Step{{
				ID: get(g.OBR, "20"), RequestedProcedureID: get(g.OBR, "19"), StudyInstanceUID: get(g.First("ZDS"), "1"), Modality: get(g.OBR, "24"),
			}}
		}
		in.accession = first(in.accession, in.placer)
		out = append(out, in)
	}
	return out
}

// maxGroups bounds the orders of one message, and the steps of one order.
const maxGroups = 1000

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// refusal is why a message is not applied.
type refusal struct {
	code  hl7.AckCode
	error hl7.AckError
}

// apply applies one order; id is the MSH-10. The caller holds mu.
func (r *RIS) apply(id string, in incoming) *refusal {
	if in.accession == "" {
		return &refusal{hl7.AE, hl7.AckError{Code: hl7.CodeRequiredFieldMissing, Where: "ORC-2", Text: "The order has no number."}}
	}
	o := r.held.orders[in.accession]
	anomaly := func(format string, args ...any) {
		r.held.anomaly(&r.config, Anomaly{id, in.accession, fmt.Sprintf(format, args...)})
	}
	state := Ordered
	switch in.control {
	case "NW", "RO":
		if o != nil && in.control == "NW" && o.knows(in.steps) {
			anomaly("NW of an order that stands already")
			if r.config.Strict {
				return &refusal{hl7.AE, hl7.AckError{Code: hl7.CodeDuplicateKey, Where: "ORC-2", Text: "The order exists already."}}
			}
		}
	case "XO", "XX", "RP":
		state = ""
	case "CA", "OC":
		state = Cancelled
	case "DC", "OD":
		state = Discontinued
	case "SC", "OK":
		state = ""
	default:
		return &refusal{hl7.AE, hl7.AckError{Code: hl7.CodeRequiredFieldMissing, Where: "ORC-1", Text: "The order control code is not known here."}}
	}
	if o == nil {
		if in.control != "NW" && in.control != "RO" && in.control != "RP" {
			anomaly("%s of an order that is not known", in.control)
			if r.config.Strict {
				return &refusal{hl7.AE, hl7.AckError{Code: hl7.CodeUnknownKey, Where: "ORC-2", Text: "The order is not known."}}
			}
		}
		if len(r.held.orders) >= r.config.MaxOrders {
			return &refusal{hl7.AR, hl7.AckError{Code: hl7.CodeInternalError, Text: "There is no room for another order."}}
		}
		r.lastFiller++
		o = &Order{AccessionNumber: in.accession, FillerOrderNumber: fmt.Sprintf("F%06d", r.lastFiller), State: Ordered}
		r.held.orders[in.accession] = o
	} else if in.control == "XO" || (in.control == "NW" || in.control == "RO") && o.has(in.steps) {
		o.Changes++
	}
	o.update(id, in, state)
	return nil
}

// knows reports whether the order has one of the steps, and it was not given up.
func (o *Order) knows(steps []Step) bool {
	for _, n := range steps {
		for _, s := range o.Steps {
			if s.ID == n.ID && s.State != Cancelled && s.State != Discontinued {
				return true
			}
		}
	}
	return false
}

// has reports whether the order has one of the steps, in whatever state.
func (o *Order) has(steps []Step) bool {
	return slices.ContainsFunc(steps, func(n Step) bool {
		return slices.ContainsFunc(o.Steps, func(s Step) bool { return s.ID == n.ID })
	})
}

// applyADT takes what is told about an animal: A04 and A08 its name, A40 that it
// goes by another id now. The caller holds mu.
func (r *RIS) applyADT(m *hl7.Message) {
	id, name, was := strings.TrimSpace(m.Get("PID-3")), m.Text("PID-5"), strings.TrimSpace(m.Get("MRG-1"))
	for _, o := range r.held.orders {
		if m.Type() == "ADT^A40" && was != "" && o.PatientID == was {
			o.PatientID = first(id, was)
		}
		if o.PatientID == id && id != "" {
			o.PatientName = first(name, o.PatientName)
		}
	}
}

// maxApplied bounds Order.Messages.
const maxApplied = 1000

func (o *Order) update(id string, in incoming, state State) {
	o.Control, o.PlacerOrderNumber = in.control, first(in.placer, o.PlacerOrderNumber)
	if len(o.Messages) < maxApplied && (len(o.Messages) == 0 || o.Messages[len(o.Messages)-1] != id) {
		o.Messages = append(o.Messages, id)
	}
	o.PatientID, o.PatientName = first(in.patientID, o.PatientID), first(in.patientName, o.PatientName)
	o.Procedure = first(in.procedure, o.Procedure)
	for _, n := range in.steps {
		i := 0
		for i < len(o.Steps) && o.Steps[i].ID != n.ID {
			i++
		}
		switch {
		case i == len(o.Steps) && i < maxGroups:
			n.State = Ordered
			o.Steps = append(o.Steps, n)
		case i == len(o.Steps):
			continue
		default:
			s := &o.Steps[i]
			s.RequestedProcedureID, s.StudyInstanceUID = first(n.RequestedProcedureID, s.RequestedProcedureID), first(n.StudyInstanceUID, s.StudyInstanceUID)
			s.Modality = first(n.Modality, s.Modality)
		}
		if state != "" {
			o.Steps[i].State = state
		}
	}
	o.settle()
}

// settle makes the state of the order that of its steps: the first of those that
// were not given up.
func (o *Order) settle() {
	if len(o.Steps) == 0 {
		return
	}
	o.State = o.Steps[0].State
	for _, s := range o.Steps {
		if s.State != Cancelled && s.State != Discontinued {
			o.State = s.State
			return
		}
	}
}

// set gives the order and the steps that were not given up a state. The caller
// holds mu.
func (o *Order) set(s State) {
	for i := range o.Steps {
		if o.Steps[i].State != Cancelled && o.Steps[i].State != Discontinued {
			o.Steps[i].State = s
		}
	}
	o.settle()
}
