// Package tunneltest helps to test both ends of the tunnel: a network in memory that
// can be cut and black-holed, a black-holing forwarder and a CONNECT proxy with faults
// on real sockets, a scripted relay and an inbox in memory. It never ships.
package tunneltest
