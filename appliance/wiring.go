package appliance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rayhound/rayhound/appliance/order"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/mpps"
	"github.com/rayhound/rayhound/drivers/dicom/mwl"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/localdb"
)

// Names of the sealed secrets.
const (
	secretProvet = "provet.client_secret"
	secretToken  = "provet.access_token"
)

// wire builds every room from the settings and lets them meet.
func (a *Appliance) wire(ctx context.Context) error {
	f := a.cfg.Settings
	machines, err := machinesOf(f)
	if err != nil {
		return err
	}
	a.list = mwl.NewList(mwl.Config{
		Clinic: f.Clinic.Name, Zone: f.Clinic.Location(), Tables: tablesOf(f), Machines: machines, Now: a.cfg.Now,
	})
	peers, err := risOf(f)
	if err != nil {
		return err
	}
	a.core = newCore(&core{
		db: a.db, list: a.list, board: a.board, zone: f.Clinic.Location(), log: a.log, now: a.cfg.Now, metrics: a.metrics,
		routes: &routes{stations: stationsOf(f, machines), ris: peers, prefix: f.Clinic.AccessionPrefix}, statuses: statusesOf(f), watch: a.cfg.Watch,
		scope: scopeOf(f),
	})
	a.wireProvet()
	a.wireTunnel()
	a.wireDICOM(machines)
	a.wireRISIn()
	return a.restore(ctx)
}

// wireProvet makes the driver, or says what is missing for it.
func (a *Appliance) wireProvet() {
	c := provetOf(a.cfg.Settings)
	if c.BaseURL == "" {
		a.board.Raise(problem.ProvetUnconfigured, destProvet, problem.Args{"what": "base_url"})
		return
	}
	c.Secret = a.clientSecret
	c.Tokens = tokenStore{a.secrets}
	c.UserAgent = "Rayhound/" + a.cfg.Version
	c.Log, c.Now, c.NoBudget = a.log, a.cfg.Now, a.cfg.NoCallBudget
	client, err := provet.New(c)
	if err != nil {
		if p := practiceProblem(err); p != nil {
			a.board.Raise(p.Code, destProvet, p.Args)
		}
		a.log.LogAttrs(context.Background(), levelOf(err), "Provet Cloud cannot be used", errAttr(err))
		return
	}
	a.provet, a.core.practice = client, client
	for _, st := range []order.State{order.Completed} {
		if !client.MapsStatus(st) {
			a.board.Raise(problem.ProvetStatus, string(st), problem.Args{"state": string(st)})
		}
	}
}

// clientSecret returns Provet's client secret: from the environment, or sealed.
func (a *Appliance) clientSecret(context.Context) (string, error) {
	if !a.cfg.ClientSecret.Empty() {
		return a.cfg.ClientSecret.Reveal(), nil
	}
	s, err := a.secrets.Open(secretProvet)
	if errors.Is(err, secret.ErrMissing) {
		return "", problem.New(problem.ProvetUnconfigured, problem.Args{"what": "client secret"}, err)
	}
	return s.Reveal(), err
}

// tokenStore keeps Provet's access token sealed over restarts.
type tokenStore struct{ secrets *secret.Store }

// Load answers provet.TokenStore.
func (t tokenStore) Load(context.Context) (provet.Token, error) {
	var token provet.Token
	s, err := t.secrets.Open(secretToken)
	if errors.Is(err, secret.ErrMissing) {
		return token, nil
	}
	if err != nil {
		return token, err
	}
	return token, json.Unmarshal([]byte(s.Reveal()), &token)
}

// Save answers provet.TokenStore.
func (t tokenStore) Save(_ context.Context, token provet.Token) error {
	b, err := json.Marshal(token)
	if err != nil {
		return err
	}
	return t.secrets.Seal(secretToken, secret.New(string(b)))
}

// mostAnswers is the server's own bound of one query's answers. It lies above
// max_answers of every machine, which is the one that is noted and explained.
const mostAnswers = 1_000_001

