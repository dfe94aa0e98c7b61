package appliance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// cloud is Provet Cloud in memory: the truth, and the faults a test asks for.
type cloud struct {
	now     func() time.Time
	orders  map[string]*cloudOrder
	nextID  int
	fail    []error // answers of the next calls; nil lets one through
	die     context.CancelFunc
	writes  int  // PATCHes that changed something
	dieNext bool // the next write takes effect and then the power fails
}

type cloudOrder struct {
	version  int
	status   string
	modified time.Time
	deleted  bool
	modality order.Ref
	byPerson bool // the status was last set by a person in Provet
}

var cloudStatus = map[order.State]string{
	order.InProgress: "2", order.Completed: "3", order.Discontinued: "4", order.Cancelled: "5",
}

func (c *cloud) content(id string, o *cloudOrder) order.Content {
	return order.Content{
		Patient:    order.Patient{ID: "p" + id, Name: fmt.Sprintf("Bella %d", o.version)},
		Owner:      order.Owner{LastName: "Virtanen"},
		Modalities: []order.Ref{o.modality},
	}
}

func (c *cloud) failure() error {
	if len(c.fail) == 0 {
		return nil
	}
	err := c.fail[0]
	c.fail = c.fail[1:]
	return err
}

func (c *cloud) Order(_ context.Context, id string) (provet.Upstream, error) {
	if err := c.failure(); err != nil {
		return provet.Upstream{}, err
	}
	o := c.orders[id]
	if o == nil || o.deleted {
		return provet.Upstream{}, provet.ErrGone
	}
	return provet.Upstream{
		Content: c.content(id, o), Status: o.status, Modified: o.modified, InScope: true,
		Withdrawn: o.status == "9", Finished: o.status == "3" || o.status == "4" || o.status == "5",
	}, nil
}

