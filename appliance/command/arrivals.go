package command

import "strings"

type arrivalsCmd struct {
	List arrivalsListCmd `cmd:"" help:"List arrivals with suggestions."`
	Link arrivalsLinkCmd `cmd:"" help:"Tie an arrival to its order."`
}

type arrivalsListCmd struct {
	All  bool `help:"Also those that are linked."`
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (arrivalsListCmd) Help() string { return "Example:\n\n  rayhound arrivals list" }

// Run lists the arrivals.
func (c arrivalsListCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	all, err := client.Arrivals(e.ctx, c.All)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("Nothing waits for its order.\n")
		return nil
	}
	for _, a := range all {
		e.printf("Arrival %d  %s  %s\n", a.ID, moment(a.At), plain(strings.Join(nonEmpty(a.Source, a.Status, first(a.Station, a.CallingAETitle), a.Modality, amount(a.Series, "series", a.Instances, "images")), ", ")))
		e.printf("  patient %s, accession %s\n", plain(first(strings.TrimSpace(a.PatientName+" ["+a.PatientID+"]"), "-")), plain(first(a.AccessionNumber, "none")))
		if a.Reason != "" {
			e.printf("  %s\n", plain(a.Reason))
		}
		if a.LinkedTo != "" {
			e.printf("  linked to %s\n", plain(a.LinkedTo))
		}
		for _, s := range a.Suggestions {
			e.printf("  perhaps %s %s: rayhound arrivals link %d %s  (%s)\n", plain(s.AccessionNumber), plain(s.PatientName), a.ID, plain(s.AccessionNumber), plain(s.Reason))
		}
	}
	return nil
}

type arrivalsLinkCmd struct {
	Arrival   int64  `arg:"" help:"Number of the arrival."`
	Accession string `arg:"" help:"Accession number of the order."`
	Reason    string `help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (arrivalsLinkCmd) Help() string { return "Example:\n\n  rayhound arrivals link 7 1234" }

// Run links the arrival.
func (c arrivalsLinkCmd) Run(e *env) error {
	if c.Arrival <= 0 {
		return usage("The arrival is a number of rayhound arrivals list")
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	o, err := client.LinkArrival(e.ctx, c.Arrival, c.Accession, c.Reason)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(o)
	}
	e.printf("Arrival %d belongs to order %s, which is %s.\n", c.Arrival, o.AccessionNumber, o.State)
	return nil
}
