package mpps_test

import (
	"context"
	"sync"

	"github.com/rayhound/rayhound/drivers/dicom/mpps"
)

// memory is a Store that keeps reports in memory and follows the contract.
type memory struct {
	mu      sync.Mutex
	steps   map[string][]*mpps.Report // by SOP Instance UID
	unknown []*mpps.Report
	refused []refused
	fail    error // returned by every method
}

type refused struct {
	report *mpps.Report
	reason string
}

func newMemory() *memory { return &memory{steps: map[string][]*mpps.Report{}} }

func (m *memory) Create(_ context.Context, r *mpps.Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if m.steps[r.SOPInstanceUID] != nil {
		return mpps.ErrDuplicate
	}
	m.steps[r.SOPInstanceUID] = []*mpps.Report{r}
	return nil
}

func (m *memory) Set(_ context.Context, r *mpps.Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	step := m.steps[r.SOPInstanceUID]
	if step == nil {
		m.unknown = append(m.unknown, r)
		return mpps.ErrUnknown
	}
	for _, was := range step {
		if was.Final() {
			return mpps.ErrFinal
		}
	}
	m.steps[r.SOPInstanceUID] = append(step, r)
	return nil
}

func (m *memory) Refused(_ context.Context, r *mpps.Report, reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.refused = append(m.refused, refused{r, reason})
	return nil
}

// last returns the last report of a step.
func (m *memory) last(uid string) *mpps.Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	step := m.steps[uid]
	if len(step) == 0 {
		return nil
	}
	return step[len(step)-1]
}
