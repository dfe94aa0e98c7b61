package appliance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/localdb"
	"github.com/rayhound/rayhound/ui"
)

// destination returns the outbox destination that a person means: provet, or the
// name of a RIS with or without ris: before it. One that is not in the settings
// any more is known as long as something is owed to it.
func (a api) destination(ctx context.Context, name string) (string, error) {
	if name == destProvet {
		return name, nil
	}
	bare := strings.TrimPrefix(name, risPrefix)
	if p := a.core.routes.peer(bare); p != nil {
		return p.dest(), nil
	}
	known := []string{destProvet}
	for _, p := range a.core.routes.ris {
		known = append(known, p.dest())
	}
	var all []localdb.Destination
	err := a.db.Read(ctx, func(s *localdb.Snapshot) (err error) {
		all, err = s.Destinations(ctx)
		return err
	})
	for _, d := range all {
		if d.Dest == risPrefix+bare {
			return d.Dest, nil
		}
	}
	if err != nil {
		return "", err
	}
	return "", problem.New(problem.Usage, problem.Args{"reason": "There is no destination " + printable(name) + "; there is " + joinNames(known)}, nil)
}

func resendMode(in ui.Action) resend {
	switch {
	case in.AsNew:
		return resendAsNew
	case in.Taken:
		return resendTaken
	}
	return resendSame
}

// retryAll makes due what is owed to a destination, or to all when it is empty.
func (b *batch) retryAll(destination string) (n int, err error) {
	list := []localdb.Destination{{Dest: destination}}
	if destination == "" {
		if list, err = b.tx.Destinations(b.ctx); err != nil {
			return 0, err
		}
	}
	for _, d := range list {
		k, err := b.tx.RetryDest(b.ctx, d.Dest, b.now, b.now.Add(giveUpAfter))
		if err != nil {
			return n, err
		}
		n += k
	}
	b.outbox = true
	return n, nil
}

// sentTo adds to the RIS of a status what is sent to them.
func (a api) sentTo(list []ui.RIS, stats []localdb.OutboxStats) {
	for i := range list {
		v := &list[i]
		p := a.core.routes.peer(v.Name)
		if p == nil {
			continue
		}
		v.Address, v.OwnsWorklist, v.LastAnswerAt = p.profile.Address, p.profile.OwnsWorklist, p.lastHeard()
		for _, d := range stats {
			if d.Dest == p.dest() {
				v.Waiting, v.Parked, v.Failing, v.Paused = d.Ready+d.Leased, d.Parked, d.Failures > 0, !d.PausedAt.IsZero()
			}
		}
	}
}

// risTime bounds the connection that the doctor opens to a RIS.
const risTime = 10 * time.Second

// checkRIS opens a connection to each RIS, as for a message, and says when it
// answered last. It sends nothing: a RIS would take it for an order.
func (a api) checkRIS(ctx context.Context) []ui.Check {
	var list []ui.Check
	for _, p := range a.core.routes.ris {
		c := check("hl7", "to "+p.Name, func() (string, error) {
			ctx, cancel := context.WithTimeout(ctx, risTime)
			defer cancel()
			if reason, err := p.connect(ctx); err != nil {
				return "", problem.New(problem.RISUnreachable, problem.Args{"ris": p.Name, "reason": reason}, err)
			}
			how := "connected to " + p.profile.Address
			if p.tls != nil {
				how += " with TLS"
			}
			if at := p.lastHeard(); !at.IsZero() {
				return how + ", last answer " + at.In(a.core.zone).Format(time.DateTime), nil
			}
			return how + ", no answer to a message since the service started", nil
		})
		list = append(list, c)
	}
	return list
}

// connect opens a connection to the RIS and closes it. The reason is a sentence
// for people.
func (p *risPeer) connect(ctx context.Context) (reason string, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.profile.Address)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "its name " + printable(dns.Name) + " is not known", err
	case err != nil:
		return "cannot connect to " + p.profile.Address, err
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	if p.tls == nil {
		return "", nil
	}
	if err := tls.Client(conn, p.tls).HandshakeContext(ctx); err != nil {
		return "TLS failed: its certificate or our settings of it are not right", err
	}
	return "", nil
}

// risProblems shows what waits for a RIS.
func (a *Appliance) risProblems(d localdb.OutboxStats, age time.Duration) {
	name := strings.TrimPrefix(d.Dest, risPrefix)
	waiting := d.Ready + d.Leased
	if a.core.routes.peer(name) == nil {
		if waiting += d.Parked; waiting > 0 {
			a.board.Raise(problem.RISRemoved, name, problem.Args{"ris": name, "count": fmt.Sprint(waiting)})
		} else {
			a.board.Clear(problem.RISRemoved, name)
		}
		return
	}
	if !d.PausedAt.IsZero() {
		a.board.RaiseSince(problem.RISPaused, name, problem.Args{"ris": name}, d.PausedAt)
	} else {
		a.board.Clear(problem.RISPaused, name)
	}
	if waiting > 0 && age > reportStuck {
		a.board.RaiseSince(problem.RISStuck, name, problem.Args{"ris": name, "count": fmt.Sprint(waiting)}, d.OldestAt)
	} else {
		a.board.Clear(problem.RISStuck, name)
	}
}
