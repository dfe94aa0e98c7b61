package command

import (
	"errors"

	"github.com/rayhound/rayhound/appliance/secret"
)

type runCmd struct {
	LogJSON bool `name:"log-json" help:"Log JSON on standard error instead of text."`
}

// Help shows an example.
func (runCmd) Help() string {
	return "Runs until it is interrupted. The settings file must exist: rayhound config init.\n\n" +
		"Example:\n\n  rayhound run --config ./rayhound.toml --data ./data"
}

// Run runs the appliance.
func (c runCmd) Run(e *env) error {
	f, err := e.settings()
	if err != nil {
		return err
	}
	if e.Program.Run == nil {
		return errors.New("this build cannot run the appliance")
	}
	return e.Program.Run(e.ctx, RunOptions{
		Version: e.Version, Config: f, ConfigPath: e.configPath, DataDir: e.dataDir,
		ClientSecret:   secret.New(e.Getenv("RAYHOUND_PROVET_CLIENT_SECRET")),
		CredentialsDir: e.Getenv("CREDENTIALS_DIRECTORY"),
		JSON:           c.LogJSON, Stdout: e.Stdout, Stderr: e.Stderr,
	})
}
