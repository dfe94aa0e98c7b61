package dimse

// CFindRQ asks for the objects that match an identifier (PS3.7 9.3.2.1).
type CFindRQ struct {
	MessageID           uint16
	AffectedSOPClassUID string
	Priority            uint16 // 0 medium, 1 high, 2 low
}

// Command returns the command set of the request; an identifier follows it.
func (m CFindRQ) Command() Command {
	return Command{
		Field: cFindRQ, MessageID: m.MessageID, Priority: m.Priority, DataSetType: dataSetFollows,
		AffectedSOPClassUID: m.AffectedSOPClassUID,
	}
}

// From takes the message from a command set; false if a required element is
// missing. A find without identifier is taken for one that matches everything.
func (m *CFindRQ) From(c *Command) bool {
	*m = CFindRQ{MessageID: c.MessageID, AffectedSOPClassUID: c.AffectedSOPClassUID, Priority: c.Priority}
	return c.Field == cFindRQ && c.has&hasMessageID != 0 && m.AffectedSOPClassUID != ""
}
