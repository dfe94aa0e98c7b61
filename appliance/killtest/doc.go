// Command killtest proves that Rayhound outlives power cuts: it runs the real
// program between a simulated Provet Cloud, simulated machines, two simulated
// RIS and a real relay, under load and with faults, ends it with SIGKILL at
// random moments, starts it again, and at last asks whether an order was lost,
// doubled, or shown wrongly.
//
//	go run ./appliance/killtest -rounds 200
//
// The RIS (one takes changes, one wants a cancel and a new order) lose answers,
// answer late or never, are unplugged, and send statuses and reports until they
// are answered. In the end each must hold every message of the outbox once by
// its control id, with the same bytes and in the same order, and know of each
// order what we know; what it said and was told AA for must be with its order
// once.
//
// The relay is a process of its own and is killed too, at moments of its own.
// Polling is off: every webhook that was answered 200 must be in the program's
// inbox once, must have led to a look at its order, and no gap may be announced.
//
// -ris=false and -relay=false switch these parts off.
//
// It exits with 1 and the details of the first violations when something is
// not as it has to be. The data folder is kept then. The load, the faults and
// the moments of the kills follow from -seed; what meets what does not, because
// the operating system has a say in it.
package main
