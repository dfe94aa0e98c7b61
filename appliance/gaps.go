package appliance

import (
	"sync"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
)

// gaps remembers which missing permissions (RH-103), unmapped fields (RH-106)
// and unreadable orders (RH-108) stand on the board, so that they are taken
// down when they are gone.
type gaps struct {
	mu          sync.Mutex
	permissions map[string]bool
	fields      map[string]bool
	orders      map[string]bool
}

// maxUnreadable bounds how many unreadable orders are shown one by one.
const maxUnreadable = 100

// permissive is a practice that knows which of its permissions are missing;
// provet.Client answers.
type permissive interface {
	Permissions() []provet.MissingPermission
}

// showPermissions makes the board say which permissions are missing now.
func (c *core) showPermissions() {
	p, ok := c.practice.(permissive)
	if !ok {
		return
	}
	want := map[string]problem.Args{}
	for _, m := range p.Permissions() {
		resource := m.Resource
		if m.Write {
			resource += " (write)"
		}
		want[resource] = problem.Args{"resource": resource, "permission": m.Permission}
	}
	c.gaps.mu.Lock()
	defer c.gaps.mu.Unlock()
	c.gaps.permissions = c.showGaps(problem.ProvetPermission, c.gaps.permissions, want)
}

// showUnmapped puts the fields that were not found on the board. whole says
// that they are all that an order lacks: the others were found.
func (c *core) showUnmapped(missing []*problem.Error, whole bool) {
	want := map[string]problem.Args{}
	for _, p := range missing {
		want[p.Args["resource"]+"."+p.Args["field"]] = p.Args
	}
	c.gaps.mu.Lock()
	defer c.gaps.mu.Unlock()
	if whole {
		c.gaps.fields = c.showGaps(problem.ProvetField, c.gaps.fields, want)
		return
	}
	for subject, args := range want {
		c.board.Raise(problem.ProvetField, subject, args)
		if c.gaps.fields == nil {
			c.gaps.fields = map[string]bool{}
		}
		c.gaps.fields[subject] = true
	}
}

// showGaps raises what is wanted, clears what was shown and is not wanted any
// more, and returns what is shown now.
func (c *core) showGaps(code problem.Code, shown map[string]bool, want map[string]problem.Args) map[string]bool {
	if len(shown) == 0 && len(want) == 0 {
		return shown
	}
	for subject := range shown {
		if _, ok := want[subject]; !ok {
			c.board.Clear(code, subject)
		}
	}
	now := make(map[string]bool, len(want))
	for subject, args := range want {
		c.board.Raise(code, subject, args)
		now[subject] = true
	}
	return now
}

// lookFailed shows why an order could not be read. An answer that cannot be
// understood is told of that order: others may work.
func (c *core) lookFailed(provetID string, err error) {
	p := practiceProblem(err)
	if p == nil || p.Code != problem.ProvetAnswer {
		c.practiceFailed(err)
		return
	}
	c.gaps.mu.Lock()
	defer c.gaps.mu.Unlock()
	if c.gaps.orders == nil {
		c.gaps.orders = map[string]bool{}
	}
	if !c.gaps.orders[provetID] && len(c.gaps.orders) >= maxUnreadable {
		return
	}
	c.gaps.orders[provetID] = true
	args := problem.Args{"reason": p.Args["reason"], "resource": "order " + provetID + " (" + p.Args["resource"] + ")"}
	c.board.Raise(p.Code, "order "+provetID, args)
}

// lookWorked takes down what a look has disproved. read is false when there is
// no such order, which tells nothing about fields.
func (c *core) lookWorked(provetID string, up provet.Upstream, read bool) {
	c.practiceWorks()
	if read {
		missing := make([]*problem.Error, 0, len(up.Unmapped))
		for _, f := range up.Unmapped {
			missing = append(missing, f.Problem())
		}
		c.showUnmapped(missing, true)
	}
	c.gaps.mu.Lock()
	defer c.gaps.mu.Unlock()
	if c.gaps.orders[provetID] {
		delete(c.gaps.orders, provetID)
		c.board.Clear(problem.ProvetAnswer, "order "+provetID)
	}
}
