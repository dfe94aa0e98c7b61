package command

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/ui"
)

type pairCmd struct {
	RelayURL string `arg:"" name:"relay-url" help:"Address of the relay, such as wss://relay.example.com."`
	Code     string `arg:"" help:"One-time code from the relay's operator, such as QRST-BCDF-GHJK."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (pairCmd) Help() string {
	return "Joins this computer to a relay, so that changed orders arrive at once. The running service makes the keys, asks " +
		"the relay and starts the tunnel; then relay_url is written into the settings. Doing it again replaces the " +
		"pairing. The relay's operator gets a code with: rayhound relay clinic pair NAME\n\n" +
		"Example:\n\n  rayhound pair wss://relay.example.com QRST-BCDF-GHJK"
}

// Run pairs and notes the relay in the settings.
func (c pairCmd) Run(e *env) error {
	relay := c.RelayURL
	if !strings.Contains(relay, "://") {
		relay = "wss://" + relay
	}
	client, err := e.client() // only the service may write secrets
	if err != nil {
		return err
	}
	p, err := client.Pair(e.ctx, relay, c.Code)
	if err != nil {
		return err
	}
	noted := e.noteRelay(p.RelayURL)
	if c.JSON {
		return e.json(struct {
			ui.Pairing
			Settings string `json:"settings"` // what was done to the file, or has to be done
		}{p, noted})
	}
	again := ""
	if p.Replaced {
		again = " again; the former pairing has ended"
	}
	e.printf("This computer is paired with %s%s.\n", plain(p.RelayURL), again)
	e.printf("%s\n", plain(noted))
	if p.Started {
		e.printf("The tunnel is starting. rayhound doctor shows whether events come through.\n")
	} else {
		e.printf("Restart the service: the tunnel starts then.\n")
	}
	return nil
}

// noteRelay writes the relay into the settings file, or says what to write.
func (e *env) noteRelay(relay string) string {
	err := config.SetText(e.configPath, "tunnel", "relay_url", relay)
	if err == nil {
		return "relay_url is set in " + e.configPath + "."
	}
	reason := "it cannot be changed by the program"
	switch {
	case errors.Is(err, fs.ErrPermission):
		reason = "this account may not change it"
	case errors.Is(err, fs.ErrNotExist):
		reason = "there is no such file"
	case errors.Is(err, config.ErrChanged):
		reason = "somebody else is changing it"
	}
	return "Write this into " + e.configPath + " (" + reason + "), or the tunnel ends with the next restart: in [tunnel], relay_url = \"" + relay + "\""
}
