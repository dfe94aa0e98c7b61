package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rayhound/rayhound/ui"
)

type hl7ReceivedCmd struct {
	ID      int64  `arg:"" optional:"" help:"Number of a message: writes its bytes to standard output."`
	Outcome string `help:"Only applied, unmatched, answer, test, ignored or refused ones." placeholder:"WORD"`
	Limit   int    `help:"At most so many." default:"50" placeholder:"N"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (hl7ReceivedCmd) Help() string {
	return "Lists what the RIS sent, newest first, and what became of it. With a number it writes the message as it came, with the names in it;\n" +
		"that leaves an audit line. The bytes are kept for retention.raw_messages.\n\n" +
		"Example:\n\n  rayhound hl7 received --outcome refused\n  rayhound hl7 received 17 > message.hl7"
}

// Run lists the messages, or writes one.
func (c hl7ReceivedCmd) Run(e *env) error {
	if c.ID < 0 || c.Limit < 1 || c.Limit > 1000 {
		return usage("--limit must be from 1 to 1000, and a message has a number of the list")
	}
	if c.Outcome != "" && !slices.Contains(ui.HL7Outcomes, c.Outcome) {
		return usage("--outcome must be one of " + strings.Join(ui.HL7Outcomes, ", "))
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	if c.ID > 0 {
		return client.HL7Bytes(e.ctx, c.ID, e.Stdout)
	}
	all, err := client.HL7Messages(e.ctx, ui.HL7Filter{Outcome: c.Outcome, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("No messages.\n")
		return nil
	}
	rows := make([][]string, len(all))
	for i, m := range all {
		rows[i] = []string{
			fmt.Sprint(m.ID), moment(m.At), first(m.RIS, m.Address), m.Type, m.ControlID, m.Outcome, bytesText(m.Bytes), m.Refused,
		}
	}
	e.table([]string{"NUMBER", "AT", "FROM", "TYPE", "CONTROL ID", "OUTCOME", "SIZE", "WHY"}, rows)
	return nil
}
