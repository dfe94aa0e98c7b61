package dimse

// CCancelRQ ends a running C-FIND (PS3.7 9.3.2.3). It has no response of its own.
type CCancelRQ struct {
	RespondedTo uint16 // message id of the find
}

// Command returns the command set.
func (m CCancelRQ) Command() Command {
	return Command{Field: cCancelRQ, RespondedTo: m.RespondedTo, DataSetType: noDataSet}
}

// From takes the message from a command set; false if a required element is missing.
func (m *CCancelRQ) From(c *Command) bool {
	*m = CCancelRQ{RespondedTo: c.RespondedTo}
	return c.Field == cCancelRQ && c.has&hasRespondedTo != 0
}
