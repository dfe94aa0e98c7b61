package dicomsim

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Kind names a misbehaviour.
type Kind string

// The misbehaviours, in the order of Kinds.
const (
	Silent           Kind = "silent"             // connect and say nothing
	SlowLoris        Kind = "slow-loris"         // an A-ASSOCIATE-RQ byte by byte
	HalfPDU          Kind = "half-pdu"           // announce a PDU, send half of it, wait
	HugeLength       Kind = "huge-length"        // announce an A-ASSOCIATE-RQ of 4 GiB
	HugeData         Kind = "huge-data"          // announce a P-DATA-TF of 4 GiB
	Garbage          Kind = "garbage"            // bytes that are no PDU
	HTTP             Kind = "http"               // a web browser on the wrong port
	WrongCalledAE    Kind = "wrong-called-ae"    // ask for an AE title that is not there
	UnknownCallingAE Kind = "unknown-calling"    // introduce itself with an unknown AE title
	DataFirst        Kind = "data-first"         // P-DATA-TF without an association
	Flood            Kind = "flood"              // many associations at once, kept
	NeverRelease     Kind = "never-release"      // associate and stay silent
	Vanish           Kind = "vanish"             // reset the connection in the middle of a find
	AbortMidFind     Kind = "abort-mid-find"     // A-ABORT in the middle of a find
	ReleaseMidFind   Kind = "release-mid-find"   // A-RELEASE-RQ in the middle of a find
	UnreadAnswers    Kind = "unread-answers"     // find and read no answer
	BadContext       Kind = "bad-context"        // speak on a context that was not negotiated
	EmptyFragments   Kind = "empty-fragments"    // fragments without content, for ever
	GarbageFind      Kind = "garbage-find"       // a C-FIND identifier that is no data set
	GarbageReport    Kind = "garbage-report"     // an N-CREATE data set that is none
	DeepReport       Kind = "deep-report"        // an N-CREATE of nested open sequences
	DuplicateCreate  Kind = "duplicate-create"   // the same N-CREATE twice
	SetTwice         Kind = "set-twice"          // a final N-SET twice
	SetUnknown       Kind = "set-unknown"        // N-SET for a step that was never created
	CreateCompleted  Kind = "create-completed"   // N-CREATE with the status COMPLETED
	CreateWithoutUID Kind = "create-without-uid" // N-CREATE without SOP Instance UID (legal)
)

// misbehaviour performs one kind. ctx bounds it. It returns what the other
// side did about it, in a few words.
type misbehaviour struct {
	kind Kind
	do   func(ctx context.Context, m *Modality) (heard string, err error)
}

// misbehaviours is the table behind Kinds and Misbehave.
var misbehaviours = []misbehaviour{
	{Silent, speak(nil)},
	{SlowLoris, slowLoris},
	{HalfPDU, halfPDU},
	{HugeLength, speak([]byte{pduAssociateRQ, 0, 0xff, 0xff, 0xff, 0xff})},
	{HugeData, speakAssociated([]byte{pduData, 0, 0xff, 0xff, 0xff, 0xff, 0, 0})},
	{Garbage, speak([]byte{0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 4, 1, 2, 3, 4})},
	{HTTP, speak([]byte("GET / HTTP/1.1\r\nHost: worklist\r\n\r\n"))},
	{WrongCalledAE, wrongCalledAE},
	{UnknownCallingAE, unknownCallingAE},
	{DataFirst, speak(pdv(1, 3, findRQ(1)))},
	{Flood, flood},
	{NeverRelease, speakAssociated(nil)},
	{Vanish, vanish},
	{AbortMidFind, abortMidFind},
	{ReleaseMidFind, releaseMidFind},
	{UnreadAnswers, unreadAnswers},
	{BadContext, speakAssociated(pdv(99, 3, findRQ(1)))},
	{EmptyFragments, emptyFragments},
	{GarbageFind, speakAssociated(slices.Concat(pdv(3, 3, findRQ(1)), pdv(3, 2, []byte("no data set"))))},
	{GarbageReport, speakAssociated(slices.Concat(pdv(5, 3, createRQ(1, "2.25.1")), pdv(5, 2, []byte("no data set"))))},
	{DeepReport, func(ctx context.Context, m *Modality) (string, error) { return speakAssociated(deepReport())(ctx, m) }},
	{DuplicateCreate, duplicateCreate},
	{SetTwice, setTwice},
	{SetUnknown, setUnknown},
	{CreateCompleted, createCompleted},
	{CreateWithoutUID, createWithoutUID},
}

// Kinds returns every misbehaviour.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(misbehaviours))
	for _, m := range misbehaviours {
		kinds = append(kinds, m.kind)
	}
	return kinds
}

