package mpps

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
)

// DefaultStoreTimeout is how long one commit may take.
const DefaultStoreTimeout = 30 * time.Second

// Config is what a Service needs.
type Config struct {
	Store        Store            // must be set
	Zone         *time.Location   // of the clinic; nil means UTC
	Limits       dataset.Limits   // of one data set; zero means DefaultLimits
	StoreTimeout time.Duration    // of one commit; 0 means DefaultStoreTimeout
	Log          *slog.Logger     // nil means no log
	Now          func() time.Time // nil means time.Now
	// Machine tells who a caller is; nil means that Peer.Tag is a Machine where
	// the caller is known.
	Machine func(*dimse.Peer) Machine
	// Observe hears of every message after its answer is known, on the
	// association's goroutine. It may be nil.
	Observe func(Outcome)
}

// Outcome is one message and what was answered.
type Outcome struct {
	At             time.Time
	Operation      Operation
	Machine        string
	CallingAETitle string
	Address        string
	SOPInstanceUID string
	Status         uint16        // the answered DIMSE status; 0 is success
	Reason         string        // why, when it was refused; no personal data
	Duration       time.Duration // from the whole message to its answer
}

// Service answers N-CREATE and N-SET. It is safe for concurrent use.
type Service struct {
	config Config
}

var (
	_ dimse.Creator = (*Service)(nil)
	_ dimse.Setter  = (*Service)(nil)
)

// NewService returns a service over c.Store.
func NewService(c Config) *Service {
	if c.Limits == (dataset.Limits{}) {
		c.Limits = DefaultLimits
	}
	if c.StoreTimeout == 0 {
		c.StoreTimeout = DefaultStoreTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Machine == nil {
		c.Machine = func(peer *dimse.Peer) Machine {
			machine, _ := peer.Tag.(Machine)
			return machine
		}
	}
	return &Service{config: c}
}

// Create answers an N-CREATE (PS3.4 F.7.2.1).
func (s *Service) Create(ctx context.Context, rq *dimse.Request) (dimse.Response, error) {
	return s.serve(ctx, NCreate, rq, func(ctx context.Context, r *Report, lenient bool) *refusal {
		if r.SOPInstanceUID == "" {
			r.SOPInstanceUID, r.UIDMinted = dataset.NewUID(), true
			r.Notes = append(r.Notes, "without Affected SOP Instance UID: one was made")
		}
		if r.Status != InProgress {
			if !lenient {
				return refuse(reasonStatusAtCreate)
			}
			r.Notes = append(r.Notes, "created with a status other than IN PROGRESS")
			if !r.Final() {
				r.Status = ""
			}
		}
		return failed(s.config.Store.Create(ctx, r))
	})
}

// Set answers an N-SET (PS3.4 F.7.2.2). It may come on another association
// than the N-CREATE, hours later, and without a status.
func (s *Service) Set(ctx context.Context, rq *dimse.Request) (dimse.Response, error) {
	return s.serve(ctx, NSet, rq, func(ctx context.Context, r *Report, _ bool) *refusal {
		if r.SOPInstanceUID == "" {
			return refuse(reasonNoInstanceUID)
		}
		switch r.Status {
		case "", InProgress, Completed, Discontinued:
		default:
			return refuse(reasonStatusAtSet)
		}
		return failed(s.config.Store.Set(ctx, r))
	})
}

// serve reads the message, lets store judge and keep it, keeps it as refused
// when it was, and translates the outcome.
func (s *Service) serve(ctx context.Context, op Operation, rq *dimse.Request,
	store func(ctx context.Context, r *Report, lenient bool) *refusal,
) (dimse.Response, error) {
	began := time.Now()
	r := &Report{
		Operation:         op,
		SOPInstanceUID:    strings.TrimRight(rq.SOPInstanceUID, " \x00"),
		At:                s.config.Now(),
		Raw:               bytes.Clone(rq.Data),
		TransferSyntaxUID: rq.TransferSyntaxUID,
	}
	machine := s.identify(r, rq.Peer)

	// A message that arrived whole is stored even when the console hangs up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.StoreTimeout)
	defer cancel()

	ref := s.read(r, rq.Data, machine)
	if ref == nil {
		ref = store(ctx, r, machine != nil && machine.MPPSLenient())
	}
	if ref != nil && ref.keep {
		if err := s.config.Store.Refused(ctx, r, ref.reason); err != nil {
			s.config.Log.ErrorContext(ctx, "refused mpps report not kept", "report", r, "error", err)
			if errors.Is(err, ErrNoSpace) {
				ref = refuse(reasonNoSpace)
			}
		}
	}
	return s.answer(r, ref, time.Since(began))
}

// identify fills in who sent r, and returns what is known about the caller.
func (s *Service) identify(r *Report, peer *dimse.Peer) Machine {
	if peer == nil {
		return nil
	}
	r.CallingAETitle = peer.CallingAETitle
	if peer.Addr.IsValid() {
		r.Address = peer.Addr.String()
	}
	machine := s.config.Machine(peer)
	if machine != nil {
		r.Machine = machine.MachineName()
	}
	return machine
}

// read fills r from the data set and checks the identifier.
func (s *Service) read(r *Report, data []byte, machine Machine) *refusal {
	c := ParseConfig{Zone: s.config.Zone, Limits: s.config.Limits}
	if machine != nil {
		c.Charset = machine.MPPSCharset()
	}
	err := parseInto(r, data, c)
	if limit := (*dataset.LimitError)(nil); errors.As(err, &limit) {
		return refuse(reasonTooLarge)
	}
	if err != nil {
		return refuse(reasonUndecodable)
	}
	if !validUID(r.SOPInstanceUID) {
		return refuse(reasonInvalidUID)
	}
	return nil
}

// validUID reports whether uid is absent or has the form of PS3.5 9.1: digits
// and dots, at most 64. Leading zeros of a component are tolerated.
func validUID(uid string) bool {
	if len(uid) > 64 {
		return false
	}
	for _, c := range []byte(uid) {
		if (c < '0' || c > '9') && c != '.' {
			return false
		}
	}
	return true
}

// answer tells the outcome to the log, the observer and the machine.
func (s *Service) answer(r *Report, ref *refusal, took time.Duration) (dimse.Response, error) {
	o := Outcome{
		At: r.At, Operation: r.Operation, Machine: r.Machine, CallingAETitle: r.CallingAETitle,
		Address: r.Address, SOPInstanceUID: r.SOPInstanceUID, Duration: took,
	}
	if ref != nil {
		o.Status, o.Reason = ref.status.Code, ref.reason
	}
	if s.config.Observe != nil {
		s.config.Observe(o)
	}
	if ref == nil {
		s.config.Log.Info("mpps report stored", "report", r, "duration", took)
		return dimse.Response{SOPInstanceUID: r.SOPInstanceUID}, nil
	}
	s.config.Log.Warn("mpps report refused", "report", r, "reason", ref.reason, "error", ref.err)
	return dimse.Response{SOPInstanceUID: r.SOPInstanceUID}, ref.status
}
