package command

import (
	"encoding/json"
	"time"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/secret"
)

// withConnection fills in the base_url and client_id that Provet Cloud sent, as
// the service does; it reports whether it did. Where the data folder cannot be
// read, the file stands alone.
func (e *env) withConnection(f *config.File) (*config.File, bool) {
	store, err := secret.NewStore(secret.Config{Dir: e.dataDir, CredentialsDir: e.Getenv("CREDENTIALS_DIRECTORY")})
	if err != nil {
		return f, false
	}
	sealed, err := store.Open(config.ConnectionSecret)
	if err != nil {
		return f, false
	}
	var c struct {
		BaseURL  string `json:"base_url"`
		ClientID string `json:"client_id"`
	}
	if json.Unmarshal([]byte(sealed.Reveal()), &c) != nil {
		return f, false
	}
	filled := f.WithConnection(c.BaseURL, c.ClientID)
	return filled, filled != f
}

type provetWebhooksCmd struct {
	Register bool `name:"register" help:"Set up what is missing, and switch on what was switched off."`
	JSON     bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (provetWebhooksCmd) Help() string {
	return "Looks at our webhooks in Provet Cloud, and says what to enter there by hand where Rayhound may not do it. The addresses it prints are secrets.\n\n" +
		"Example:\n\n  rayhound provet webhooks --register"
}

// Run shows or registers.
func (c provetWebhooksCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	ask := client.Webhooks
	if c.Register {
		ask = client.RegisterWebhooks
	}
	w, err := ask(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(w)
	}
	e.printf("%s", w.Text)
	return nil
}

type provetAcceptCmd struct {
	ID   string `arg:"" optional:"" help:"Id of the credentials, as shown without it."`
	Drop bool   `name:"drop" help:"Forget them instead."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (provetAcceptCmd) Help() string {
	return "Without an id it shows the credentials that came through the hookup address and wait. The client secret is never shown.\n\n" +
		"Example:\n\n  rayhound provet accept-credentials\n  rayhound provet accept-credentials 4f1c22ab09de"
}

// Run shows, accepts or drops.
func (c provetAcceptCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if c.ID != "" {
		if err := client.DecideCredentials(e.ctx, c.ID, !c.Drop); err != nil {
			return err
		}
		if c.Drop {
			e.printf("Dropped.\n")
		} else {
			e.printf("Accepted. Provet Cloud is asked for orders now.\n")
		}
		return nil
	}
	o, err := client.OfferedCredentials(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(o)
	}
	if o.ID == "" {
		e.printf("No credentials wait.\n")
		return nil
	}
	e.printf("Credentials %s came in %s: %s.\n\n  organisation  %s\n  address       %s\n  client id     %s\n",
		plain(o.ID), o.ReceivedAt.Local().Format(time.DateTime), plain(o.Reason), plain(o.ProvetID), plain(o.BaseURL), plain(o.ClientID))
	if o.BaseURLNow != "" || o.ClientIDNow != "" {
		e.printf("\nIn use now:\n\n  address       %s\n  client id     %s\n", plain(o.BaseURLNow), plain(o.ClientIDNow))
	}
	e.printf("\nAnybody who knows the hookup address can send credentials. Accept them only when the integration was added in Provet Cloud just now:\n\n"+
		"  rayhound provet accept-credentials %s\n  rayhound provet accept-credentials %s --drop\n", plain(o.ID), plain(o.ID))
	return nil
}
