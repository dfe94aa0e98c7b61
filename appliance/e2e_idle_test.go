package appliance

import "context"

// LookForIdle applies the idle rule now: the service itself looks once a minute.
func (a *Appliance) LookForIdle(ctx context.Context) error { return a.core.idleOnce(ctx) }
