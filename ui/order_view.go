package ui

import (
	"log/slog"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
)

// Order is an order as programs see it.
type Order struct {
	AccessionNumber      string      `json:"accession_number"`
	ProvetID             string      `json:"provet_id"`
	State                order.State `json:"state"`
	PatientID            string      `json:"patient_id"`
	PatientName          string      `json:"patient_name"`
	Owner                string      `json:"owner"`
	Species              string      `json:"species"`
	Breed                string      `json:"breed"`
	Sex                  string      `json:"sex"`
	BirthDate            string      `json:"birth_date"`
	StudyInstanceUID     string      `json:"study_instance_uid"`
	RequestedProcedureID string      `json:"requested_procedure_id"`
	Modality             string      `json:"modality"` // names of Provet's modalities, separated by ", "
	Stations             []string    `json:"stations"`
	Revision             int         `json:"revision"`
	ByHand               bool        `json:"by_hand"`
	UpstreamStatus       string      `json:"upstream_status"`
	Why                  string      `json:"why"` // why it is closed or held, in one line
	Steps                []Step      `json:"steps"`
	Holds                []Hold      `json:"holds"`
	Notices              []Notice    `json:"notices"`
	ScheduledAt          time.Time   `json:"scheduled_at,omitzero"`
	CreatedAt            time.Time   `json:"created_at"`
	ChangedAt            time.Time   `json:"changed_at"`
	ClosedAt             time.Time   `json:"closed_at,omitzero"`
	Evidence             []Evidence  `json:"evidence"` // empty in lists
	Timeline             []Entry     `json:"timeline"` // empty in lists
}

// OrderDetail is an order with everything known about it.
type OrderDetail struct {
	Order
	Complaint    string        `json:"complaint"`
	Remarks      string        `json:"remarks"`
	Veterinarian string        `json:"veterinarian"`
	TargetAreas  []string      `json:"target_areas"`
	Messages     []Message     `json:"messages"`     // outbox, with the attempts
	Documents    []Document    `json:"documents"`    // reports of a RIS, without their texts
	Numbers      []Number      `json:"numbers"`      // of the RIS
	Queries      []Query       `json:"queries"`      // the newest worklist queries that met it
	Explanations []Explanation `json:"explanations"` // for each machine, whether it would see the order now
}

// Number is how a RIS calls an order, or one of its steps.
type Number struct {
	RIS                      string `json:"ris"`
	ScheduledProcedureStepID string `json:"scheduled_procedure_step_id,omitempty"`
	FillerOrderNumber        string `json:"filler_order_number,omitempty"`
	AccessionNumber          string `json:"accession_number,omitempty"`
}

// Step is a scheduled procedure step.
type Step struct {
	ScheduledProcedureStepID string      `json:"scheduled_procedure_step_id"`
	Modality                 string      `json:"modality"`
	Stations                 []string    `json:"stations"`
	State                    order.State `json:"state"`
	StartedAt                time.Time   `json:"started_at,omitzero"`
	EndedAt                  time.Time   `json:"ended_at,omitzero"`
}

// Hold says why an order cannot be scheduled.
type Hold struct {
	Code   string `json:"code"`
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Notice is something that a person should look at.
type Notice struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
	At   time.Time         `json:"at"`
}

// Evidence is one fact in the ledger.
type Evidence struct {
	At                       time.Time    `json:"at"`
	Source                   order.Source `json:"source"`
	Event                    order.Event  `json:"event"`
	ScheduledProcedureStepID string       `json:"scheduled_procedure_step_id,omitempty"`
	Station                  string       `json:"station,omitempty"`
	Ref                      string       `json:"ref,omitempty"`
	Series                   int          `json:"series,omitempty"`
	Instances                int          `json:"instances,omitempty"`
	Reason                   string       `json:"reason,omitempty"`
	Decided                  bool         `json:"decided"`
}

// Entry is one line of the timeline.
type Entry struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Source string    `json:"source"`
	Code   string    `json:"code,omitempty"`
	Text   string    `json:"text"`
}

// Explanation says whether a machine would see an order now, and if not why.
type Explanation struct {
	Machine string `json:"machine"`
	Visible bool   `json:"visible"`
	Reason  string `json:"reason,omitempty"`
}

// OrderFilter selects orders; the zero value is the newest 200 of all.
type OrderFilter struct {
	States    []order.State
	Open      bool   // only those that wait for something
	PatientID string // exactly
	Station   string // name of a machine
	Text      string // part of the accession number or the animal's name
	Since     time.Time
	Limit     int // 1 to 1000; 0 means 200
	Offset    int
}

