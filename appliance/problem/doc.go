// Package problem is the catalogue of what can go wrong, written for people.
//
// A problem is data: a stable code for the telephone (RH-304), a sentence for
// the front desk, help that can be followed, how long it must last before it is
// shown, and which other problems cause it. The catalogue is problems.json;
// zcodes.go is generated from it. Codes are never reused and never renamed.
package problem

//go:generate go run gen.go
