package dicomsim

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/rayhound/rayhound/drivers/dicom/dataset"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/query"
)

// DefaultPatience bounds one misbehaviour.
const DefaultPatience = 10 * time.Second

// Config describes a simulated modality.
type Config struct {
	AETitle       string // of the machine; must be set
	Address       string // host:port of the worklist and MPPS server; must be set
	CalledAETitle string // of that server; empty means RAYHOUND
	Code          string // DICOM modality, such as DX; empty means DX
	StationName   string // empty means AETitle
	Operator      string // who works at the machine; empty means "Technician"

	// Charset is the defined term for what the machine sends; empty means
	// ISO_IR 100, as most consoles are.
	Charset string
	// TransferSyntax is the UID of the only transfer syntax the machine speaks;
	// empty means that it proposes explicit and implicit VR little endian.
	TransferSyntax string

	Timeouts query.Timeouts   // zero means the defaults
	Patience time.Duration    // bounds one misbehaviour; 0 means DefaultPatience
	Zone     *time.Location   // of the machine's clock; nil means time.Local
	Now      func() time.Time // nil means time.Now
	Log      *slog.Logger     // nil means no log

	// Progress hears what the machine does, on the goroutine that does it.
	Progress func(Event)

	Keys    query.Keys    // of Run; the station's AE title is filled in
	Exam    time.Duration // how long an examination takes in Run
	Options Options       // what Run reports
}

// EventKind says what an Event is about.
type EventKind string

// What a modality tells its Config.Progress.
const (
	Queried    EventKind = "queried"    // the worklist was read
	Started    EventKind = "started"    // a step was begun (N-CREATE)
	Ended      EventKind = "ended"      // a step was ended (N-SET)
	Failed     EventKind = "failed"     // an exchange went wrong
	Misbehaved EventKind = "misbehaved" // see Misbehave
)

// Event is something a modality did.
type Event struct {
	At              time.Time
	AETitle         string
	Kind            EventKind
	AccessionNumber string // Started, Ended
	Entries         int    // Queried
	Series          int    // Ended
	Instances       int    // Ended
	Status          string // Ended: COMPLETED or DISCONTINUED
	Text            string // Misbehaved
	Err             error  // Failed
	Took            time.Duration
}

// Modality is a simulated machine. It is safe for concurrent use.
type Modality struct {
	config  Config
	charset dataset.Charset
}

// New returns a modality.
func New(c Config) (*Modality, error) {
	if err := query.CheckAETitle(c.AETitle); err != nil {
		return nil, fmt.Errorf("dicomsim: %w", err)
	}
	if c.CalledAETitle == "" {
		c.CalledAETitle = query.DefaultCallingAETitle
	}
	if c.Code == "" {
		c.Code = "DX"
	}
	if c.StationName == "" {
		c.StationName = c.AETitle
	}
	if c.Operator == "" {
		c.Operator = "Technician"
	}
	if c.Charset == "" {
		c.Charset = "ISO_IR 100"
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if _, ok := dataset.SyntaxByUID(c.TransferSyntax); !ok && c.TransferSyntax != "" {
		return nil, fmt.Errorf("dicomsim: transfer syntax %q is not supported", c.TransferSyntax)
	}
	cs, note := dataset.ParseCharset([]string{c.Charset})
	if note != "" {
		return nil, fmt.Errorf("dicomsim: character set %q: %s", c.Charset, note)
	}
	return &Modality{config: c, charset: cs}, nil
}

// target is the server, as package query wants it.
func (m *Modality) target() query.Target {
	return query.Target{
		CalledAETitle: m.config.CalledAETitle, Address: m.config.Address, CallingAETitle: m.config.AETitle,
		Timeouts: m.config.Timeouts, TransferSyntaxes: m.transferSyntaxes(),
	}
}

// transferSyntaxes are those the machine proposes.
func (m *Modality) transferSyntaxes() []string {
	if m.config.TransferSyntax != "" {
		return []string{m.config.TransferSyntax}
	}
	return []string{dataset.ExplicitLE.UID(), dataset.ImplicitLE.UID()}
}

// Echo asks whether the server answers (C-ECHO), as consoles do before they
// use a node.
func (m *Modality) Echo(ctx context.Context) error { return query.Echo(ctx, m.target()) }

// Worklist reads the machine's worklist. keys narrow it; a key that is empty
// matches everything.
func (m *Modality) Worklist(ctx context.Context, keys query.Keys) ([]*query.Entry, error) {
	began := time.Now()
	if keys.Charset == "" {
		keys.Charset = m.config.Charset
	}
	var entries []*query.Entry
	for e, err := range query.Worklist(ctx, m.target(), keys) {
		if err != nil {
			m.progress(Event{Kind: Failed, Text: "worklist", Err: err, Took: time.Since(began)})
			return entries, err
		}
		entries = append(entries, e)
	}
	m.progress(Event{Kind: Queried, Entries: len(entries), Took: time.Since(began)})
	return entries, nil
}

// progress completes e and tells it.
func (m *Modality) progress(e Event) {
	e.At, e.AETitle = m.config.Now(), m.config.AETitle
	attrs := []slog.Attr{
		slog.String("ae_title", e.AETitle), slog.String("event", string(e.Kind)), slog.Duration("duration", e.Took),
	}
	if e.AccessionNumber != "" {
		attrs = append(attrs, slog.String("accession_number", e.AccessionNumber))
	}
	if e.Text != "" {
		attrs = append(attrs, slog.String("text", e.Text))
	}
	level := slog.LevelInfo
	if e.Err != nil {
		level = slog.LevelWarn
		attrs = append(attrs, slog.Any("error", e.Err))
	}
	m.config.Log.LogAttrs(context.Background(), level, "simulated modality", attrs...)
	if m.config.Progress != nil {
		m.config.Progress(e)
	}
}

// associate opens an association for MPPS.
func (m *Modality) associate(ctx context.Context) (*dimse.Client, error) {
	return query.Dial(ctx, m.target(), stepClass)
}
