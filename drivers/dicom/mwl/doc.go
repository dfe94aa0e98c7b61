// Package mwl is the Modality Worklist (MWL) service class as a provider:
// PS3.4 Annex K, SOP class 1.2.840.10008.5.1.4.31. It answers the C-FIND of an
// imaging machine from memory.
//
// A List holds the scheduled procedure steps of all open orders as an immutable
// snapshot behind an atomic pointer; Put and Remove replace what they touch and
// swap the pointer. A Service answers one query from one snapshot: first scope
// (orders routed to the calling machine, in a state it shows), then the keys of
// the identifier. Nothing on that path touches disk or network, and an item's
// answer is copied from bytes encoded beforehand.
//
// A key that is not on the list of matched keys is answered but never a reason
// for an empty list, and every query leaves a QueryRecord that can name the
// first key that failed for each order in scope. DESIGN.md has the structure;
// CONFORMANCE.md of drivers/dicom the conformance statement.
package mwl

// SOPClass is the Modality Worklist Information Model FIND SOP class.
const SOPClass = "1.2.840.10008.5.1.4.31"
