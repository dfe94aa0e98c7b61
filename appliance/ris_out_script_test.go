package appliance

import (
	"context"

	"github.com/rayhound/rayhound/drivers/hl7/orders"
	"github.com/rayhound/rayhound/localdb"
)

// scripted is a RIS whose answers a test writes down.
type scripted struct {
	*toRIS
	answer map[string]orders.Result // by kind; any other message is taken
	sent   *[]string
}

func (s *scripted) parcel(_ context.Context, _ *localdb.Tx, e *localdb.OutboxEntry) (parcel, error) {
	return &scriptedParcel{&messageParcel{d: s.toRIS, e: e}, s}, nil
}

type scriptedParcel struct {
	*messageParcel
	s *scripted
}

func (p *scriptedParcel) send(context.Context) {
	p.at = p.d.c.now()
	*p.s.sent = append(*p.s.sent, p.e.Kind+" "+p.e.Unit)
	p.res = taken
	if r, ok := p.s.answer[p.e.Kind]; ok {
		p.res = r
	}
}
