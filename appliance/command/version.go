package command

import "runtime"

type versionCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (versionCmd) Help() string { return "Example:\n\n  rayhound version --json" }

// Run prints the version.
func (c versionCmd) Run(e *env) error {
	if c.JSON {
		return e.json(map[string]string{
			"version": e.Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
		})
	}
	e.printf("rayhound %s (%s, %s/%s)\n", e.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