// Misbehave does one thing no machine should do, and returns what the server
// did about it in a few words: "A-ASSOCIATE-RJ 1,1,7", "A-ABORT 2,6", "closed",
// "status 0111"; "nothing" when it kept still for Config.Patience. An error
// means that the misbehaviour could not be tried, as when nobody listens.
func (m *Modality) Misbehave(ctx context.Context, kind Kind) (heard string, err error) {
	i := slices.IndexFunc(misbehaviours, func(b misbehaviour) bool { return b.kind == kind })
	if i < 0 {
		return "", fmt.Errorf("dicomsim: %q is no misbehaviour", kind)
	}
	ctx, cancel := context.WithTimeout(ctx, m.config.Patience)
	defer cancel()
	began := time.Now()
	heard, err = misbehaviours[i].do(ctx, m)
	if err != nil {
		return "", fmt.Errorf("dicomsim: %s: %w", kind, err)
	}
	m.progress(Event{Kind: Misbehaved, Text: string(kind) + ": " + heard, Took: time.Since(began)})
	return heard, nil
}

// speak returns a misbehaviour that connects, sends b and listens.
func speak(b []byte) func(context.Context, *Modality) (string, error) {
	return func(ctx context.Context, m *Modality) (string, error) {
		w, err := dialWire(ctx, m.config.Address)
		if err != nil {
			return "", err
		}
		defer w.close()
		if err := w.send(b); err != nil {
			return hearError(err), nil
		}
		return w.hear(), nil
	}
}

// speakAssociated returns a misbehaviour that associates, sends b and listens.
// The contexts are 1 Verification, 3 worklist, 5 performed step.
func speakAssociated(b []byte) func(context.Context, *Modality) (string, error) {
	return func(ctx context.Context, m *Modality) (string, error) {
		w, heard, err := m.associateRaw(ctx)
		if w == nil {
			return heard, err
		}
		defer w.close()
		if err := w.send(b); err != nil {
			return hearError(err), nil
		}
		return w.hearMessage(), nil
	}
}

// associateRaw connects and associates. When the association does not come to
// be, the connection is nil and heard says what came instead.
func (m *Modality) associateRaw(ctx context.Context) (w *wire, heard string, err error) {
	w, err = dialWire(ctx, m.config.Address)
	if err != nil {
		return nil, "", err
	}
	rq := associateRQ(m.config.CalledAETitle, m.config.AETitle, verificationClass, worklistClass, stepClass)
	if err := w.send(rq); err != nil {
		w.close()
		return nil, hearError(err), nil
	}
	kind, body, err := w.read()
	switch {
	case err != nil:
		heard = hearError(err)
	case kind != pduAssociateAC:
		heard = pduWords(kind, body)
	default:
		return w, "", nil
	}
	w.close()
	return nil, heard, nil
}

func slowLoris(ctx context.Context, m *Modality) (string, error) {
	w, err := dialWire(ctx, m.config.Address)
	if err != nil {
		return "", err
	}
	defer w.close()
	heard := make(chan string, 1)
	go func() { heard <- w.hear() }()
	tick := time.NewTicker(max(m.config.Patience/100, time.Millisecond))
	defer tick.Stop()
	for _, c := range associateRQ(m.config.CalledAETitle, m.config.AETitle, verificationClass) {
		if w.send([]byte{c}) != nil {
			return <-heard, nil
		}
		select {
		case h := <-heard:
			return h, nil
		case <-ctx.Done():
			return <-heard, nil
		case <-tick.C:
		}
	}
	return <-heard, nil
}

func halfPDU(ctx context.Context, m *Modality) (string, error) {
	rq := associateRQ(m.config.CalledAETitle, m.config.AETitle, verificationClass)
	return speak(rq[:len(rq)/2])(ctx, m)
}

func wrongCalledAE(ctx context.Context, m *Modality) (string, error) {
	return speak(associateRQ("NOSUCH", m.config.AETitle, verificationClass))(ctx, m)
}

func unknownCallingAE(ctx context.Context, m *Modality) (string, error) {
	return speak(associateRQ(m.config.CalledAETitle, "STRANGER", verificationClass))(ctx, m)
}

// floodSize is how many associations Flood opens.
const floodSize = 200

func flood(ctx context.Context, m *Modality) (string, error) {
	var open, refused int
	var all []*wire
	defer func() {
		for _, w := range all {
			w.reset()
		}
	}()
	for range floodSize {
		w, _, err := m.associateRaw(ctx)
		if err != nil && len(all) == 0 && refused == 0 {
			return "", err
		}
		if w == nil {
			refused++
			continue
		}
		open++
		all = append(all, w)
	}
	return fmt.Sprintf("%d accepted, %d refused", open, refused), nil
}
