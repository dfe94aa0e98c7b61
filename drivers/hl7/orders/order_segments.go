package orders

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/rayhound/rayhound/appliance/order"
)

// Errors of orders that cannot be sent.
var (
	ErrNoStep     = errors.New("orders: the message is about one step, and none was named")
	ErrNoStudyUID = errors.New("orders: the order has no Study Instance UID")
	ErrNoNewUID   = errors.New("orders: the peer wants a new Study Instance UID for a replacement, and none was given")
)

// orderMessage writes the message of an order control code.
func (w *writer) orderMessage(k Kind, replaces bool) error {
	if len(w.steps) == 0 {
		return ErrNoStep
	}
	uid := or(w.meta.StudyInstanceUID, w.o.StudyInstanceUID)
	renewed := uid
	if replaces && w.p.NewUIDOnReplace {
		if renewed = w.meta.NewStudyInstanceUID; renewed == "" {
			return ErrNoNewUID
		}
	}
	if uid == "" {
		return ErrNoStudyUID
	}
	structure := strings.ReplaceAll(w.p.message(), "^", "_")
	w.header(w.p.message(), structure)
	if err := w.pid(); err != nil {
		return err
	}
	w.pv1()
	switch k {
	case RP:
		w.group("RP", 1, uid)
		w.group("RO", 2, renewed)
	case NW:
		w.group("NW", 1, renewed)
	case XO, CA, DC, A04, A08, A40:
		w.group(string(k), 1, uid)
	}
	return nil
}

// group writes one ORC with what belongs to it.
func (w *writer) group(control string, n int, uid string) {
	w.orc(control)
	modern := w.p.message() != ORM
	if modern {
		w.b.Segment("TQ1").Set("1", "1").Set("7", w.p.time(w.c.ScheduledAt)).Set("9", w.priority())
	}
	w.obr(n)
	if control != "RP" {
		if w.c.Remarks != "" {
			w.b.Segment("NTE").Set("1", "1").Set("3", w.c.Remarks)
		}
		w.weight()
	}
	if w.p.message() == OMI {
		for _, step := range w.steps {
			w.ipc(step, uid)
		}
		return
	}
	w.b.Segment("ZDS").SetAll("1", uid, "", "Application", "DICOM")
}

func (w *writer) placer() string {
	if w.p.PlacerNumber == "step" && len(w.steps) == 1 {
		return w.steps[0].ScheduledProcedureStepID
	}
	return w.o.AccessionNumber
}

func (w *writer) orc(control string) {
	s := w.b.Segment("ORC").Set("1", control).Set("2", w.placer()).Set("3", w.meta.FillerOrderNumber)
	if w.p.ORC5OnNew != "" {
		switch control {
		case "NW", "XO", "RO":
			s.Set("5", w.p.ORC5OnNew)
		case "CA", "DC":
			s.Set("5", "CA")
		case "RP":
			s.Set("5", "RP")
		}
	}
	if w.p.message() == ORM {
		s.Set("7.4", w.p.time(w.c.ScheduledAt)).Set("7.6", w.priority())
	}
	s.Set("9", w.p.time(w.meta.At))
	person(s, "12", firstPerson(w.c.RequestingUser, w.c.Veterinarian))
	if d := w.c.Department; d.Name != "" || d.ID != "" {
		coded(s, "17", d.ID, d.Name, "99PROVET")
	}
	if w.p.message() != OMI {
		for i, ae := range w.stations(w.steps[0]) {
			s.Set("18["+strconv.Itoa(i+1)+"]", ae)
		}
	}
}

func (w *writer) obr(n int) {
	step := w.steps[0]
	s := w.b.Segment("OBR").Set("1", strconv.Itoa(n)).Set("2", w.placer()).Set("3", w.meta.FillerOrderNumber)
	code, scheme := w.code(step)
	s.SetAll("4", code, w.procedure(step), scheme)
	if w.p.message() != OMI {
		s.Set("4.4", code).Set("4.5", w.description(step)).Set("4.6", scheme)
	}
	s.Set("13", w.c.Patient.Alerts)
	person(s, "16", firstPerson(w.c.RequestingUser, w.c.Veterinarian))
	if w.p.message() != OMI {
		s.Set("18", w.o.AccessionNumber).Set("19", w.o.RequestedProcedureID).
			Set("20", step.ScheduledProcedureStepID).Set("24", w.modality(step))
	}
	if w.p.message() == ORM {
		s.Set("27.4", w.p.time(w.c.ScheduledAt)).Set("27.6", w.priority())
	}
	s.Set("31.2", or(w.c.Complaint, w.c.Remarks))
	s.SetAll("44", code, w.procedure(step), scheme)
}

// code is Provet's id of the step's modality, else its DICOM code.
func (w *writer) code(step *order.Step) (code, scheme string) {
	if step.Modality.ID != "" {
		return step.Modality.ID, "99PROVET"
	}
	return w.modality(step), "DCM"
}

func (w *writer) ipc(step *order.Step, uid string) {
	s := w.b.Segment("IPC").Set("1", w.o.AccessionNumber).Set("2", w.o.RequestedProcedureID).Set("3", uid).
		Set("4", step.ScheduledProcedureStepID).Set("5", w.modality(step))
	code, scheme := w.code(step)
	s.SetAll("6", code, w.description(step), scheme)
	for i, ae := range w.stations(step) {
		s.Set("9["+strconv.Itoa(i+1)+"]", ae)
	}
}

// stations are the AE titles of the machines that may do the step, sorted.
func (w *writer) stations(step *order.Step) []string {
	if !w.p.StationInOrder {
		return nil
	}
	var out []string
	for _, name := range step.Stations {
		if ae := w.p.Stations[name]; ae != "" {
			out = append(out, ae)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// modality is the DICOM code of a step's modality.
func (w *writer) modality(step *order.Step) string {
	if v := or(w.p.Modalities[step.Modality.Name], w.p.Modalities[step.Modality.ID]); v != "" {
		return v
	}
	name := strings.TrimSpace(step.Modality.Name)
	if len(name) >= 2 && len(name) <= 4 && strings.IndexFunc(name, func(r rune) bool { return r < 'A' || r > 'Z' }) < 0 {
		return name
	}
	return "OT"
}

// procedure is the modality's name and the target areas, never empty, as on our
// worklist.
func (w *writer) procedure(step *order.Step) string {
	name, areas := strings.TrimSpace(step.Modality.Name), w.areas()
	if name != "" && areas != "" {
		return name + ": " + areas
	}
	return or(name, areas, "Imaging")
}

// description is the target areas, else the modality's name, never empty.
func (w *writer) description(step *order.Step) string {
	return or(w.areas(), strings.TrimSpace(step.Modality.Name), "Imaging")
}

func (w *writer) areas() string {
	var names []string
	for _, a := range w.c.TargetAreas {
		if n := strings.TrimSpace(a.Name); n != "" {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}

// priorities are DICOM's words and others in HL7 table 0485: S is read as STAT, A
// as HIGH, R as ROUTINE, T as MEDIUM.
var priorities = map[string]string{
	"STAT": "S", "EMERGENCY": "S", "URGENT": "S", "S": "S",
	"HIGH": "A", "ASAP": "A", "A": "A",
	"MEDIUM": "T", "T": "T",
	"ROUTINE": "R", "LOW": "R", "NORMAL": "R", "R": "R",
}

func (w *writer) priority() string {
	return or(priorities[strings.ToUpper(strings.TrimSpace(w.c.Priority))], "R")
}
