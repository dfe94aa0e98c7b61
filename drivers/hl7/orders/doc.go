// Package orders stands between HL7 messages and our orders.
//
// [Build] makes the messages that tell a RIS or an image manager about an
// order: ORM^O01 (HL7 2.3.1 and 2.4), OMG^O19 and OMI^O23 (2.5.1) as IHE SWF.b
// places the fields, and ADT^A04, A08 and A40 for the animal. The same arguments
// give the same bytes.
//
// [Sender] sends them and says of every outcome what to do next; [Read] says of
// a status, a report or an answer what it means for the order; [Receiver]
// answers what a peer sends, after a [Store] has kept it.
//
// What one peer wants otherwise than another is in its [Profile]. The package
// decides nothing about an order: it hands on what was said. It does not log,
// and no error of it holds personal data.
package orders
