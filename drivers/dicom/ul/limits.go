package ul

import "time"

// Identity of this implementation (PS3.7 D.3.3.2). The UID is fixed for ever.
const (
	ImplementationClassUID    = "2.25.208477149936213058117926254735120183791"
	ImplementationVersionName = "RAYHOUND_0_1"
)

// Limits bound what one association may cost. Zero fields mean the default.
type Limits struct {
	AssociatePDU   int // longest A-ASSOCIATE-RQ or -AC body, bytes; 256 KiB
	MaxPDU         int // maximum length we announce and the most we send, bytes; 65,536
	ToleratedPDU   int // longest P-DATA-TF body we accept although we announced less, bytes; 131,072
	EmptyFragments int // consecutive empty fragments; 64

	ARTIM   time.Duration // connect to complete A-ASSOCIATE-RQ; 30 s
	Close   time.Duration // wait for the peer to close; 5 s
	Idle    time.Duration // between two messages; 120 s
	PDU     time.Duration // the rest of a started PDU; 30 s
	Message time.Duration // the rest of a started message; 60 s
	Write   time.Duration // one write without progress; 30 s
}

// WithDefaults returns l with the default in every field that is zero.
func (l Limits) WithDefaults() Limits {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	after := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.AssociatePDU, 256<<10)
	def(&l.MaxPDU, 65536)
	def(&l.ToleratedPDU, 131072)
	def(&l.EmptyFragments, 64)
	after(&l.ARTIM, 30*time.Second)
	after(&l.Close, 5*time.Second)
	after(&l.Idle, 120*time.Second)
	after(&l.PDU, 30*time.Second)
	after(&l.Message, 60*time.Second)
	after(&l.Write, 30*time.Second)
	return l
}
