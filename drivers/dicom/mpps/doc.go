// Package mpps is the Modality Performed Procedure Step service class as SCP
// (DICOM PS3.4 Annex F.7): a machine says that it began a step (N-CREATE) and
// how it ended (N-SET).
//
// The package turns what a console sends into a Report and hands it to a
// Store. Success is answered only after the store has committed, so a machine
// that heard 0000 may forget its message. What is refused is kept all the same:
// a report without an order, or one we cannot read, is evidence for a person.
//
// The package follows two rules above all. A missing attribute is noted and
// never refused, because a failure status makes consoles block the exam. And
// text becomes Unicode on arrival, message by message, because consoles change
// their character set between N-CREATE and N-SET (F.7.2.2.3).
package mpps
