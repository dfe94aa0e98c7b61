package dicomsim

import (
	"context"
	"errors"
	"fmt"
)

// heardStatus says in words how an MPPS message was answered. An error that is
// no status is returned as it is.
func heardStatus(err error) (string, error) {
	var status *StatusError
	switch {
	case err == nil:
		return "status 0000", nil
	case errors.As(err, &status):
		return fmt.Sprintf("status %04X", status.Status.Code), nil
	}
	return "", err
}

// duplicateCreate begins the same step twice.
func duplicateCreate(ctx context.Context, m *Modality) (string, error) {
	s, err := m.Start(ctx, nil, Options{})
	if err != nil {
		return heardStatus(err)
	}
	return heardStatus(m.start(ctx, s))
}

// setTwice ends a step twice.
func setTwice(ctx context.Context, m *Modality) (string, error) {
	s, err := m.Perform(ctx, nil, Options{})
	if err != nil {
		return heardStatus(err)
	}
	return heardStatus(m.Finish(ctx, s))
}

// setUnknown ends a step that was never begun.
func setUnknown(ctx context.Context, m *Modality) (string, error) {
	return heardStatus(m.Finish(ctx, m.newStep(nil, Options{})))
}

// createCompleted begins a step that has ended.
func createCompleted(ctx context.Context, m *Modality) (string, error) {
	_, err := m.Start(ctx, nil, Options{InitialStatus: "COMPLETED"})
	return heardStatus(err)
}

// createWithoutUID begins a step and leaves its UID to the server.
func createWithoutUID(ctx context.Context, m *Modality) (string, error) {
	_, err := m.Start(ctx, nil, Options{WithoutUID: true})
	return heardStatus(err)
}
