package ul

import "fmt"

// State of an association (PS3.8 Tables 9-1 to 9-5).
type State byte

// The thirteen states.
const (
	Sta1  State = 1 + iota // idle
	Sta2                   // transport connection open, awaiting A-ASSOCIATE-RQ
	Sta3                   // awaiting the local A-ASSOCIATE response
	Sta4                   // awaiting the transport connection to open
	Sta5                   // awaiting A-ASSOCIATE-AC or -RJ
	Sta6                   // association established
	Sta7                   // awaiting A-RELEASE-RP
	Sta8                   // awaiting the local A-RELEASE response
	Sta9                   // release collision, requestor: awaiting the local response
	Sta10                  // release collision, acceptor: awaiting A-RELEASE-RP
	Sta11                  // release collision, requestor: awaiting A-RELEASE-RP
	Sta12                  // release collision, acceptor: awaiting the local response
	Sta13                  // awaiting the transport connection to close
)

// String returns the name used in PS3.8.
func (s State) String() string { return fmt.Sprintf("Sta%d", byte(s)) }

// Event that an association can meet (PS3.8 Table 9-10).
type Event byte

// The nineteen events.
const (
	Evt1  Event = 1 + iota // A-ASSOCIATE request from the local user
	Evt2                   // transport connection confirmed
	Evt3                   // A-ASSOCIATE-AC received
	Evt4                   // A-ASSOCIATE-RJ received
	Evt5                   // transport connection indication
	Evt6                   // A-ASSOCIATE-RQ received
	Evt7                   // local A-ASSOCIATE response: accept
	Evt8                   // local A-ASSOCIATE response: reject
	Evt9                   // local P-DATA request
	Evt10                  // P-DATA-TF received
	Evt11                  // local A-RELEASE request
	Evt12                  // A-RELEASE-RQ received
	Evt13                  // A-RELEASE-RP received
	Evt14                  // local A-RELEASE response
	Evt15                  // local A-ABORT request
	Evt16                  // A-ABORT received
	Evt17                  // transport connection closed
	Evt18                  // ARTIM timer expired
	Evt19                  // unrecognized or invalid PDU received
)

// String returns the name used in PS3.8.
func (e Event) String() string { return fmt.Sprintf("Evt%d", byte(e)) }

// Action to take (PS3.8 Tables 9-6 to 9-9).
type Action string

// The actions.
const (
	AE1  Action = "AE-1"  // open the transport connection
	AE2  Action = "AE-2"  // send A-ASSOCIATE-RQ
	AE3  Action = "AE-3"  // tell the user: accepted
	AE4  Action = "AE-4"  // tell the user: rejected; close
	AE5  Action = "AE-5"  // accept the transport connection; start ARTIM
	AE6  Action = "AE-6"  // stop ARTIM; judge the request
	AE7  Action = "AE-7"  // send A-ASSOCIATE-AC
	AE8  Action = "AE-8"  // send A-ASSOCIATE-RJ; start ARTIM
	DT1  Action = "DT-1"  // send P-DATA-TF
	DT2  Action = "DT-2"  // hand P-DATA to the user
	AR1  Action = "AR-1"  // send A-RELEASE-RQ
	AR2  Action = "AR-2"  // tell the user: release asked for
	AR3  Action = "AR-3"  // tell the user: released; close
	AR4  Action = "AR-4"  // send A-RELEASE-RP; start ARTIM
	AR5  Action = "AR-5"  // stop ARTIM
	AR6  Action = "AR-6"  // hand P-DATA to the user
	AR7  Action = "AR-7"  // send P-DATA-TF
	AR8  Action = "AR-8"  // tell the user: release collision
	AR9  Action = "AR-9"  // send A-RELEASE-RP
	AR10 Action = "AR-10" // tell the user: released
	AA1  Action = "AA-1"  // send A-ABORT; start ARTIM
	AA2  Action = "AA-2"  // stop ARTIM; close
	AA3  Action = "AA-3"  // tell the user: aborted; close
	AA4  Action = "AA-4"  // tell the user: connection lost
	AA5  Action = "AA-5"  // stop ARTIM
	AA6  Action = "AA-6"  // ignore the PDU
	AA7  Action = "AA-7"  // send A-ABORT
	AA8  Action = "AA-8"  // send A-ABORT; tell the user; start ARTIM
)

// step is a cell of PS3.8 Table 9-10.
type step struct {
	action Action
	next   State
}

