// Package wire is the protocol between the relay and the appliance: frames,
// numbers, limits, close codes, pairing, tokens and sealing. It knows bytes and
// values alone; no websocket, no HTTP, no clock and no log.
//
// The published contract is tunnel/PROTOCOL.md; a test keeps it and the constants
// here from drifting apart.
//
// Versions:
//
//	1  rayhound-tunnel.v1: the first one.
package wire

// Protocol is the name of the current version, the websocket's subprotocol.
const Protocol = "rayhound-tunnel.v1"

// Version numbers of the protocol this package speaks.
const (
	MinVersion = 1
	MaxVersion = 1
)

// Protocols are the subprotocols an agent offers, best first.
func Protocols() []string { return []string{Protocol} }