// NewOrder is an order entered by a person. PatientID, PatientName and Modality
// are needed.
type NewOrder struct {
	PatientID   string    `json:"patient_id"`
	PatientName string    `json:"patient_name"`
	Species     string    `json:"species,omitempty"`
	Sex         order.Sex `json:"sex,omitempty"`
	BirthDate   string    `json:"birth_date,omitempty"` // YYYY-MM-DD
	OwnerFirst  string    `json:"owner_first,omitempty"`
	OwnerLast   string    `json:"owner_last,omitempty"`
	Modality    string    `json:"modality"` // name or id, as in serves
	Remarks     string    `json:"remarks,omitempty"`
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}

// LogValue keeps personal data out of logs.
func (NewOrder) LogValue() slog.Value { return slog.StringValue("[new order]") }

// LogValue keeps personal data out of logs.
func (o Order) LogValue() slog.Value { return slog.StringValue("[order " + o.AccessionNumber + "]") }

// ActionKind is what a person does to an order.
type ActionKind string

// What a person may do to an order.
const (
	Complete ActionKind = "complete" // it is done
	Cancel   ActionKind = "cancel"   // take it off the list
	Suspend  ActionKind = "hold"     // keep it off the list for now
	Release  ActionKind = "release"  // end of the hold
	Resend   ActionKind = "resend"   // tell everybody again
	Reopen   ActionKind = "reopen"   // offer it again
	Link     ActionKind = "link"     // it is that order of Provet Cloud; for one entered by hand
)

// Action is something a person does to an order. Complete, Cancel, Hold and
// Reopen need a reason.
type Action struct {
	Kind     ActionKind `json:"-"`
	Reason   string     `json:"reason"`
	ProvetID string     `json:"provet_id,omitempty"` // of Link
	To       string     `json:"to,omitempty"`        // of Resend: the destination; empty: provet
	AsNew    bool       `json:"as_new,omitempty"`    // of Resend: a new message, not the same bytes
	Taken    bool       `json:"taken,omitempty"`     // of Resend: nothing is sent, the destination has it already
}

// ViewOrder returns the view of an order. Evidence and timeline may be nil.
func ViewOrder(o *order.Order, evidence []order.Evidence, timeline []order.Entry) Order {
	c := &o.Content
	v := Order{
		AccessionNumber: o.AccessionNumber, ProvetID: o.ProvetID, State: o.State, PatientID: c.Patient.ID, PatientName: c.Patient.Name,
		Owner: c.Owner.DisplayName(), Species: c.Patient.Species, Breed: c.Patient.Breed, Sex: string(c.Patient.Sex), BirthDate: c.Patient.BirthDate,
		StudyInstanceUID: o.StudyInstanceUID, RequestedProcedureID: o.RequestedProcedureID, Modality: refNames(c.Modalities),
		Stations: o.Stations(), Revision: o.Revision, ByHand: o.ByHand, UpstreamStatus: o.UpstreamStatus, Why: o.ClosedText,
		Steps: []Step{}, Holds: []Hold{}, Notices: []Notice{}, Evidence: []Evidence{}, Timeline: []Entry{},
		ScheduledAt: c.ScheduledAt, CreatedAt: o.CreatedAt, ChangedAt: o.ChangedAt, ClosedAt: o.ClosedAt,
	}
	if v.Stations == nil {
		v.Stations = []string{}
	}
	for _, s := range o.Steps {
		stations := s.Stations
		if stations == nil {
			stations = []string{}
		}
		v.Steps = append(v.Steps, Step{
			ScheduledProcedureStepID: s.ScheduledProcedureStepID, Modality: s.Modality.Name, Stations: stations,
			State: s.State, StartedAt: s.StartedAt, EndedAt: s.EndedAt,
		})
	}
	for _, h := range o.Holds {
		v.Holds = append(v.Holds, Hold(h))
	}
	if v.Why == "" && len(v.Holds) > 0 {
		v.Why = holdText(v.Holds)
	}
	for _, n := range o.Notices {
		if !n.Done {
			v.Notices = append(v.Notices, Notice{Code: n.Code, Args: n.Args, At: n.At})
		}
	}
	for _, e := range evidence {
		v.Evidence = append(v.Evidence, Evidence{
			At: e.At, Source: e.Source, Event: e.Event, ScheduledProcedureStepID: e.ScheduledProcedureStepID, Station: e.Station,
			Ref: e.Ref, Series: e.Series, Instances: e.Instances, Reason: e.Reason, Decided: e.Decided,
		})
	}
	for _, e := range timeline {
		v.Timeline = append(v.Timeline, Entry{At: e.At, Kind: e.Kind, Source: e.Source, Code: e.Code, Text: e.Text})
	}
	return v
}

func refNames(refs []order.Ref) string {
	names := make([]string, len(refs))
	for i, r := range refs {
		if names[i] = r.Name; r.Name == "" {
			names[i] = r.ID
		}
	}
	return strings.Join(names, ", ")
}

func holdText(holds []Hold) string {
	parts := make([]string, len(holds))
	for i, h := range holds {
		parts[i] = h.Field
		if h.Detail != "" {
			parts[i] += " (" + h.Detail + ")"
		}
	}
	return "held: " + strings.Join(parts, ", ")
}