func (c *cloud) Changed(_ context.Context, since time.Time, fn func(provet.Row) error) error {
	if err := c.failure(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(c.orders)) {
		o := c.orders[id]
		if o.deleted || o.modified.Before(since) {
			continue
		}
		err := fn(provet.Row{
			ID: id, Status: o.status, Modified: o.modified, InScope: true,
			Withdrawn: o.status == "9", Finished: o.status == "3" || o.status == "4" || o.status == "5",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *cloud) SetStatus(ctx context.Context, id string, st order.State) (provet.StatusResult, error) {
	return c.write(ctx, id, st, false)
}

func (c *cloud) OverwriteStatus(ctx context.Context, id string, st order.State) (provet.StatusResult, error) {
	return c.write(ctx, id, st, true)
}

func (c *cloud) write(ctx context.Context, id string, st order.State, over bool) (provet.StatusResult, error) {
	if err := c.failure(); err != nil {
		return provet.StatusResult{}, err
	}
	o := c.orders[id]
	if o == nil || o.deleted {
		return provet.StatusResult{}, provet.ErrGone
	}
	if o.status == "9" && !over {
		return provet.StatusResult{}, provet.ErrWithdrawn
	}
	to := cloudStatus[st]
	res := provet.StatusResult{Changed: o.status != to, From: o.status, To: to}
	if res.Changed {
		c.writes++
		o.status, o.modified, o.byPerson = to, c.now(), false
	}
	if c.dieNext {
		c.dieNext = false
		c.die()
		return provet.StatusResult{}, ctx.Err()
	}
	return res, nil
}

func (c *cloud) MapsStatus(st order.State) bool { return cloudStatus[st] != "" }

// shelf is a worklist that remembers what it offers.
type shelf map[int64]*order.Order

func (s shelf) Put(o *order.Order) { s[o.ID] = o.Clone() }
func (s shelf) Remove(id int64)    { delete(s, id) }
func (s shelf) byID(id string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Values(s)), func(o *order.Order) bool { return o.ProvetID == id })
}

// world is the machine under test: a cloud, and an appliance whose power fails
// now and then.
type world struct {
	t        *rapid.T
	dir      string
	clock    time.Time
	cloud    *cloud
	core     *core
	shelf    shelf
	ctx      context.Context
	identity map[string][2]string // provet id -> accession, study uid, once seen
	imaged   map[string]bool      // imaging began at least once
	steps    int
	signals  []string // webhooks under way
	book     *risBook
}

func newWorld(t *rapid.T, dir string) *world {
	w := &world{t: t, dir: dir, clock: time.Date(2026, 11, 23, 8, 40, 0, 0, time.UTC), identity: map[string][2]string{}, imaged: map[string]bool{}}
	w.book = newBook(t)
	w.cloud = &cloud{now: func() time.Time { return w.clock }, orders: map[string]*cloudOrder{}, nextID: 1000}
	w.boot()
	return w
}

// boot starts the appliance on the files that are there.
func (w *world) boot() {
	db, err := localdb.Open(context.Background(), localdb.Config{Path: filepath.Join(w.dir, "rayhound.db"), Now: func() time.Time { return w.clock }})
	if err != nil {
		w.t.Fatalf("opening the database: %v", err)
	}
	w.shelf = shelf{}
	w.core = newCore(&core{
		db: db, practice: w.cloud, list: w.shelf, now: func() time.Time { return w.clock }, statuses: cloudStatus,
		routes: &routes{stations: []station{{Name: "DR1", Serves: []string{"X-ray"}, DoneWhen: []order.Source{order.MPPS}}}, ris: []*risPeer{bookPeer()}},
	})
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx, w.cloud.die = ctx, cancel
	open, err := w.core.openOrders(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range open {
		w.core.publish(o)
	}
	if err := db.Write(ctx, func(tx *localdb.Tx) error { _, err := tx.ReleaseLeases(ctx); return err }); err != nil {
		w.t.Fatal(err)
	}
}

// crash ends the process without a goodbye and starts it again.
func (w *world) crash() {
	w.cloud.die()
	w.core.db.Close()
	w.boot()
}

// ok fails the test on an error that is not the power or the cloud.
func (w *world) ok(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	var pe *provet.Error
	if !errors.As(err, &pe) {
		w.t.Fatalf("unexpected: %v", err)
	}
}

func (w *world) pick(label string) (string, *cloudOrder) {
	ids := slices.Sorted(maps.Keys(w.cloud.orders))
	if len(ids) == 0 {
		return "", nil
	}
	id := rapid.SampledFrom(ids).Draw(w.t, label)
	return id, w.cloud.orders[id]
}

// announce puts webhooks on their way: none, one, or doubled.
func (w *world) announce(id string, n int) {
	for range rapid.IntRange(0, n).Draw(w.t, "webhooks") {
		w.signals = append(w.signals, id)
	}
}

func (w *world) create(*rapid.T) {
	w.cloud.nextID++
	id := strconv.Itoa(w.cloud.nextID)
	modality := rapid.SampledFrom([]order.Ref{{ID: "1", Name: "X-ray"}, {ID: "1", Name: "X-ray"}, {ID: "2", Name: "Dental"}}).Draw(w.t, "modality")
	w.cloud.orders[id] = &cloudOrder{status: "0", modified: w.clock, modality: modality}
	w.announce(id, 3)
}

func (w *world) change(*rapid.T) {
	id, o := w.pick("change")
	if o == nil || o.deleted {
		return
	}
	o.version++
	o.modality = order.Ref{ID: "1", Name: "X-ray"}
	o.modified = w.clock
	w.announce(id, 2)
}

func (w *world) remove(*rapid.T) {
	id, o := w.pick("delete")
	if o == nil {
		return
	}
	o.deleted = true
	w.announce(id, 2)
}

func (w *world) withdraw(*rapid.T) {
	id, o := w.pick("withdraw")
	if o == nil || o.deleted {
		return
	}
	o.status = rapid.SampledFrom([]string{"9", "0", "3"}).Draw(w.t, "status")
	o.modified, o.byPerson = w.clock, true
	w.announce(id, 2)
}

func (w *world) webhook(*rapid.T) {
	if len(w.signals) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.signals)-1).Draw(w.t, "which")
	id := w.signals[i]
	w.ok(w.core.Signal(w.ctx, id, "webhook"))
	if rapid.Bool().Draw(w.t, "delivered") {
		w.signals = slices.Delete(w.signals, i, i+1)
	}
}

