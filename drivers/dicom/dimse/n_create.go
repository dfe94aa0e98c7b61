package dimse

// NCreateRQ creates a SOP instance (PS3.7 10.3.5.1).
type NCreateRQ struct {
	MessageID              uint16
	AffectedSOPClassUID    string
	AffectedSOPInstanceUID string // may be empty: the performer assigns one
	HasAttributes          bool   // a data set follows
}

// Command returns the command set of the request.
func (m NCreateRQ) Command() Command {
	c := Command{
		Field: nCreateRQ, MessageID: m.MessageID, DataSetType: noDataSet,
		AffectedSOPClassUID: m.AffectedSOPClassUID, AffectedSOPInstanceUID: m.AffectedSOPInstanceUID,
	}
	if m.HasAttributes {
		c.DataSetType = dataSetFollows
	}
	return c
}

// From takes the message from a command set; false if a required element is missing.
func (m *NCreateRQ) From(c *Command) bool {
	*m = NCreateRQ{
		MessageID: c.MessageID, AffectedSOPClassUID: c.AffectedSOPClassUID,
		AffectedSOPInstanceUID: c.AffectedSOPInstanceUID, HasAttributes: c.HasDataSet(),
	}
	return c.Field == nCreateRQ && c.has&hasMessageID != 0 && m.AffectedSOPClassUID != ""
}
