package command

import (
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/ui"
)

type ordersCmd struct {
	List     ordersListCmd     `cmd:"" help:"List orders."`
	Show     ordersShowCmd     `cmd:"" help:"Show everything about an order, and why."`
	Report   ordersReportCmd   `cmd:"" help:"Print what a RIS reported, and save its files."`
	Add      ordersAddCmd      `cmd:"" help:"Enter an order by hand."`
	Resend   ordersResendCmd   `cmd:"" help:"Tell everybody about an order again."`
	Complete ordersCompleteCmd `cmd:"" help:"Say that an order is done."`
	Cancel   ordersCancelCmd   `cmd:"" help:"Take an order off the worklists for good."`
	Hold     ordersHoldCmd     `cmd:"" help:"Keep an order off the worklists for now."`
	Release  ordersReleaseCmd  `cmd:"" help:"End a hold."`
	Reopen   ordersReopenCmd   `cmd:"" help:"Offer a closed order again."`
	Link     ordersLinkCmd     `cmd:"" help:"Say which order of Provet Cloud one entered by hand is."`
	Look     ordersLookCmd     `cmd:"" help:"Look at an order of Provet Cloud now."`
}

type ordersListCmd struct {
	State     []string `help:"Only these states: received, held, scheduled, in_progress, completed, discontinued, cancelled." placeholder:"STATE"`
	Open      bool     `help:"Only orders that wait for something."`
	PatientID string   `name:"patient-id" help:"Only this patient." placeholder:"ID"`
	Station   string   `help:"Only orders of this machine." placeholder:"NAME"`
	Find      string   `help:"Part of the accession number or the animal's name." placeholder:"TEXT"`
	Since     string   `help:"Only orders since this day." placeholder:"YYYY-MM-DD"`
	Limit     int      `help:"At most so many." default:"200" placeholder:"N"`
	JSON      bool     `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersListCmd) Help() string {
	return "Example:\n\n  rayhound orders list --state scheduled,in_progress"
}

// Run lists the orders.
func (c ordersListCmd) Run(e *env) error {
	f := ui.OrderFilter{Open: c.Open, PatientID: c.PatientID, Station: c.Station, Text: c.Find, Limit: c.Limit}
	for _, s := range c.State {
		if !order.State(s).Valid() {
			return usage("There is no state " + s)
		}
		f.States = append(f.States, order.State(s))
	}
	if c.Limit < 1 || c.Limit > 1000 {
		return usage("--limit must be from 1 to 1000")
	}
	if c.Since != "" {
		at, err := time.ParseInLocation(time.DateOnly, c.Since, time.Local)
		if err != nil {
			return usage("--since must be a date such as 2026-01-31")
		}
		f.Since = at
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	all, err := client.Orders(e.ctx, f)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("No orders.\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, o := range all {
		rows[i] = []string{
			o.AccessionNumber, string(o.State), animal(o), o.Modality, strings.Join(o.Stations, ", "), clock(o.ChangedAt), o.Why,
		}
	}
	e.table([]string{"ACCESSION", "STATE", "PATIENT", "MODALITY", "MACHINES", "CHANGED", "WHY"}, rows)
	return nil
}

// animal names the animal of an order, with the owner.
func animal(o ui.Order) string {
	s := o.PatientName
	if o.Owner != "" {
		s += " (" + o.Owner + ")"
	}
	return s
}

type ordersAddCmd struct {
	PatientID   string `name:"patient-id" required:"" help:"Provet's patient id, or one of your own." placeholder:"ID"`
	PatientName string `name:"patient-name" required:"" help:"The animal's name." placeholder:"NAME"`
	Modality    string `required:"" help:"Provet modality name or id, as in serves of a machine." placeholder:"NAME"`
	Species     string `help:"Such as Dog." placeholder:"NAME"`
	Sex         string `help:"M, F or O." placeholder:"SEX"`
	BirthDate   string `name:"birth-date" placeholder:"YYYY-MM-DD" help:"Of the animal."`
	OwnerFirst  string `name:"owner-first" placeholder:"NAME" help:"Owner's first name."`
	OwnerLast   string `name:"owner-last" placeholder:"NAME" help:"Owner's last name."`
	Remarks     string `placeholder:"TEXT" help:"What to image, and why."`
	At          string `placeholder:"TIME" help:"When it is scheduled, such as 2026-01-31T14:30."`
	Reason      string `placeholder:"TEXT" help:"Why it is entered by hand."`
	JSON        bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersAddCmd) Help() string {
	return "For a walk-in, or while Provet Cloud is down.\n\n" +
		"Example:\n\n  rayhound orders add --patient-id 991 --patient-name Bella --modality X-ray --species Dog --owner-last Miller"
}

// Run enters the order.
func (c ordersAddCmd) Run(e *env) error {
	n := ui.NewOrder{
		PatientID: c.PatientID, PatientName: c.PatientName, Modality: c.Modality, Species: c.Species, Sex: order.Sex(strings.ToUpper(c.Sex)),
		BirthDate: c.BirthDate, OwnerFirst: c.OwnerFirst, OwnerLast: c.OwnerLast, Remarks: c.Remarks, Reason: c.Reason,
	}
	if c.At != "" {
		at, err := parseTime(c.At)
		if err != nil {
			return usage("--at must be a time such as 2026-01-31T14:30")
		}
		n.ScheduledAt = at
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	o, err := client.AddOrder(e.ctx, n)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(o)
	}
	e.printf("Order %s is %s.\n", o.AccessionNumber, o.State)
	return nil
}

// parseTime reads a time of this computer's zone, or one with a zone.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Parse(time.RFC3339, s)
}
