package hl7sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FaultKind is a way to misbehave.
type FaultKind string

// Faults of the side that answers. Unless it is said otherwise the message is
// applied.
const (
	LateAck          FaultKind = "late-ack"          // answers after Delay, or when Release is closed
	NeverAck         FaultKind = "never-ack"         // never answers, keeps the connection
	CloseAfterRead   FaultKind = "close-after-read"  // reads, closes; nothing is applied
	LoseAnswer       FaultKind = "lose-answer"       // applies, closes without an answer
	HalfFrame        FaultKind = "half-frame"        // half of the answer, then closes
	DoubleFrame      FaultKind = "double-frame"      // VT and FS CR twice around the answer
	DoubleAck        FaultKind = "double-ack"        // the answer twice, in one write
	OldAckFirst      FaultKind = "old-ack-first"     // the answer to another message, then the right one
	WrongID          FaultKind = "wrong-msa2"        // MSA-2 of another message
	EmptyID          FaultKind = "empty-msa2"        // MSA-2 empty
	CutID            FaultKind = "cut-msa2"          // MSA-2 without its end
	CommitElsewhere  FaultKind = "ca-then-aa"        // CA, then AA over a connection to SendTo
	CommitSame       FaultKind = "ca-then-aa-same"   // CA, then AA over the same connection
	Gap              FaultKind = "gap"               // no answer to what comes within Delay (3 s) after its last answer; not applied
	GapReject        FaultKind = "gap-ar"            // AR 207 to it; not applied
	Internal207      FaultKind = "ar-207"            // AR with ERR 207; not applied
	Error101         FaultKind = "ae-101"            // AE with ERR 101; not applied
	ErrorPlain       FaultKind = "ae"                // AE without ERR; not applied
	RejectPlain      FaultKind = "ar"                // AR without ERR; not applied
	AcceptWithError  FaultKind = "aa-with-err"       // AA with an ERR segment
	AsOrder          FaultKind = "answer-orr"        // ORR^O02 instead of ACK, whatever the message was
	AsMCF            FaultKind = "answer-mcf"        // MCF instead of ACK
	OldVersion       FaultKind = "answer-2.3"        // MSH-12 is 2.3
	LFAck            FaultKind = "lf-ack"            // segments of the answer end with LF
	SplitAck         FaultKind = "split-ack"         // the answer byte by byte
	NoEndAck         FaultKind = "ack-without-cr"    // the frame of the answer ends with FS alone
	GarbageAck       FaultKind = "garbage-ack"       // no message at all
	HugeAck          FaultKind = "huge-ack"          // an answer of Size bytes (2 MB)
	CloseAfterAck    FaultKind = "close-after-ack"   // closes after a good answer
	Unable           FaultKind = "unable"            // UA, UC or UX in an ORR: it does not do what was asked; not applied
	RefuseConnection FaultKind = "refuse-connection" // resets new connections
	SlowConnection   FaultKind = "read-nothing"      // accepts a connection and reads nothing from it
)

// Faults of the side that sends status and reports.
const (
	ByteOrderMark FaultKind = "bom"            // a UTF-8 byte order mark in front of VT
	TwoInOne      FaultKind = "two-in-one"     // the message and another one (its own MSH-10) in one write
	NoCR          FaultKind = "no-cr"          // FS without CR
	NoEnd         FaultKind = "no-fs-cr"       // neither FS nor CR, then the next frame
	NoStart       FaultKind = "no-vt"          // no VT
	DoubleStart   FaultKind = "double-vt"      // VT and FS CR twice
	NULs          FaultKind = "nuls"           // NULs in front of the frame and of the message
	HalfMessage   FaultKind = "half-message"   // half of the frame, then closes
	Slow          FaultKind = "slow"           // byte by byte, Delay between them
	Flood         FaultKind = "flood"          // Size connections (64) at once, the message on each with its own MSH-10
	LargeDocument FaultKind = "large-document" // an ED of Size bytes (20 MB) at the end of the message
	HugeMessage   FaultKind = "huge-message"   // a frame of Size bytes (100 MB)
	WrongCharset  FaultKind = "wrong-charset"  // 8859/1 bytes under MSH-18 = UNICODE UTF-8
	Garbage       FaultKind = "garbage"        // bytes that are no message, then the message
	WrongVersion  FaultKind = "wrong-version"  // MSH-12 is 9.9
	WrongType     FaultKind = "wrong-type"     // MSH-9 is QRY^A19
	SendTwice     FaultKind = "send-twice"     // the message again after its answer
)

