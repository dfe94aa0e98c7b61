package ui

import (
	"context"
	"io"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
)

// Appliance is what the server needs of the appliance. Its methods are called
// by several goroutines. Errors for people wrap a *problem.Error; every other
// error is logged and answered as an internal one.
type Appliance interface {
	Health
	Orders
	Reports
	Received
	Outbox
	Arrivals
	Machines
	Tunnels
	Connections
	Upkeep
}

// Health says how the appliance is.
type Health interface {
	// Ready returns the codes of what keeps the service from doing its work:
	// ports that could not be opened, a database that does not answer. Empty
	// means ready.
	Ready(ctx context.Context) []problem.Code
	Status(ctx context.Context) (Status, error)
	// Problems returns what is wrong now, worst first; all also those that
	// have not lasted long enough to be shown.
	Problems(ctx context.Context, all bool) ([]problem.Problem, error)
}

// Orders are the orders and what a person may do with them. Accession numbers
// that are not known are RH-209, actions that the state forbids RH-210.
type Orders interface {
	Orders(ctx context.Context, f OrderFilter) ([]Order, error)
	Order(ctx context.Context, accession string) (OrderDetail, error)
	AddOrder(ctx context.Context, n NewOrder) (Order, error)
	ActOnOrder(ctx context.Context, accession string, a Action) (Order, error)
	// Hint asks for a look at the order with that Provet id.
	Hint(ctx context.Context, provetID string) error
}

// Outbox is what we still owe others.
type Outbox interface {
	Outbox(ctx context.Context, f OutboxFilter) ([]Message, error)
	// RetryMessage makes one message ready now, whether it waits or is parked.
	RetryMessage(ctx context.Context, id int64) error
	// RetryOutbox does so for every message of a destination, "" for all, and
	// returns how many.
	RetryOutbox(ctx context.Context, destination string) (int, error)
	PauseDestination(ctx context.Context, destination, reason string) error
	ResumeDestination(ctx context.Context, destination string) error
}

// Arrivals are images and reports that belong to no order yet.
type Arrivals interface {
	// Arrivals returns the unmatched ones; all also those linked already.
	Arrivals(ctx context.Context, all bool) ([]Arrival, error)
	LinkArrival(ctx context.Context, id int64, accession, reason string) (Order, error)
}

// Machines are the devices that ask for worklists.
type Machines interface {
	Machines(ctx context.Context) ([]Machine, error)
	PendingMachines(ctx context.Context) ([]PendingMachine, error)
	Queries(ctx context.Context, f QueryFilter) ([]Query, error)
}

// Tunnels joins relays.
type Tunnels interface {
	// Pair joins a relay with a one-time code, in the place of a former pairing. What
	// the relay refuses is RH-118, what cannot be reached RH-119.
	Pair(ctx context.Context, relayURL, code string) (Pairing, error)
}

// Upkeep is the rest of what an administrator does.
type Upkeep interface {
	Secrets(ctx context.Context) ([]secret.Info, error)
	SetSecret(ctx context.Context, name string, value secret.Secret) error
	Backups(ctx context.Context) ([]Backup, error)
	CreateBackup(ctx context.Context) (Backup, error)
	Doctor(ctx context.Context) ([]Check, error)
	ProbeProvet(ctx context.Context) (Probe, error)
	// SupportFile writes the redacted bundle, a zip.
	SupportFile(ctx context.Context, w io.Writer) error
}
