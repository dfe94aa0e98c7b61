// Package relaybench measures the relay from outside: how many webhooks it takes,
// how soon they are with an agent, what an idle agent costs, how a fleet comes back
// after an outage, and whether anything is lost over hours of disturbances. It is
// behind the hidden command rayhound relay bench.
//
// The relay runs in a process of its own, which is the same program started again
// ([Serve]), on loopback and with a database in a folder of its own. Senders, agents
// and relay share the computer, so rates are on the low side. Timing decides no
// test; relay/RESULTS.md holds figures with the machine they were measured on.
package relaybench
