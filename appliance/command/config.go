package command

import (
	"errors"

	"github.com/rayhound/rayhound/appliance/config"
)

type configCmd struct {
	Init  configInitCmd  `cmd:"" help:"Write a commented settings file."`
	Check configCheckCmd `cmd:"" help:"Check the settings file and name every mistake."`
	Show  configShowCmd  `cmd:"" help:"Print the effective settings, defaults included."`
	Path  configPathCmd  `cmd:"" help:"Print where the settings file is."`
}

type configInitCmd struct{}

// Help shows an example.
func (configInitCmd) Help() string {
	return "Never overwrites a file.\n\nExample:\n\n  rayhound config init --config ./rayhound.toml"
}

// Run writes the file.
func (configInitCmd) Run(e *env) error {
	if err := config.Init(e.configPath); errors.Is(err, config.ErrExists) {
		return unusable(e.configPath, errors.New("there is a file already, which stays as it is"))
	} else if err != nil {
		return unusable(e.configPath, err)
	}
	e.printf("Wrote %s. Fill in [provet] and add your machines, then: rayhound config check\n", e.configPath)
	return nil
}

type configCheckCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (configCheckCmd) Help() string {
	return "Example:\n\n  rayhound config check --config ./rayhound.toml"
}

// Run checks the file.
func (c configCheckCmd) Run(e *env) error {
	f, err := e.settings()
	var fe *config.FileError
	if c.JSON && (err == nil || errors.As(err, &fe)) {
		mistakes := config.Errors{}
		if fe != nil {
			mistakes = fe.Errors
		}
		if err := e.json(map[string]any{"path": e.configPath, "ok": fe == nil, "mistakes": mistakes}); err != nil {
			return err
		}
		if fe != nil {
			return errReported
		}
		return nil
	}
	if err != nil {
		return err
	}
	e.printf("%s is good: %s.\n", e.configPath, count(len(f.Modalities), "machine"))
	if f, _ := e.withConnection(f); f.Provet.BaseURL == "" || f.Provet.ClientID == "" {
		e.printf("Provet Cloud is not set up yet: fill in base_url and client_id in [provet] (RH-110).\n")
	}
	for _, m := range f.Modalities {
		if len(m.Serves) == 0 {
			e.printf("The machine %s serves no orders yet: fill in serves.\n", plain(m.Name))
		}
	}
	return nil
}

type configShowCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (configShowCmd) Help() string { return "Example:\n\n  rayhound config show --json" }

// Run prints the effective settings.
func (c configShowCmd) Run(e *env) error {
	f, err := e.settings()
	if err != nil {
		return err
	}
	f, sent := e.withConnection(f)
	if c.JSON {
		return e.json(f)
	}
	if sent {
		e.printf("# base_url and client_id of [provet] are not in the settings file: Provet Cloud sent them.\n\n")
	}
	e.printf("%s", f.TOML())
	return nil
}

type configPathCmd struct{}

// Help shows an example.
func (configPathCmd) Help() string { return "Example:\n\n  rayhound config path" }

// Run prints the path.
func (configPathCmd) Run(e *env) error {
	e.printf("%s\n", e.configPath)
	return nil
}