func (w *world) look(*rapid.T) {
	due, _, err := w.core.dueHints(w.ctx)
	w.ok(err)
	if len(due) > 0 {
		w.ok(w.core.look(w.ctx, rapid.SampledFrom(due).Draw(w.t, "hint")))
	}
}

func (w *world) poll(*rapid.T)  { w.ok(w.core.pollOnce(w.ctx, 30*24*time.Hour)) }
func (w *world) sweep(*rapid.T) { w.ok(w.core.sweepOnce(w.ctx)) }
func (w *world) send(*rapid.T)  { _, err := w.core.deliverOne(w.ctx); w.ok(err) }

func (w *world) image(*rapid.T) {
	if len(w.shelf) == 0 {
		return
	}
	o := w.shelf[rapid.SampledFrom(slices.Sorted(maps.Keys(w.shelf))).Draw(w.t, "exam")]
	w.steps++
	r := &mpps.Report{
		SOPInstanceUID: fmt.Sprintf("2.25.%d", w.steps), Machine: "DR1", Status: mpps.InProgress,
		References: []mpps.Reference{{StudyInstanceUID: o.StudyInstanceUID, AccessionNumber: o.AccessionNumber, ScheduledProcedureStepID: o.Steps[0].ScheduledProcedureStepID}},
	}
	w.imaged[o.ProvetID] = true
	w.ok(steps{w.core}.Create(w.ctx, r))
	if rapid.Bool().Draw(w.t, "power fails between") {
		w.crash()
	}
	if rapid.Bool().Draw(w.t, "finished") {
		r.Status = mpps.Completed
		r.Series = []mpps.Series{{Instances: 2}}
		w.ok(steps{w.core}.Set(w.ctx, r))
		if err := (steps{w.core}).Set(w.ctx, r); !errors.Is(err, mpps.ErrFinal) {
			w.t.Fatalf("a second final N-SET was answered %v", err)
		}
	}
}

func (w *world) trouble(*rapid.T) {
	class := rapid.SampledFrom([]provet.Class{provet.Transient, provet.Destination, provet.Auth, provet.RateLimited, provet.Protocol}).Draw(w.t, "class")
	for range rapid.IntRange(1, 3).Draw(w.t, "times") {
		w.cloud.fail = append(w.cloud.fail, &provet.Error{Op: "test", Class: class})
	}
}

func (w *world) powerFailsAfterWrite(*rapid.T) {
	w.cloud.dieNext = true
	_, err := w.core.deliverOne(w.ctx)
	w.ok(err)
	w.cloud.dieNext = false
	if w.ctx.Err() != nil {
		w.crash()
	}
}

func (w *world) powerFails(*rapid.T) { w.crash() }
func (w *world) timePasses(*rapid.T) {
	w.clock = w.clock.Add(time.Duration(rapid.IntRange(1, 1800).Draw(w.t, "seconds")) * time.Second)
}

