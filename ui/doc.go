// Package ui is the appliance's HTTP server on loopback: health for the
// operating system, metrics, and the API for programs and for Rayhound's own
// commands.
//
// Every request passes the guard (guard.go) first; every route stands in one
// block (routes.go). The package asks the appliance through the interface
// Appliance and shows what it answers in the structs of the view files. JSON
// names are the Go field names in snake_case; lists are arrays and never null;
// a time that is not known is absent.
package ui
