// Package localdb keeps everything the appliance must not lose in one SQLite
// file: orders with their timelines and evidence, hints, the outbox, machines'
// reports, arrivals, the query log, audit lines and small states.
//
// There is one writer and there are a few readers. Write runs a function in an
// immediate transaction that is on the disk when Write returns nil; Read runs a
// function on one snapshot. Nothing that waits (network, files, channels)
// belongs inside either function, and neither may call Write or Read again.
//
// Times are stored as Unix milliseconds and come back in UTC. A zero time
// stays a zero time.
package localdb

//go:generate go run gen.go
