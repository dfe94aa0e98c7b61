// Package control is how a command talks to the running service: the control
// token in the data folder, and a client of the loopback API.
//
// The token is made at every start of the service and readable by the service's
// account and administrators only; who can read it may command the service.
package control
