package command

import "github.com/rayhound/rayhound/ui"

type ordersCompleteCmd struct {
	Accession string `arg:"" help:"Accession number."`
	Reason    string `required:"" help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersCompleteCmd) Help() string {
	return "Example:\n\n  rayhound orders complete 1234 --reason \"images were made without the worklist\""
}

// Run completes the order.
func (c ordersCompleteCmd) Run(e *env) error {
	return e.act(c.Accession, ui.Action{Kind: ui.Complete, Reason: c.Reason}, c.JSON)
}

type ordersCancelCmd struct {
	Accession string `arg:"" help:"Accession number."`
	Reason    string `required:"" help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersCancelCmd) Help() string {
	return "Example:\n\n  rayhound orders cancel 1234 --reason \"ordered twice\""
}

// Run cancels the order.
func (c ordersCancelCmd) Run(e *env) error {
	return e.act(c.Accession, ui.Action{Kind: ui.Cancel, Reason: c.Reason}, c.JSON)
}

type ordersHoldCmd struct {
	Accession string `arg:"" help:"Accession number."`
	Reason    string `required:"" help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersHoldCmd) Help() string {
	return "Example:\n\n  rayhound orders hold 1234 --reason \"sedation first\""
}

// Run holds the order.
func (c ordersHoldCmd) Run(e *env) error {
	return e.act(c.Accession, ui.Action{Kind: ui.Suspend, Reason: c.Reason}, c.JSON)
}

type ordersReleaseCmd struct {
	Accession string `arg:"" help:"Accession number."`
	Reason    string `help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersReleaseCmd) Help() string { return "Example:\n\n  rayhound orders release 1234" }

// Run releases the order.
func (c ordersReleaseCmd) Run(e *env) error {
	return e.act(c.Accession, ui.Action{Kind: ui.Release, Reason: c.Reason}, c.JSON)
}

type ordersResendCmd struct {
	Accession string `arg:"" help:"Accession number."`
	To        string `help:"To this destination: provet, or ris:NAME." placeholder:"DEST" default:"provet"`
	AsNew     bool   `help:"To a RIS: as a new order with a new message number, not the last message once more."`
	Taken     bool   `help:"To a RIS: send nothing; it has the message whose answer was lost, and what waits behind it may go."`
	Reason    string `help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersResendCmd) Help() string {
	return "Sends the state to Provet Cloud, or the last message to a RIS, once more: the same bytes with the same number.\n\n" +
		"Example:\n\n  rayhound orders resend 1234\n  rayhound orders resend 1234 --to ris:clinic-ris --as-new"
}

// Run sends the order's state again.
func (c ordersResendCmd) Run(e *env) error {
	return e.act(c.Accession, ui.Action{Kind: ui.Resend, Reason: c.Reason, To: c.To, AsNew: c.AsNew, Taken: c.Taken}, c.JSON)
}

type ordersReopenCmd struct {
	Accession string `arg:"" help:"Accession number."`
	Reason    string `required:"" help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersReopenCmd) Help() string {
	return "Example:\n\n  rayhound orders reopen 1234 --reason \"second series needed\""
}

// Run reopens the order.
func (c ordersReopenCmd) Run(e *env) error {
	return e.act(c.Accession, ui.Action{Kind: ui.Reopen, Reason: c.Reason}, c.JSON)
}

type ordersLinkCmd struct {
	Accession string `arg:"" help:"Accession number of the order entered by hand."`
	ProvetID  string `arg:"" name:"provet-id" help:"Id of the order in Provet Cloud."`
	Reason    string `help:"Why; it stays in the timeline." placeholder:"TEXT"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (ordersLinkCmd) Help() string {
	return "The order entered by hand lives on with its accession number; the other one leaves the list.\n\n" +
		"Example:\n\n  rayhound orders link H7KQ2M 70012"
}

// Run links the order.
func (c ordersLinkCmd) Run(e *env) error {
	return e.act(c.Accession, ui.Action{Kind: ui.Link, Reason: c.Reason, ProvetID: c.ProvetID}, c.JSON)
}

type ordersLookCmd struct {
	ProvetID string `arg:"" name:"provet-id" help:"Id of the order in Provet Cloud."`
}

// Help shows an example.
func (ordersLookCmd) Help() string {
	return "Asks for a look at the order, as a webhook would.\n\nExample:\n\n  rayhound orders look 1234"
}

// Run leaves a hint.
func (c ordersLookCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if err := client.Hint(e.ctx, c.ProvetID); err != nil {
		return err
	}
	e.printf("Order %s of Provet Cloud will be looked at now.\n", plain(c.ProvetID))
	return nil
}

// act does something to an order and says what became of it.
func (e *env) act(accession string, a ui.Action, asJSON bool) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	o, err := client.ActOnOrder(e.ctx, accession, a)
	if err != nil {
		return err
	}
	if asJSON {
		return e.json(o)
	}
	e.printf("Order %s is %s.\n", o.AccessionNumber, o.State)
	return nil
}
