package command

import (
	"fmt"
	"strings"

	"github.com/rayhound/rayhound/ui"
)

type ordersShowCmd struct {
	Accession string `arg:"" help:"Accession number."`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersShowCmd) Help() string {
	return "Shows the order, why it stands where it does, its timeline, evidence, what was sent to others, and for each machine whether it sees the order and why not.\n\n" +
		"Example:\n\n  rayhound orders show 1234"
}

// Run shows the order.
func (c ordersShowCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	o, err := client.Order(e.ctx, c.Accession)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(o)
	}
	e.showHead(&o)
	e.showLedger(&o)
	e.showDocuments(&o)
	e.showMessages(o.Messages)
	e.showSight(&o)
	return nil
}

// fact prints "Label   value" unless there is no value.
func (e *env) fact(label, value string) {
	if value != "" {
		e.printf("%-12s %s\n", label, plain(value))
	}
}

// title prints the heading of a part.
func (e *env) title(text string) { e.printf("\n%s\n", text) }

func (e *env) showHead(o *ui.OrderDetail) {
	state := string(o.State)
	if o.Why != "" {
		state += ": " + o.Why
	}
	e.fact("Order", o.AccessionNumber)
	e.fact("State", state)
	e.fact("Patient", strings.Join(nonEmpty(o.PatientName, o.Species, o.Breed, o.Sex, o.BirthDate), ", ")+" [id "+o.PatientID+"]")
	e.fact("Owner", o.Owner)
	e.fact("Modality", o.Modality)
	e.fact("Areas", strings.Join(o.TargetAreas, ", "))
	e.fact("Machines", strings.Join(o.Stations, ", "))
	e.fact("Vet", o.Veterinarian)
	e.fact("Complaint", o.Complaint)
	e.fact("Remarks", o.Remarks)
	if !o.ScheduledAt.IsZero() {
		e.fact("Scheduled", moment(o.ScheduledAt))
	}
	source := "Provet Cloud order " + o.ProvetID
	if o.ProvetID == "" {
		source = "entered by hand"
	}
	if o.UpstreamStatus != "" {
		source += ", status there " + o.UpstreamStatus
	}
	e.fact("Source", source)
	e.fact("Revision", fmt.Sprint(o.Revision))
	e.fact("Study UID", o.StudyInstanceUID)
	if len(o.Steps) > 1 {
		for _, s := range o.Steps {
			e.fact("Step "+s.ScheduledProcedureStepID, s.Modality+", "+string(s.State))
		}
	}
	for _, h := range o.Holds {
		e.fact("Held", strings.Join(nonEmpty(h.Code, h.Field, h.Detail), " "))
	}
	for _, n := range o.Notices {
		e.fact("Notice", n.Code+" since "+moment(n.At))
	}
}

func (e *env) showLedger(o *ui.OrderDetail) {
	if len(o.Timeline) > 0 {
		e.title("Timeline")
		for _, t := range o.Timeline {
			code := ""
			if t.Code != "" {
				code = " (" + t.Code + ")"
			}
			e.printf("  %s  %-10s %s%s\n", moment(t.At), plain(t.Source), plain(t.Text), code)
		}
	}
	if len(o.Evidence) > 0 {
		e.title("Evidence")
		for _, v := range o.Evidence {
			text := strings.Join(nonEmpty(string(v.Event), v.Station, amount(v.Series, "series", v.Instances, "images"), v.Reason), ", ")
			if v.Decided {
				text += "  <- decided"
			}
			e.printf("  %s  %-10s %s\n", moment(v.At), plain(string(v.Source)), plain(text))
		}
	}
}

func amount(a int, aNoun string, b int, bNoun string) string {
	if a == 0 && b == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s, %d %s", a, aNoun, b, bNoun)
}

func (e *env) showMessages(all []ui.Message) {
	if len(all) == 0 {
		return
	}
	e.title("Reports to others")
	for _, m := range all {
		e.printf("  %d  %s: %s, %s\n", m.ID, plain(m.Destination), plain(m.Kind), messageState(m))
		for _, a := range m.Attempts {
			e.printf("      %s  %s\n", moment(a.At), plain(strings.Join(nonEmpty(a.Outcome, a.Code, strings.TrimSpace(strings.TrimPrefix(a.Detail, a.Code))), " ")))
		}
	}
}

// messageState says where a message stands.
func messageState(m ui.Message) string {
	s := m.State
	switch {
	case m.State == "ready" && m.Paused:
		s = "ready, paused"
	case m.State == "ready" && m.AttemptCount > 0 && !m.NextAt.IsZero():
		s = "next try " + clock(m.NextAt)
	case !m.DoneAt.IsZero():
		s += " " + clock(m.DoneAt)
	}
	if m.State != "delivered" && m.LastError != "" {
		s += ": " + m.LastError
		if m.Code != "" {
			s += " (" + m.Code + ")"
		}
	}
	return plain(s)
}

func (e *env) showSight(o *ui.OrderDetail) {
	if len(o.Explanations) > 0 {
		e.title("Who sees it now")
		for _, x := range o.Explanations {
			sight := "yes"
			if !x.Visible {
				sight = "no"
			}
			if x.Reason != "" {
				sight += ": " + x.Reason
			}
			e.printf("  %-20s %s\n", plain(x.Machine), plain(sight))
		}
	}
	if len(o.Queries) == 0 {
		return
	}
	e.title("Last worklist queries")
	for _, q := range o.Queries {
		verdict := "returned it"
		for _, x := range q.Excluded {
			if x.AccessionNumber == o.AccessionNumber {
				verdict = "left it out: " + x.Key + " " + x.Reason
			}
		}
		e.printf("  %s  %s asked [%s], %s; %s\n", moment(q.At), plain(first(q.Machine, q.CallingAETitle)), plain(keyText(q.Keys)), count(q.Matches, "answer"), plain(verdict))
	}
}

func keyText(keys []ui.QueryKey) string {
	var parts []string
	for _, k := range keys {
		if k.Value != "" {
			parts = append(parts, first(k.Keyword, k.Tag)+"="+k.Value)
		}
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, " ")
}

func nonEmpty(texts ...string) []string {
	var some []string
	for _, s := range texts {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}
