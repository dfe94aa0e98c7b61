package command

import (
	"math"
	"time"

	"github.com/rayhound/rayhound/appliance/sim"
)

type simRISCmd struct {
	Listen       string        `help:"Address for orders, loopback unless you know why." default:"127.0.0.1:2576" placeholder:"HOST:PORT"`
	SendTo       string        `name:"send-to" help:"Our listener, for status and reports; empty: nothing is sent." placeholder:"HOST:PORT"`
	Name         string        `help:"Its application name, MSH-3; the name in [[ris]]." default:"RIS" placeholder:"TEXT"`
	Message      string        `help:"Type of its status messages: ORM^O01, OMG^O19, OMI^O23, ORU^R01 or ORR^O02." default:"ORM^O01" placeholder:"TYPE"`
	HL7Version   string        `name:"hl7-version" help:"2.3.1, 2.4, 2.5 or 2.5.1." default:"2.3.1" placeholder:"VERSION"`
	Charset      string        `help:"Of what it sends, as in MSH-18. Default: UTF-8." placeholder:"NAME"`
	AnswerOrders bool          `name:"answer-orders" help:"Answer orders with ORR, ORG or ORI, which name its order number, instead of ACK."`
	Strict       bool          `help:"Refuse a new order it has, and changes of orders it does not have."`
	Auto         bool          `help:"Work by itself: schedule, perform and report each order."`
	Number       bool          `help:"With --auto: tell its order number first."`
	Schedule     time.Duration `help:"With --auto: after the order." default:"2s" placeholder:"DURATION"`
	Start        time.Duration `help:"With --auto: the exam, after that; negative: the exam is not its business." default:"5s" placeholder:"DURATION"`
	Exam         time.Duration `help:"With --auto: how long the exam takes." default:"5s" placeholder:"DURATION"`
	Report       time.Duration `help:"With --auto: the report, after the exam; negative: none." default:"5s" placeholder:"DURATION"`
	PDF          bool          `name:"pdf" help:"With --auto: a PDF in the report."`
	Fault        []string      `help:"Misbehave: NAME, NAME=VALUE, with :COUNT or :SHARE% behind. Repeatable; list: show the names." sep:"none" placeholder:"FAULT"`
	Tries        int           `help:"How often it sends a message that is not accepted." default:"20" placeholder:"N"`
	Seed         int64         `help:"Make its random choices repeatable." default:"1" placeholder:"N"`
}

// Help shows an example.
func (simRISCmd) Help() string {
	return "Takes orders by MLLP and prints a line for each message, without names.\n\nExample:\n\n" +
		"  rayhound sim ris --listen 127.0.0.1:2576 --send-to 127.0.0.1:2575 --auto\n" +
		"  rayhound sim ris --fault late-ack=3 --fault lose-answer:20%"
}

// Run runs the simulator until it is interrupted.
func (c simRISCmd) Run(e *env) error {
	for _, f := range c.Fault {
		if f == "list" {
			e.table([]string{"FAULT", "WHEN", "WHAT"}, sim.RISFaults())
			return nil
		}
	}
	if c.Tries < 1 || c.Tries > math.MaxInt32 {
		return usage("--tries must be at least 1")
	}
	return sim.RIS(e.ctx, sim.RISOptions{
		Listen: c.Listen, SendTo: c.SendTo, Application: c.Name, Message: c.Message, Version: c.HL7Version, Charset: c.Charset,
		AnswerOrders: c.AnswerOrders, Strict: c.Strict, Auto: c.Auto, Number: c.Number, Schedule: c.Schedule, Start: c.Start, Exam: c.Exam,
		Report: c.Report, PDF: c.PDF, Faults: c.Fault, Tries: c.Tries, Seed: uint64(c.Seed), Out: e.Stdout,
	})
}