// Side is who shows a fault.
type Side string

// The sides.
const (
	Answering Side = "answer" // to what comes
	Sending   Side = "send"   // status and reports
)

// Kind describes a kind of fault.
type Kind struct {
	Kind FaultKind
	Side Side
	Text string
}

// kinds is every kind, in the order of the documentation.
var kinds = []Kind{
	{LateAck, Answering, "answers late (seconds)"},
	{NeverAck, Answering, "never answers"},
	{CloseAfterRead, Answering, "reads the message and closes"},
	{LoseAnswer, Answering, "applies the message and closes without an answer"},
	{HalfFrame, Answering, "half of the answer, then closes"},
	{DoubleFrame, Answering, "frame characters twice around the answer"},
	{DoubleAck, Answering, "the answer twice"},
	{OldAckFirst, Answering, "the answer to another message first"},
	{WrongID, Answering, "an answer to another message"},
	{EmptyID, Answering, "an answer without MSA-2"},
	{CutID, Answering, "an answer whose MSA-2 lacks its end"},
	{CommitElsewhere, Answering, "CA, then AA over another connection"},
	{CommitSame, Answering, "CA, then AA over the same connection"},
	{Gap, Answering, "no answer to what comes too soon (seconds, default 3)"},
	{GapReject, Answering, "AR 207 to what comes too soon (seconds, default 3)"},
	{Internal207, Answering, "AR with ERR 207"},
	{Error101, Answering, "AE with ERR 101"},
	{ErrorPlain, Answering, "AE without ERR"},
	{RejectPlain, Answering, "AR without ERR"},
	{AcceptWithError, Answering, "AA with an ERR segment"},
	{AsOrder, Answering, "ORR^O02 instead of ACK"},
	{AsMCF, Answering, "MCF instead of ACK"},
	{OldVersion, Answering, "an answer of version 2.3"},
	{LFAck, Answering, "an answer with LF at the ends of segments"},
	{SplitAck, Answering, "the answer byte by byte"},
	{NoEndAck, Answering, "the frame of the answer ends without CR"},
	{GarbageAck, Answering, "bytes that are no message"},
	{HugeAck, Answering, "an answer of 2 MB"},
	{CloseAfterAck, Answering, "closes after each answer"},
	{Unable, Answering, "unable to do it: UA, UC or UX"},
	{RefuseConnection, Answering, "resets connections"},
	{SlowConnection, Answering, "reads nothing from a connection"},
	{ByteOrderMark, Sending, "a byte order mark in front of the frame"},
	{TwoInOne, Sending, "two messages in one write"},
	{NoCR, Sending, "a frame that ends without CR"},
	{NoEnd, Sending, "a frame without an end, then the next one"},
	{NoStart, Sending, "a frame without VT"},
	{DoubleStart, Sending, "frame characters twice"},
	{NULs, Sending, "NULs in front of frame and message"},
	{HalfMessage, Sending, "half of a frame, then closes"},
	{Slow, Sending, "byte by byte (seconds between them)"},
	{Flood, Sending, "64 connections at once"},
	{LargeDocument, Sending, "a document of 20 MB"},
	{HugeMessage, Sending, "a frame of 100 MB"},
	{WrongCharset, Sending, "8859/1 text declared as UTF-8"},
	{Garbage, Sending, "bytes that are no message first"},
	{WrongVersion, Sending, "HL7 version 9.9"},
	{WrongType, Sending, "a type of message nobody takes"},
	{SendTwice, Sending, "the message again after its answer"},
}

// Kinds returns every kind of fault.
func Kinds() []Kind { return slices.Clone(kinds) }

func sideOf(k FaultKind) (Side, bool) {
	i := slices.IndexFunc(kinds, func(x Kind) bool { return x.Kind == k })
	if i < 0 {
		return "", false
	}
	return kinds[i].Side, true
}