// wireDICOM makes the services the machines meet.
func (a *Appliance) wireDICOM(machines []mwl.Machine) {
	f := a.cfg.Settings
	a.gate = &gate{c: a.core, title: f.DICOM.AETitle, machines: machines, open: f.DICOM.AcceptUnknown, lenient: map[string]bool{}, callers: make(chan localdb.Pending, refusedBuffer)}
	for _, m := range f.Modalities {
		a.gate.lenient[m.Name] = m.MPPSLenient
	}
	a.queries = newQueryLog(a.core)
	worklist := mwl.NewService(mwl.ServiceConfig{List: a.list, Log: a.queries.add, Note: a.queries.note})
	performed := mpps.NewService(mpps.Config{
		Store: steps{a.core}, Zone: f.Clinic.Location(), Log: a.log, Now: a.cfg.Now, Machine: a.gate.machine,
		Observe: func(o mpps.Outcome) {
			a.gate.reported(o.Machine, o.At)
			a.metrics.MPPS(string(o.Operation), statusText(o.Status))
		},
	})
	a.dicom = newDICOMServer(a, dimse.ServerConfig{
		Authorize: a.gate.authorize,
		Services:  map[string]any{mwl.SOPClass: worklist, mpps.SOPClassUID: performed},
		Limits:    dimse.Limits{Associations: f.DICOM.MaxAssociations, Answers: mostAnswers},
	})
	if f.DICOM.AcceptUnknown {
		a.board.Raise(problem.DICOMOpen, "", nil)
	}
	if len(f.Modalities) > 0 {
		a.board.Raise(problem.MachineNone, "", problem.Args{"port": joinNames(f.DICOM.Listen), "ae_title": f.DICOM.AETitle})
	}
}

// restore reads back what the last run knew: the worklist, the problems, the
// arrivals. Orders that wait are routed anew, because the settings may have
// changed.
func (a *Appliance) restore(ctx context.Context) error {
	open, err := a.core.openOrders(ctx)
	if err != nil {
		return err
	}
	a.list.Load(func(yield func(*order.Order) bool) {
		for _, o := range open {
			if (o.State == order.Scheduled || o.State == order.InProgress) && !yield(o) {
				return
			}
		}
	})
	for _, o := range open {
		a.core.publishProblems(o)
	}
	if err := a.core.reroute(ctx, open); err != nil {
		return err
	}
	if err := a.core.tellOpenOrders(ctx, open); err != nil {
		return err
	}
	if err := a.afterRestore(ctx); err != nil {
		return err
	}
	return a.db.Read(ctx, func(s *localdb.Snapshot) error {
		arrivals, err := s.ListArrivals(ctx, true, 1000)
		if err != nil {
			return err
		}
		for _, arr := range arrivals {
			id := strconv.FormatInt(arr.ID, 10)
			a.board.RaiseSince(problem.ArrivalUnmatched, id, problem.Args{"station": stationText(&arr), "arrival": id}, arr.At)
		}
		parked, err := s.Outbox(ctx, localdb.OutboxFilter{Dest: destProvet, States: []string{localdb.Parked}, Limit: 1000})
		if err != nil {
			return err
		}
		for _, e := range parked {
			a.board.RaiseSince(problem.ReportRefused, e.Accession, problem.Args{"accession": e.Accession, "reason": e.LastText}, e.CreatedAt)
		}
		closed, err := s.FindOrders(ctx, localdb.OrderFilter{
			States: []order.State{order.Completed, order.Discontinued, order.Cancelled},
			Since:  a.cfg.Now().Add(-noticesFor), Limit: 1000,
		})
		for _, o := range closed {
			a.core.publishProblems(o)
		}
		return err
	})
}

// afterRestore looks at every open order again when the database came out of a
// backup: Provet Cloud went on meanwhile.
func (a *Appliance) afterRestore(ctx context.Context) error {
	var restored bool
	err := a.db.Read(ctx, func(s *localdb.Snapshot) error {
		var err error
		_, restored, err = s.State(ctx, localdb.RestoredAtState)
		return err
	})
	if err != nil || !restored {
		return err
	}
	if err := a.core.sweepOnce(ctx); err != nil {
		return err
	}
	return a.db.Write(ctx, func(tx *localdb.Tx) error { return tx.DeleteState(ctx, localdb.RestoredAtState) })
}

// noticesFor is how long after its beginning a closed order's notices are shown
// again after a restart.
const noticesFor = 14 * 24 * time.Hour

// reroute fits the orders that wait to the settings of this start.
func (c *core) reroute(ctx context.Context, open []*order.Order) error {
	var changed []*order.Order
	for _, o := range open {
		if o.State != order.Scheduled && o.State != order.Held {
			continue
		}
		n := o.Clone()
		c.routes.plan(n)
		if fmt.Sprint(n.Steps) != fmt.Sprint(o.Steps) || (len(c.routes.holds(n)) > 0) != (o.State == order.Held) && (o.State == order.Scheduled || len(o.Holds) > 0) {
			changed = append(changed, o)
		}
	}
	for len(changed) > 0 {
		part := changed[:min(len(changed), hintsPerCommit)]
		changed = changed[len(part):]
		err := c.commit(ctx, func(b *batch) error {
			for _, o := range part {
				o, err := b.tx.OrderByID(b.ctx, o.ID)
				if err != nil {
					return err
				}
				if _, err := b.schedule(o.Clone(), o, false); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// statusText is a DIMSE status as four hexadecimal digits.
func statusText(s uint16) string { return fmt.Sprintf("%04x", s) }
