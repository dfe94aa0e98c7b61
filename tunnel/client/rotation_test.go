package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rayhound/rayhound/tunnel/client"
	"github.com/rayhound/rayhound/tunnel/wire"
)

// TestRotationKilledAtEveryStep ends the agent's process at each step of a rotation.
// The relay lets both tokens in until the new one is used, so the clinic always
// returns, and is never told to have stored what it has not.
func TestRotationKilledAtEveryStep(t *testing.T) {
	for name, row := range map[string]struct {
		stored  bool // the token reached the disk
		answers bool // SaveToken returned
	}{
		"before it is stored": {false, false},
		"after it is stored":  {true, false},
		"after rotated":       {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(cl *clinic, _ client.Transport) {
				disk := cl.cr.Token
				killed := make(chan struct{})
				cl.cfg.SaveToken = func(ctx context.Context, token string) error {
					if row.stored {
						disk = token
					}
					if row.answers {
						return nil
					}
					close(killed)
					<-ctx.Done() // the process dies here
					return ctx.Err()
				}
				cl.start()
				cl.connected()
				token, _ := wire.NewToken()
				cl.relay.Allow(token)
				cl.relay.Send(&wire.Rotate{Token: token})
				if row.answers {
					cl.acked(cl.append(1))
				} else {
					<-killed
				}
				synctest.Wait()
				cl.stop()
				told := slices.ContainsFunc(cl.relay.Seen().Heard, func(c wire.Control) bool { return c.Type() == wire.TypeRotated })
				if told != row.answers {
					cl.Errorf("rotated was sent: %v", told)
				}
				cl.cfg.Credentials.Token = disk
				cl.cfg.SaveToken = func(context.Context, string) error { return nil }
				if row.stored {
					cl.relay.Forbid(cl.cr.Token) // the first use of the new one ends the old one
				}
				cl.start()
				cl.acked(cl.append(1))
			})
		})
	}
}

func TestTokenThatCannotBeStored(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		cl.cfg.SaveToken = func(context.Context, string) error { return errors.New("disk full") }
		cl.start()
		cl.connected()
		token, _ := wire.NewToken()
		cl.relay.Send(&wire.Rotate{Token: token})
		cl.acked(cl.append(1))
		if n := len(cl.relay.Seen().Heard); n != 0 {
			cl.Errorf("the relay heard %d frames", n)
		}
		cl.net.Cut() // and the old token goes on
		cl.acked(cl.append(1))
	})
}

// TestNewTokenRefused: a relay whose store lost the new token still has the old one.
func TestNewTokenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := newClinic(t, client.Websocket)
		cl.start()
		cl.connected()
		token, _ := wire.NewToken()
		cl.relay.Send(&wire.Rotate{Token: token}) // never allowed
		cl.acked(cl.append(1))
		cl.net.Cut()
		began := time.Now()
		cl.acked(cl.append(1))
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("back after %v", d)
		}
	})
}

func TestSealingKeyIsOffered(t *testing.T) {
	each(t, func(cl *clinic, _ client.Transport) {
		priv, pub, id, err := wire.NewSealingKey()
		if err != nil {
			cl.Fatal(err)
		}
		cl.cfg.Credentials.SealingKeys = map[string][]byte{cl.cr.SealingKeyID: cl.cr.SealingKeys[cl.cr.SealingKeyID], id: priv}
		cl.cfg.Credentials.SealingKeyID = id
		cl.start()
		cl.connected()
		cl.acked(cl.append(1))
		heard := cl.relay.Seen().Heard
		if len(heard) != 1 {
			cl.Fatalf("the relay heard %v", heard)
		}
		if k, ok := heard[0].(*wire.Key); !ok || k.KeyID != id || !slices.Equal(k.Public, pub) {
			cl.Errorf("the relay heard %+v", heard[0])
		}
	})
}
