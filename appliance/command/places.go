package command

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/provet"
)

// env is what a command works with.
type env struct {
	*Program
	ctx        context.Context
	command    string // such as "orders show"
	configFlag string // --config and --data as given
	dataFlag   string
	configPath string
	dataDir    string
}

// places decides where settings and data are: option, environment, platform.
func (e *env) places(configFlag, dataFlag string) {
	configDefault, dataDefault := platformPlaces(runtime.GOOS, e.Getenv)
	e.configPath = first(configFlag, e.Getenv("RAYHOUND_CONFIG"), configDefault)
	e.dataDir = first(dataFlag, e.Getenv("RAYHOUND_DATA"), dataDefault)
}

func platformPlaces(goos string, getenv func(string) string) (settings, data string) {
	if goos == "windows" {
		root := filepath.Join(first(getenv("ProgramData"), `C:\ProgramData`), "Rayhound")
		return filepath.Join(root, "rayhound.toml"), filepath.Join(root, "data")
	}
	return "/etc/rayhound/rayhound.toml", "/var/lib/rayhound"
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// settings reads the settings file.
func (e *env) settings() (*config.File, error) {
	f, err := config.Load(e.configPath)
	var fe *config.FileError
	switch {
	case err == nil:
		if mistakes := f.CheckFields(knownFields()); len(mistakes) > 0 {
			return nil, &config.FileError{Path: e.configPath, Errors: mistakes}
		}
		return f, nil
	case errors.As(err, &fe):
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, problem.New(problem.FileUnusable, problem.Args{
			"path": e.configPath, "reason": "there is no such file; rayhound config init writes one",
		}, err)
	}
	return nil, unusable(e.configPath, err)
}

// client returns the connection to the running service. Without a settings file
// it is expected where the defaults say.
func (e *env) client() (*control.Client, error) {
	f, err := config.Load(e.configPath)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		f, err = config.Default(), nil
	}
	if err != nil {
		return nil, err
	}
	return control.Dial(f.Page.Listen[0], e.dataDir, e.command)
}

// knownFields are the names that may stand under [provet.fields].
func knownFields() map[string][]string {
	known := map[string][]string{}
	for resource, names := range provet.DefaultFields() {
		known[resource] = slices.Sorted(maps.Keys(names))
	}
	return known
}