// table is PS3.8 Table 9-10. A cell that is not listed is not allowed. Where
// the standard names two next states the one for the ordinary outcome stands
// here: AE-6 leads to Sta3 (to Sta13 when the provider itself rejects), AR-8 to
// Sta9 for the requestor (to Sta10 for the acceptor, see Next).
var table = map[State]map[Event]step{
	Sta1: {Evt1: {AE1, Sta4}, Evt5: {AE5, Sta2}},
	Sta2: {
		Evt3: {AA1, Sta13}, Evt4: {AA1, Sta13}, Evt6: {AE6, Sta3}, Evt10: {AA1, Sta13},
		Evt12: {AA1, Sta13}, Evt13: {AA1, Sta13}, Evt16: {AA2, Sta1}, Evt17: {AA5, Sta1},
		Evt18: {AA2, Sta1}, Evt19: {AA1, Sta13},
	},
	Sta3: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt7: {AE7, Sta6}, Evt8: {AE8, Sta13},
		Evt10: {AA8, Sta13}, Evt12: {AA8, Sta13}, Evt13: {AA8, Sta13}, Evt15: {AA1, Sta13},
		Evt16: {AA3, Sta1}, Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta4: {Evt2: {AE2, Sta5}, Evt15: {AA2, Sta1}, Evt17: {AA4, Sta1}},
	Sta5: {
		Evt3: {AE3, Sta6}, Evt4: {AE4, Sta1}, Evt6: {AA8, Sta13}, Evt10: {AA8, Sta13},
		Evt12: {AA8, Sta13}, Evt13: {AA8, Sta13}, Evt15: {AA1, Sta13}, Evt16: {AA3, Sta1},
		Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta6: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt9: {DT1, Sta6}, Evt10: {DT2, Sta6},
		Evt11: {AR1, Sta7}, Evt12: {AR2, Sta8}, Evt13: {AA8, Sta13}, Evt15: {AA1, Sta13},
		Evt16: {AA3, Sta1}, Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta7: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt10: {AR6, Sta7},
		Evt12: {AR8, Sta9}, Evt13: {AR3, Sta1}, Evt15: {AA1, Sta13}, Evt16: {AA3, Sta1},
		Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta8: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt9: {AR7, Sta8}, Evt10: {AA8, Sta13},
		Evt12: {AA8, Sta13}, Evt13: {AA8, Sta13}, Evt14: {AR4, Sta13}, Evt15: {AA1, Sta13},
		Evt16: {AA3, Sta1}, Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta9: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt10: {AA8, Sta13},
		Evt12: {AA8, Sta13}, Evt13: {AA8, Sta13}, Evt14: {AR9, Sta11}, Evt15: {AA1, Sta13},
		Evt16: {AA3, Sta1}, Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta10: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt10: {AA8, Sta13},
		Evt12: {AA8, Sta13}, Evt13: {AR10, Sta12}, Evt15: {AA1, Sta13},
		Evt16: {AA3, Sta1}, Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta11: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt10: {AA8, Sta13},
		Evt12: {AA8, Sta13}, Evt13: {AR3, Sta1}, Evt15: {AA1, Sta13},
		Evt16: {AA3, Sta1}, Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta12: {
		Evt3: {AA8, Sta13}, Evt4: {AA8, Sta13}, Evt6: {AA8, Sta13}, Evt10: {AA8, Sta13},
		Evt12: {AA8, Sta13}, Evt13: {AA8, Sta13}, Evt14: {AR4, Sta13}, Evt15: {AA1, Sta13},
		Evt16: {AA3, Sta1}, Evt17: {AA4, Sta1}, Evt19: {AA8, Sta13},
	},
	Sta13: {
		Evt3: {AA6, Sta13}, Evt4: {AA6, Sta13}, Evt6: {AA7, Sta13}, Evt10: {AA6, Sta13},
		Evt12: {AA6, Sta13}, Evt13: {AA6, Sta13}, Evt16: {AA2, Sta1}, Evt17: {AR5, Sta1},
		Evt18: {AA2, Sta1}, Evt19: {AA7, Sta13},
	},
}

// index is table as an array, for the path every PDU takes.
var index = func() (t [14][20]step) {
	for s, row := range table {
		for e, c := range row {
			t[s][e] = c
		}
	}
	return t
}()

// Next returns what PS3.8 Table 9-10 prescribes. ok is false for a cell the
// standard leaves empty. It has no effect besides: the association carries the
// action out. requestor tells the two roles apart in a release collision.
func Next(s State, e Event, requestor bool) (a Action, next State, ok bool) {
	if s < Sta1 || s > Sta13 || e < Evt1 || e > Evt19 {
		return "", s, false
	}
	c := index[s][e]
	if c.next == 0 {
		return "", s, false
	}
	if c.action == AR8 && !requestor {
		return AR8, Sta10, true
	}
	return c.action, c.next, true
}