// Fault is one fault in force. It meets messages (RefuseConnection and
// SlowConnection: connections) until Count of them were hit.
type Fault struct {
	ID    int // given by Inject
	Kind  FaultKind
	Count int           // zero: until it is removed
	Rate  float64       // share of the messages that are hit, 0 < Rate <= 1; zero: all
	Delay time.Duration // of LateAck, Gap, GapReject and Slow
	Size  int           // of HugeAck, LargeDocument, HugeMessage (bytes) and Flood (connections); at most 256 MiB
	// Release, when it is not nil, ends LateAck instead of Delay.
	Release <-chan struct{}
	// Control meets only messages with this ORC-1; empty: all.
	Control string
}

// maxSize bounds Fault.Size.
const maxSize = 256 << 20

// ParseFault reads a fault as the command line writes it: "KIND", "KIND=VALUE" and
// either with ":COUNT" or ":SHARE%" behind. VALUE is seconds, or bytes or
// connections for the kinds that have a size: "late-ack=3", "ar-207:1",
// "lose-answer:20%".
func ParseFault(s string) (Fault, error) {
	rest, meets, hasMeets := strings.Cut(s, ":")
	kind, value, hasValue := strings.Cut(rest, "=")
	f := Fault{Kind: FaultKind(kind)}
	bad := func(why string) (Fault, error) { return Fault{}, fmt.Errorf("%w: fault %q: %s", ErrConfig, s, why) }
	if hasValue {
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || !(v >= 0 && v <= maxSize) {
			return bad("the value is not a number")
		}
		if f.Kind == HugeAck || f.Kind == LargeDocument || f.Kind == HugeMessage || f.Kind == Flood {
			f.Size = int(v)
		} else {
			f.Delay = time.Duration(min(v, 86400) * float64(time.Second))
		}
	}
	if share, ok := strings.CutSuffix(meets, "%"); ok {
		v, err := strconv.ParseFloat(share, 64)
		if err != nil || !(v > 0 && v <= 100) {
			return bad("the share is not from 0 to 100 %")
		}
		f.Rate = v / 100
	} else if hasMeets {
		n, err := strconv.Atoi(meets)
		if err != nil || n < 1 {
			return bad("the count is not a number from 1")
		}
		f.Count = n
	}
	if err := f.check(); err != nil {
		return Fault{}, err
	}
	return f, nil
}

func (f Fault) check() error {
	if _, ok := sideOf(f.Kind); !ok {
		return fmt.Errorf("%w: there is no fault %q", ErrConfig, f.Kind)
	}
	if f.Count < 0 || !(f.Rate >= 0 && f.Rate <= 1) || f.Delay < 0 || f.Size < 0 || f.Size > maxSize {
		return fmt.Errorf("%w: a value of fault %q is out of range", ErrConfig, f.Kind)
	}
	return nil
}

// faults are the faults in force.
type faults struct {
	mu   sync.Mutex
	list []Fault
	last int
	rng  *rand.Rand
}

// Inject puts a fault in force and returns its number.
func (r *RIS) Inject(f Fault) (int, error) {
	if err := f.check(); err != nil {
		return 0, err
	}
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.last++
	f.ID = r.faults.last
	r.faults.list = append(r.faults.list, f)
	return f.ID, nil
}

// Faults returns the faults in force.
func (r *RIS) Faults() []Fault {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	return slices.Clone(r.faults.list)
}

// RemoveFault ends one fault.
func (r *RIS) RemoveFault(id int) {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.list = slices.DeleteFunc(r.faults.list, func(f Fault) bool { return f.ID == id })
}

// ClearFaults ends every fault.
func (r *RIS) ClearFaults() {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.list = nil
}

// take returns the oldest fault in force that wanted picks, and counts it; the
// zero Fault when there is none.
func (f *faults) take(wanted func(Fault) bool) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		x := f.list[i]
		if !wanted(x) || x.Rate > 0 && f.rng.Float64() >= x.Rate {
			continue
		}
		if x.Count == 1 {
			f.list = slices.Delete(f.list, i, i+1)
		} else if x.Count > 1 {
			f.list[i].Count--
		}
		return x
	}
	return Fault{}
}
