package dimse

import (
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/ul"
)

// Limits bound what a server spends. Zero fields mean the default.
type Limits struct {
	ul.Limits // of each association

	Associations          int // established, of all callers; 64
	PerMachine            int // established, per Grant.Key; 16
	PerUnknown            int // established, of all callers without a Grant.Key; 4
	Connections           int // open sockets, of all callers; 1,024
	ConnectionsPerAddress int // open sockets per IP address; 256
	RefusedPerSecond      int // rejects per IP address before its connections are closed unanswered; 5

	Command    int // command set, bytes; 16 KiB
	Identifier int // C-FIND identifier, bytes; 256 KiB
	Attributes int // data set of N-CREATE and N-SET, bytes; 8 MiB
	Answers    int // pending responses per C-FIND; 10,000
	Memory     int // all messages in flight, bytes beyond 64 KiB each; 64 MiB

	RefusedPause  time.Duration // how long; 10 s
	MemoryWait    time.Duration // for the memory budget; 10 s
	Operation     time.Duration // one operation in total; 60 s
	ShutdownGrace time.Duration // from the end of Serve's context to A-ABORT; 5 s
}

// WithDefaults returns l with the default in every field that is zero.
func (l Limits) WithDefaults() Limits {
	l.Limits = l.Limits.WithDefaults()
	for _, d := range []struct {
		v   *int
		def int
	}{
		{&l.Associations, 64},
		{&l.PerMachine, 16},
		{&l.PerUnknown, 4},
		{&l.Connections, 1024},
		{&l.ConnectionsPerAddress, 256},
		{&l.RefusedPerSecond, 5},
		{&l.Command, 16 << 10},
		{&l.Identifier, 256 << 10},
		{&l.Attributes, 8 << 20},
		{&l.Answers, 10000},
		{&l.Memory, 64 << 20},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&l.RefusedPause, 10 * time.Second},
		{&l.MemoryWait, 10 * time.Second},
		{&l.Operation, 60 * time.Second},
		{&l.ShutdownGrace, 5 * time.Second},
	} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return l
}
