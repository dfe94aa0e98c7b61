// Package hl7 reads and writes HL7 version 2 messages in the vertical bar
// encoding (HL7 v2.5.1 chapter 2).
//
// [Parse] turns the bytes of one message, without its MLLP frame, into a
// [Message] whose leaves are addressed as the standard writes them:
//
//	m.Get("PID-5.2")      // component 2 of PID-5, first repetition
//	m.Get("PID-3[2].1")   // second repetition of PID-3
//	m.Get("OBX(3)-5")     // third OBX of the message
//
// Everything counts from 1. Text is Unicode: the character set is decoded
// before anything is split, escape sequences are decoded once, at the leaf. The
// HL7 null, two double quotes, is kept apart from an absent value
// ([Message.Null]).
//
// [NewBuilder] makes messages. It escapes every leaf, writes what the character
// set of the peer lacks in other letters and says so, and gives the same bytes
// for the same calls.
//
// Fields are split by github.com/lenaten/hl7, which is only safe for plain ASCII
// without escape characters. It never sees the bytes of a peer, but an image of
// them; see image.go and library.go.
//
// The package does not log, and no error of it holds a part of a message.
package hl7
