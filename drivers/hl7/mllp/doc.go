// Package mllp carries HL7 messages over TCP in the frames of the Minimal Lower
// Layer Protocol (HL7 v2.5.1 appendix C, MLLP release 1): VT, the message, FS, CR.
//
// What it writes is strict. What it reads may be damaged in every way that has
// been seen in the field; each oddity is noted, and what is no message comes out
// as a [FrameError] with the bytes, never in silence.
//
// [Server] answers messages, one at a time for each connection. [Client] sends
// them, one in flight, and never takes an answer for one it cannot belong to.
// The package knows nothing of the content of a message and does not log.
package mllp
