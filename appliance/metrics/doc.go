// Package metrics is the appliance's Prometheus registry. It is the only place
// that knows the Prometheus library.
//
// No label holds an id, a name of a person or an animal, or an address: every
// label value is a word of the program or the name of a destination.
package metrics
