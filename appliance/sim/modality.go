package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dicomsim"
)

// ModalityOptions describe a simulated machine.
type ModalityOptions struct {
	Address          string // host:port of the worklist
	CalledAETitle    string
	AETitle          string
	Code             string
	Every            time.Duration // how often it asks
	Exam             time.Duration
	Discontinue      bool
	WithoutReference bool
	Misbehave        string // do this once and end; see Misbehaviours
	Out              io.Writer
}

// Misbehaviours lists what a machine can be told to do wrong.
func Misbehaviours() []string {
	var names []string
	for _, k := range dicomsim.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// Modality runs a simulated machine until ctx ends, or through one
// misbehaviour.
func Modality(ctx context.Context, o ModalityOptions) error {
	p := &printer{w: o.Out}
	cfg := dicomsim.Config{
		AETitle: o.AETitle, Address: o.Address, CalledAETitle: o.CalledAETitle, Code: o.Code, Exam: o.Exam,
		Options:  dicomsim.Options{WithoutReference: o.WithoutReference},
		Progress: func(e dicomsim.Event) { p.printf("%s  %s\n", e.At.Local().Format("15:04:05"), eventText(e)) },
	}
	if o.Discontinue {
		cfg.Options.Discontinue = &dicomsim.Reason{Value: "110513", Scheme: "DCM", Meaning: "Discontinued for unspecified reason"}
	}
	m, err := dicomsim.New(cfg)
	if err != nil {
		return problem.New(problem.Usage, problem.Args{"reason": strings.TrimPrefix(err.Error(), "dicomsim: ")}, err)
	}
	if o.Misbehave != "" {
		if !slices.Contains(Misbehaviours(), o.Misbehave) {
			return problem.New(problem.Usage, problem.Args{"reason": "A machine cannot do \"" + o.Misbehave + "\"; --misbehave list shows what it can"}, nil)
		}
		heard, err := m.Misbehave(ctx, dicomsim.Kind(o.Misbehave))
		if err != nil {
			return problem.New(problem.DICOMPeer, problem.Args{"peer": o.Address, "reason": reasonOf(err)}, err)
		}
		p.printf("%s: the server's answer was %s\n", o.Misbehave, heard)
		return nil
	}
	p.printf("%s asks %s at %s every %s.\n", o.AETitle, o.CalledAETitle, o.Address, o.Every)
	if err := m.Run(ctx, o.Every); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("sim: %w", err)
	}
	return nil
}

func eventText(e dicomsim.Event) string {
	switch e.Kind {
	case dicomsim.Queried:
		return fmt.Sprintf("the worklist has %d entries", e.Entries)
	case dicomsim.Started:
		return "begins " + e.AccessionNumber
	case dicomsim.Ended:
		return fmt.Sprintf("ends %s: %s, %d series, %d images", e.AccessionNumber, strings.ToLower(e.Status), e.Series, e.Instances)
	case dicomsim.Failed:
		return "failed: " + reasonOf(e.Err)
	case dicomsim.Misbehaved:
		return e.Text
	}
	return string(e.Kind)
}
