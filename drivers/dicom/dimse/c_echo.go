package dimse

// CEchoRQ asks whether the peer is there (PS3.7 9.3.5.1).
type CEchoRQ struct {
	MessageID           uint16
	AffectedSOPClassUID string
}

// Command returns the command set.
func (m CEchoRQ) Command() Command {
	return Command{
		Field: cEchoRQ, MessageID: m.MessageID, DataSetType: noDataSet,
		AffectedSOPClassUID: m.AffectedSOPClassUID,
	}
}

// From takes the message from a command set; false if a required element is missing.
func (m *CEchoRQ) From(c *Command) bool {
	*m = CEchoRQ{MessageID: c.MessageID, AffectedSOPClassUID: c.AffectedSOPClassUID}
	return c.Field == cEchoRQ && c.has&hasMessageID != 0
}
