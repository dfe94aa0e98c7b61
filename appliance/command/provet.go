package command

import (
	"context"
	"os"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
	"github.com/rayhound/rayhound/drivers/provet"
	"github.com/rayhound/rayhound/ui"
)

type provetCmd struct {
	Probe        provetProbeCmd        `cmd:"" help:"Ask Provet Cloud for its field names and choices."`
	ImportSchema provetImportSchemaCmd `cmd:"" help:"Learn them from Provet Cloud's OpenAPI file."`

	Webhooks provetWebhooksCmd `cmd:"" help:"Look at our webhooks in Provet Cloud, or set them up."`
	Accept   provetAcceptCmd   `cmd:"" name:"accept-credentials" help:"Decide on credentials that came in by themselves."`
}

type provetProbeCmd struct {
	TOML bool `name:"toml" help:"Print only the settings to add."`
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (provetProbeCmd) Help() string {
	return "Changes nothing. The running service asks with its own credentials; without one, the secret comes from $RAYHOUND_PROVET_CLIENT_SECRET or the data folder.\n\n" +
		"Example:\n\n  rayhound provet probe"
}

// Run probes.
func (c provetProbeCmd) Run(e *env) error {
	probe, err := e.probe()
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return e.json(probe)
	case c.TOML:
		e.printf("%s", probe.TOML)
	default:
		e.showProbe(probe)
	}
	return nil
}

func (e *env) showProbe(p ui.Probe) {
	e.printf("%s", p.Text)
	if p.TOML != "" {
		e.printf("\nAdd to %s after checking every line:\n\n%s", e.configPath, p.TOML)
	}
}

// probe asks through the service, or directly when none is running.
func (e *env) probe() (ui.Probe, error) {
	client, err := e.client()
	if err == nil {
		var p ui.Probe
		if p, err = client.ProbeProvet(e.ctx); err == nil {
			return p, nil
		}
	}
	if p := problem.Of(err); p == nil || p.Code != problem.ServiceStopped {
		return ui.Probe{}, err
	}
	f, err := e.settings()
	if err != nil {
		return ui.Probe{}, err
	}
	f, _ = e.withConnection(f)
	direct, err := e.provetClient(f)
	if err != nil {
		return ui.Probe{}, err
	}
	r, err := direct.Probe(e.ctx)
	if err != nil {
		return ui.Probe{}, err
	}
	return ui.Probe{Text: r.Text(), TOML: r.TOML()}, nil
}

// provetClient makes a client with the settings and the secret of the
// environment or the data folder.
func (e *env) provetClient(f *config.File) (*provet.Client, error) {
	clientSecret := secret.New(e.Getenv("RAYHOUND_PROVET_CLIENT_SECRET"))
	if clientSecret.Empty() {
		store, err := secret.NewStore(secret.Config{Dir: e.dataDir, CredentialsDir: e.Getenv("CREDENTIALS_DIRECTORY")})
		if err != nil {
			return nil, err
		}
		if clientSecret, err = store.Open(secret.ProvetClientSecret); err != nil {
			if problem.Of(err) != nil {
				return nil, err
			}
			return nil, problem.New(problem.ProvetUnconfigured, problem.Args{"what": "secret"}, err)
		}
	}
	return provet.New(provet.Config{
		BaseURL: f.Provet.BaseURL, ClientID: f.Provet.ClientID,
		Secret: func(context.Context) (string, error) { return clientSecret.Reveal(), nil },
		CAFile: f.Provet.CAFile, ProxyURL: f.Provet.ProxyURL, Fields: fieldsOf(f), Zone: f.Clinic.Location(),
		Departments: f.Provet.Departments, WeightUnit: f.Provet.WeightUnit, Withdrawn: f.Provet.Status.Withdrawn,
		UserAgent: "Rayhound/" + e.Version,
	})
}

// fieldsOf returns the field names of the settings.
func fieldsOf(f *config.File) provet.Fields {
	fields := provet.Fields{}
	for resource, names := range f.Provet.Fields {
		fields[resource] = map[string][]string{}
		for ours, theirs := range names {
			fields[resource][ours] = theirs
		}
	}
	return fields
}

type provetImportSchemaCmd struct {
	File string `arg:"" help:"OpenAPI document of Provet Cloud, JSON."`
	TOML bool   `name:"toml" help:"Print only the settings to add."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (provetImportSchemaCmd) Help() string {
	return "Makes no network call and changes nothing.\n\nExample:\n\n  rayhound provet import-schema openapi.json --toml >> rayhound.toml"
}

// Run reads the file.
func (c provetImportSchemaCmd) Run(e *env) error {
	in, err := os.Open(c.File)
	if err != nil {
		return unusable(c.File, err)
	}
	defer in.Close()
	fields := provet.DefaultFields()
	if f, err := config.Load(e.configPath); err == nil {
		fields = fields.With(fieldsOf(f))
	}
	r, err := fields.ImportSchema(in)
	if err != nil {
		return err
	}
	probe := ui.Probe{Text: r.Text(), TOML: r.TOML()}
	switch {
	case c.JSON:
		return e.json(probe)
	case c.TOML:
		e.printf("%s", probe.TOML)
	default:
		e.showProbe(probe)
	}
	return nil
}
