package appliance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/drivers/dicom/dimse"
	"github.com/rayhound/rayhound/drivers/dicom/query"
	"github.com/rayhound/rayhound/ui"
)

// doctorTime bounds all checks together.
const doctorTime = 2 * time.Minute

// Doctor answers ui.Upkeep: every check that only reads, in the direction of an
// order. Each check does the real thing; none only looks at a flag.
func (a api) Doctor(ctx context.Context) ([]ui.Check, error) {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	checks := a.checkProvet(ctx)
	checks = append(checks, a.checkTunnel(ctx)...)
	checks = append(checks, a.checkWebhooks(ctx)...)
	checks = append(checks, a.checkDICOM(ctx)...)
	checks = append(checks, a.checkMachines()...)
	checks = append(checks, a.checkRIS(ctx)...)
	checks = append(checks, a.checkHL7(ctx)...)
	checks = append(checks, a.checkComputer(ctx)...)
	return checks, nil
}

// check runs one check and words its result.
func check(area, name string, run func() (detail string, err error)) ui.Check {
	start := time.Now()
	detail, err := run()
	c := ui.Check{Area: area, Name: name, Result: "ok", Detail: detail, DurationSeconds: time.Since(start).Seconds()}
	if err != nil {
		c.Result = "fail"
		if p := practiceProblem(err); p != nil {
			c.Code, c.Detail, c.Help = string(p.Code), p.Sentence(), p.Help()
		} else if c.Detail == "" {
			c.Detail = "it failed, see the log"
		}
	}
	return c
}

func (a api) checkProvet(ctx context.Context) []ui.Check {
	if a.provet == nil {
		return []ui.Check{check("provet", "settings", func() (string, error) {
			return "", problem.New(problem.ProvetUnconfigured, problem.Args{"what": "base_url or client_id"}, nil)
		})}
	}
	var list []ui.Check
	for _, c := range a.provet.Check(ctx) {
		v := ui.Check{Area: "provet", Name: c.Name, Result: "ok", Detail: c.Detail, DurationSeconds: c.Took.Seconds()}
		switch {
		case c.Skipped:
			v.Result = "skipped"
		case !c.OK:
			v.Result = "fail"
		}
		if c.Problem != nil {
			v.Code, v.Detail, v.Help = string(c.Problem.Code), c.Problem.Sentence(), c.Problem.Help()
			if v.Result == "ok" {
				v.Result = "warn"
			}
		}
		list = append(list, v)
	}
	return list
}

// checkDICOM asks our own port for an echo, as a machine would: a caller we do
// not know must be refused by name, which proves that the port answers DICOM.
func (a api) checkDICOM(ctx context.Context) []ui.Check {
	var list []ui.Check
	open := a.dicom.listening()
	for _, addr := range open {
		list = append(list, check("dicom", "answers at "+addr, func() (string, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return "", err
			}
			err = query.Echo(ctx, query.Target{
				CalledAETitle: a.cfg.Settings.DICOM.AETitle, CallingAETitle: selfTestTitle, Address: net.JoinHostPort("127.0.0.1", port),
			})
			var rejected *dimse.RejectedError
			if err != nil && !errors.As(err, &rejected) {
				return "", problem.New(problem.DICOMPort, problem.Args{"address": addr, "reason": "it does not answer DICOM"}, err)
			}
			return "our AE title is " + a.cfg.Settings.DICOM.AETitle, nil
		}))
	}
	if len(open) == 0 {
		list = append(list, check("dicom", "port", func() (string, error) {
			return "", problem.New(problem.DICOMPort, problem.Args{"address": fmt.Sprint(a.cfg.Settings.DICOM.Listen), "reason": "no port is open"}, nil)
		}))
	}
	return list
}

// selfTestTitle is the calling AE title of the doctor. No machine may have it.
const selfTestTitle = "RAYHOUND_DOCTOR"

// checkMachines says of each machine when it was heard last.
func (a api) checkMachines() []ui.Check {
	var list []ui.Check
	for _, m := range a.cfg.Settings.Modalities {
		heard := a.gate.lastHeard(m.Name)
		c := ui.Check{Area: "dicom", Name: m.Name, Result: "ok", Detail: "last heard " + heard.In(a.core.zone).Format(time.DateTime)}
		if heard.IsZero() {
			c.Result, c.Code, c.Detail = "warn", string(problem.MachineNone), "has not called since the service started"
			c.Help = "On the machine, set the worklist server to this computer and AE title " + a.cfg.Settings.DICOM.AETitle + ", then refresh its list."
		}
		if len(m.Serves) == 0 {
			c.Result, c.Code, c.Detail = "warn", string(problem.OrderUnmapped), "serves is empty, so no order goes there"
			c.Help = "Name the Provet modalities whose orders go to this machine."
		}
		list = append(list, c)
	}
	return list
}

func (a api) checkComputer(ctx context.Context) []ui.Check {
	return []ui.Check{
		check("database", "quick check", func() (string, error) {
			if err := a.db.QuickCheck(ctx); err != nil {
				return "", problem.New(problem.DBDamaged, problem.Args{"detail": "the quick check failed"}, err)
			}
			st, err := a.db.Stats(ctx)
			return fmt.Sprintf("schema version %d, %d bytes", st.SchemaVersion, st.FileBytes), err
		}),
		check("disk", "free space", func() (string, error) {
			if err := a.db.DiskLow(ctx); err != nil {
				return "", err
			}
			st, err := a.db.Stats(ctx)
			return fmt.Sprintf("%.1f GB free", float64(st.DiskFree)/1e9), err
		}),
		check("clock", "difference to Provet Cloud", func() (string, error) {
			if a.provet == nil {
				return "Provet Cloud is not set up", nil
			}
			skew := a.provet.ClockSkew()
			if skew.Abs() >= skewTooLarge {
				return "", problem.New(problem.ClockSkew, problem.Args{"skew": skew.Round(time.Second).String()}, nil)
			}
			return skew.Round(time.Second).String(), nil
		}),
		check("secrets", "readable", func() (string, error) {
			var errs []error
			for _, s := range a.secrets.List() {
				if !s.Readable {
					errs = append(errs, problem.New(problem.SecretUnreadable, problem.Args{"name": s.Name, "reason": "it was sealed on another computer"}, nil))
				}
			}
			return a.secrets.Means(), errors.Join(errs...)
		}),
	}
}
