// Package order is the vocabulary of Rayhound: an imaging order, the people and
// animals in it, the states it passes through and the evidence that moves it.
//
// It imports the standard library only, and everybody may import it. Names are
// those of the standards (DICOM PS3.3 C.4.10, HL7 2.5.1 chapter 4) wherever a
// standard has one.
//
// Values of this package hold personal data. The types that do implement
// slog.LogValuer and print a placeholder, so that a name cannot reach a log by
// accident.
package order
