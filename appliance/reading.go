package appliance

import "sync"

// readings are the orders that are being read from Provet Cloud just now. A
// report that goes out meanwhile makes the status in the reading old.
type readings struct {
	mu  sync.Mutex
	old map[string]bool // by Provet id, while it is read
}

// begin notes that an order is being read, until end is called. One order is
// never read twice at the same time.
func (r *readings) begin(provetID string) (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.old == nil {
		r.old = map[string]bool{}
	}
	r.old[provetID] = false
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.old, provetID)
	}
}

// reported notes that Provet Cloud shows another status now. It is called in the
// order of the commits.
func (r *readings) reported(provetID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, reading := r.old[provetID]; reading {
		r.old[provetID] = true
	}
}

// isOld reports whether the status in the present reading is old.
func (r *readings) isOld(provetID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.old[provetID]
}