// stored returns every order that the database knows, by Provet id.
func (w *world) stored() map[string]*order.Order {
	all := map[string]*order.Order{}
	err := w.core.db.Read(context.Background(), func(s *localdb.Snapshot) error {
		for id := range w.cloud.orders {
			o, err := s.OrderByProvetID(context.Background(), id)
			if errors.Is(err, localdb.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			all[id] = o
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// check holds after every step: identities never change, the list is what the
// database says.
func (w *world) check(t *rapid.T) {
	stored := w.stored()
	accessions := map[string]string{}
	for id, o := range stored {
		mine := [2]string{o.AccessionNumber, o.StudyInstanceUID}
		if was, ok := w.identity[id]; ok && was != mine {
			t.Fatalf("order %s changed its identity from %v to %v", id, was, mine)
		}
		w.identity[id] = mine
		if other, ok := accessions[o.AccessionNumber]; ok {
			t.Fatalf("orders %s and %s share accession %s", id, other, o.AccessionNumber)
		}
		accessions[o.AccessionNumber] = id
		offered := w.shelf[o.ID] != nil
		if want := o.State == order.Scheduled || o.State == order.InProgress; offered != want {
			t.Fatalf("order %s is %s and offered = %v", id, o.State, offered)
		}
		if offered && w.shelf[o.ID].ContentHash != o.ContentHash {
			t.Fatalf("the list shows an old revision of order %s", id)
		}
	}
	if len(w.shelf) > len(stored) {
		t.Fatalf("the list holds %d orders, the database %d", len(w.shelf), len(stored))
	}
}

// settle lets everything come to rest, with a cloud that works.
func (w *world) settle() {
	w.cloud.fail = nil
	for round := range 200 {
		w.clock = w.clock.Add(20 * time.Minute)
		w.ok(w.core.pollOnce(w.ctx, 30*24*time.Hour))
		if round < 3 {
			w.ok(w.core.sweepOnce(w.ctx))
		}
		busy := false
		for looked := 0; ; looked++ {
			due, _, err := w.core.dueHints(w.ctx)
			w.ok(err)
			if len(due) == 0 {
				break
			}
			if looked > 10*len(w.cloud.orders)+10 {
				w.t.Fatal("a hint never ends")
			}
			busy = true
			w.ok(w.core.look(w.ctx, due[0]))
		}
		for {
			sent, err := w.core.deliverOne(w.ctx)
			w.ok(err)
			if !sent {
				break
			}
			busy = true
		}
		for w.exchange() {
			busy = true
		}
		if !busy && round > 3 {
			return
		}
	}
	w.t.Fatal("it never comes to rest")
}

// judge compares what is stored with the truth.
func (w *world) judge() {
	stored := w.stored()
	for id, truth := range w.cloud.orders {
		o := stored[id]
		switch {
		case truth.deleted:
			if w.shelf.byID(id) && o.State != order.InProgress {
				w.t.Fatalf("deleted order %s is on the list", id)
			}
			if o != nil && o.State.Open() && !w.imaged[id] {
				w.t.Fatalf("deleted order %s is still %s", id, o.State)
			}
			continue
		case o == nil:
			if truth.status == "0" {
				w.t.Fatalf("order %s was lost", id)
			}
			continue
		}
		if want := w.cloud.content(id, truth).Hash(); o.ContentHash != want {
			w.t.Fatalf("order %s: the last truth did not win", id)
		}
		switch {
		case truth.status == "9" || truth.status == "3" && truth.byPerson:
			if o.State.Open() && !w.imaged[id] {
				w.t.Fatalf("order %s is closed in Provet and %s here", id, o.State)
			}
		case o.State == order.Completed && !truth.byPerson && truth.status != "3":
			w.t.Fatalf("order %s is complete and Provet shows %s", id, truth.status)
		case o.State == order.InProgress && !truth.byPerson && truth.status != "2":
			w.t.Fatalf("order %s is in progress and Provet shows %s", id, truth.status)
		case truth.status == "0" && !w.imaged[id] && truth.modality.Name == "X-ray" && o.State != order.Scheduled:
			w.t.Fatalf("order %s waits in Provet and is %s here", id, o.State)
		case truth.status == "0" && !w.imaged[id] && truth.modality.Name == "Dental" && (o.State != order.Held || len(o.Holds) == 0):
			w.t.Fatalf("order %s has no machine and is %s", id, o.State)
		}
	}
}

// Every interleaving of create, update and delete signals, API failures, MPPS
// and power failures: no order is lost or doubled, the last truth wins, the
// identity is for life, and Provet learns the state.
func TestReconcilerProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "w")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		w := newWorld(rt, dir)
		defer func() { w.cloud.die(); w.core.db.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"create": w.create, "change": w.change, "delete": w.remove, "status": w.withdraw,
			"webhook": w.webhook, "webhook2": w.webhook, "look": w.look, "look2": w.look,
			"poll": w.poll, "sweep": w.sweep, "send": w.send, "sendRIS": w.sendRIS, "image": w.image,
			"trouble": w.trouble, "power": w.powerFails, "powerAfterWrite": w.powerFailsAfterWrite, "time": w.timePasses,
			"": w.check,
		})
		w.settle()
		w.check(rt)
		w.judge()
		w.judgeRIS()
	})
}
