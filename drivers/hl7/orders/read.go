package orders

import (
	"errors"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/hl7"
)

// ReportKind is what kind of news a report is.
type ReportKind string

// The kinds of report.
const (
	KindStatus  ReportKind = "status"  // where the order stands
	KindResult  ReportKind = "result"  // text or documents
	KindNumber  ReportKind = "number"  // the peer's number of the order
	KindRefusal ReportKind = "refusal" // UA, UC, UX, UD: for a person
)

// Report is what a message says about one order. All ids are as the peer wrote
// them; which order is meant is for the caller to find.
type Report struct {
	Kind ReportKind

	AccessionNumber          string // OBR-18, IPC-1
	PlacerOrderNumber        string // ORC-2, OBR-2
	FillerOrderNumber        string // ORC-3, OBR-3
	StudyInstanceUID         string // OBX with OBX-3 = 113014, IPC-3, ZDS-1
	RequestedProcedureID     string // OBR-19, IPC-2
	ScheduledProcedureStepID string // OBR-20, IPC-4
	PatientID                string // PID-3

	// Event moves the order; "" moves nothing.
	Event   order.Event
	Meaning Meaning
	// Quiet is how long nothing else may come before Event counts.
	Quiet time.Duration

	Control string // ORC-1
	Status  string // ORC-5, else OBR-25
	Result  string // OBR-25

	Text       string // of the report, or why something was refused
	Documents  []Document
	Correction bool // replaces what was sent before
	Test       bool // MSH-11 = T or D
	At         time.Time
	Notes      []string // what was odd, without personal data
}

// ErrType means a message that speaks of no order.
var ErrType = errors.New("orders: the message type says nothing about orders")

// readTypes are the message codes that Read takes.
var readTypes = map[string]bool{"ORM": true, "OMG": true, "OMI": true, "ORU": true, "ORR": true, "ORG": true, "ORI": true}

// maxReports bounds the orders of one message.
const maxReports = 1000

// Read says what a status, a report or an answer means, order by order. It
// returns ErrType for other messages and for one without ORC, OBR and OBX none.
//
// Without Profile.CompletedWhen an order is completed by ORC-5 = CM or by OBR-25 =
// R, P, A, F or C, the latter only when ORC-5 is empty, A or CM.
func Read(p *Profile, m *hl7.Message) ([]Report, error) {
	code, _, _ := strings.Cut(m.Type(), "^")
	if !readTypes[code] {
		return nil, ErrType
	}
	groups := m.Groups()
	if len(groups) > maxReports {
		return nil, &hl7.LimitError{What: "orders", Limit: maxReports}
	}
	r := reader{p: p, m: m}
	var out []Report
	for _, g := range groups {
		out = append(out, r.group(g)...)
	}
	return out, nil
}

type reader struct {
	p *Profile
	m *hl7.Message
}

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

func get(s hl7.Segment, at string) string { return strings.TrimSpace(s.Get(at)) }

// group reads one order; it gives a report for each IPC when there are several.
func (r reader) group(g hl7.Group) []Report {
	rep := Report{
		PlacerOrderNumber:        or(get(g.ORC, "2"), get(g.OBR, "2")),
		FillerOrderNumber:        or(get(g.ORC, "3"), get(g.OBR, "3")),
		AccessionNumber:          get(g.OBR, "18"),
		RequestedProcedureID:     get(g.OBR, "19"),
		ScheduledProcedureStepID: get(g.OBR, "20"),
		PatientID:                strings.TrimSpace(r.m.Get("PID-3")),
		StudyInstanceUID:         get(g.First("ZDS"), "1"),
		Control:                  upper(g.ORC.Get("1")),
		Result:                   upper(g.OBR.Get("25")),
	}
	if t := upper(r.m.ProcessingID()); t == "T" || t == "D" {
		rep.Test = true
	}
	st := status{control: rep.Control, orc5: upper(g.ORC.Get("5")), obr25: rep.Result}
	rep.Status = or(st.orc5, st.obr25)
	r.observations(&rep, &st, g)
	r.judge(&rep, st)
	rep.At = r.at(g, rep.Kind)
	var out []Report
	for _, s := range g.Others {
		if s.Name() != "IPC" {
			continue
		}
		one := rep
		one.AccessionNumber = or(get(s, "1"), rep.AccessionNumber)
		one.RequestedProcedureID = or(get(s, "2"), rep.RequestedProcedureID)
		one.StudyInstanceUID = or(get(s, "3"), rep.StudyInstanceUID)
		one.ScheduledProcedureStepID = or(get(s, "4"), rep.ScheduledProcedureStepID)
		out = append(out, one)
		if len(out) == maxReports {
			break
		}
	}
	if out == nil {
		out = []Report{rep}
	}
	// Text and documents belong to the order, once.
	for i := 1; i < len(out); i++ {
		out[i].Text, out[i].Documents = "", nil
	}
	return out
}

func (r reader) judge(rep *Report, st status) {
	kind, v, ok := judgeControl(st.control)
	if !ok || v.meaning == Changed && (st.orc5 != "" && st.orc5 != "SC" || st.obr25 != "") {
		kind, v = KindStatus, r.p.judge(st)
	}
	rep.Kind, rep.Event, rep.Meaning = kind, v.event, v.meaning
	if v.meaning == Acquired && v.event == order.StepCompleted {
		rep.Quiet = r.p.QuietPeriod
	}
	if kind == KindRefusal {
		rep.Text = or(rep.Text, strings.TrimSpace(r.m.Text("MSA-3")))
	}
	if kind == KindStatus && (rep.Text != "" || len(rep.Documents) > 0) {
		rep.Kind = KindResult
	}
	if st.obr25 == "C" {
		rep.Correction = true
	}
	for _, v := range st.obx11 {
		if v == "C" || v == "D" || v == "W" {
			rep.Correction = true
		}
	}
	if rep.Meaning == "" && rep.Kind == KindStatus && st.control == "" {
		rep.Notes = append(rep.Notes, "neither ORC-1, ORC-5 nor OBR-25 says where the order stands")
	}
}

// at is when it happened, as well as the message says.
func (r reader) at(g hl7.Group, k ReportKind) time.Time {
	fields := []string{g.ORC.Get("9"), g.OBR.Get("22")}
	if k == KindResult {
		fields[0], fields[1] = fields[1], fields[0]
	}
	for _, v := range append(fields, r.m.Get("MSH-7")) {
		if t, ok := parseTime(v, r.p.Zone); ok {
			return t
		}
	}
	return time.Time{}
}

// parseTime reads an HL7 time, to the day at least: YYYYMMDD[HH[MM[SS[.S]]]][+/-ZZZZ].
func parseTime(s string, zone *time.Location) (time.Time, bool) {
	if zone == nil {
		zone = time.UTC
	}
	s = strings.TrimSpace(s)
	offset := ""
	if i := strings.LastIndexAny(s, "+-"); i >= 8 {
		s, offset = s[:i], s[i:]
	}
	s, _, _ = strings.Cut(s, ".")
	layouts := map[int]string{8: "20060102", 10: "2006010215", 12: "200601021504", 14: "20060102150405"}
	layout, ok := layouts[len(s)]
	if !ok {
		return time.Time{}, false
	}
	if offset != "" {
		if t, err := time.Parse(layout+"-0700", s+offset); err == nil {
			return t, true
		}
	}
	t, err := time.ParseInLocation(layout, s, zone)
	return t, err == nil
}
