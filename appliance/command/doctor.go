package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/ui"
)

type doctorCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (doctorCmd) Help() string {
	return "Checks the settings, Provet Cloud, DICOM, disk, clock and database. Exits 0 only if nothing failed. " +
		"Without a running service it checks what it can and exits 3.\n\nExample:\n\n  rayhound doctor"
}

// Run runs the checks.
func (c doctorCmd) Run(e *env) error {
	checks := []ui.Check{e.checkSettings()}
	client, err := e.client()
	var rest []ui.Check
	if err == nil {
		rest, err = client.Doctor(e.ctx)
	}
	if err != nil {
		checks = append(checks, e.checkData(), failed("service", "answers", err))
	}
	checks = append(checks, rest...)
	if c.JSON {
		if err := e.json(checks); err != nil {
			return err
		}
	} else {
		e.showChecks(checks)
	}
	if err != nil {
		return err
	}
	for _, k := range checks {
		if k.Result == "fail" {
			return errReported
		}
	}
	return nil
}

func (e *env) showChecks(checks []ui.Check) {
	bad, area, name := 0, 0, 0
	for _, k := range checks {
		area, name = max(area, utf8.RuneCountInString(k.Area)), max(name, utf8.RuneCountInString(k.Name))
	}
	for _, k := range checks {
		text := k.Detail
		if k.Code != "" {
			text += " (" + k.Code + ")"
		}
		e.printf("%-7s  %-*s  %-*s  %s\n", k.Result, area, plain(k.Area), name, plain(k.Name), plain(text))
		if k.Help != "" && k.Result != "ok" {
			e.printf("%*s-> %s\n", 7+2+area+2+name+2, "", plain(k.Help))
		}
		if k.Result == "fail" {
			bad++
		}
	}
	if bad == 0 {
		e.printf("\nEverything that could be checked is good.\n")
	} else {
		e.printf("\n%s failed.\n", count(bad, "check"))
	}
}

func (e *env) checkSettings() ui.Check {
	f, err := e.settings()
	if err == nil {
		return ui.Check{Area: "settings", Name: "file", Result: "ok", Detail: fmt.Sprintf("%s, %s", e.configPath, count(len(f.Modalities), "machine"))}
	}
	var fe *config.FileError
	if errors.As(err, &fe) {
		err = problem.New(problem.ConfigInvalid, problem.Args{"path": fe.Path, "detail": fe.Errors.Detail()}, err)
	}
	return failed("settings", "file", err)
}

// checkData tells whether the data folder can be used by this account.
func (e *env) checkData() ui.Check {
	info, err := os.Stat(e.dataDir)
	if errors.Is(err, os.ErrNotExist) {
		return ui.Check{Area: "disk", Name: "data folder", Result: "warn", Detail: e.dataDir + " is not there yet; rayhound run makes it"}
	}
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err == nil {
		_, err = os.ReadDir(e.dataDir)
	}
	if err != nil {
		return failed("disk", "data folder", unusable(e.dataDir, err))
	}
	detail := e.dataDir
	if db, err := os.Stat(filepath.Join(e.dataDir, "rayhound.db")); err == nil {
		detail += ", database " + bytesText(db.Size())
	}
	return ui.Check{Area: "disk", Name: "data folder", Result: "ok", Detail: detail}
}

// failed turns an error into a check that failed.
func failed(area, name string, err error) ui.Check {
	k := ui.Check{Area: area, Name: name, Result: "fail", Detail: err.Error()}
	if p := problem.Of(err); p != nil {
		k.Code, k.Detail, k.Help = string(p.Code), p.Sentence(), p.Help()
	}
	return k
}
