package dimse

// NSetRQ modifies a SOP instance (PS3.7 10.3.3.1); the modification list follows.
type NSetRQ struct {
	MessageID               uint16
	RequestedSOPClassUID    string
	RequestedSOPInstanceUID string
}

// Command returns the command set of the request.
func (m NSetRQ) Command() Command {
	return Command{
		Field: nSetRQ, MessageID: m.MessageID, DataSetType: dataSetFollows,
		RequestedSOPClassUID: m.RequestedSOPClassUID, RequestedSOPInstanceUID: m.RequestedSOPInstanceUID,
	}
}

// From takes the message from a command set; false if a required element is missing.
func (m *NSetRQ) From(c *Command) bool {
	*m = NSetRQ{
		MessageID: c.MessageID, RequestedSOPClassUID: c.RequestedSOPClassUID,
		RequestedSOPInstanceUID: c.RequestedSOPInstanceUID,
	}
	return c.Field == nSetRQ && c.has&hasMessageID != 0 && c.HasDataSet() &&
		m.RequestedSOPClassUID != "" && m.RequestedSOPInstanceUID != ""
}
