// Command killtest proves that Rayhound outlives power cuts: it runs the real
// program between a simulated Provet Cloud and simulated machines, under load
// and with faults, ends it with SIGKILL at random moments, starts it again, and
// at last asks whether an order was lost, doubled, or shown wrongly.
//
//	go run ./appliance/killtest -rounds 200
//
// It exits with 1 and the details of the first violations when something is
// not as it has to be. The data folder is kept then. The load, the faults and
// the moments of the kills follow from -seed; what meets what does not, because
// the operating system has a say in it.
package main
