package appliance

import (
	"context"
	"errors"
)

// openAgent makes the connection of a pairing.
func openAgent(*tunnel, *pairing) (agent, error) {
	return nil, errors.New("appliance: this build has no tunnel")
}

// joinRelay joins a relay with a one-time code.
func joinRelay(context.Context, *tunnel, string, string) (*pairing, error) {
	return nil, errors.New("appliance: this build has no tunnel")
}
