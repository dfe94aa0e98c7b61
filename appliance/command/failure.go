package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rayhound/rayhound/appliance/config"
	"github.com/rayhound/rayhound/appliance/control"
	"github.com/rayhound/rayhound/appliance/problem"
)

// errReported ends a command with exit code 1 that has said everything itself.
var errReported = errors.New("reported")

// fail prints an error for people and returns the exit code.
func (p *Program) fail(err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errReported) {
		return exitFailed
	}
	if errors.Is(err, context.Canceled) && problem.Of(err) == nil {
		return exitFailed // the person pressed Ctrl-C and knows it
	}
	var fe *config.FileError
	if errors.As(err, &fe) {
		return p.say(exitFailed, p.mistakes(fe))
	}
	var refusal *control.Refusal
	if errors.As(err, &refusal) {
		b := refusal.Body
		code := exitFailed
		if b.Code == string(problem.Usage) {
			code = exitUsage
		}
		return p.say(code, line(b.Text, b.Help, b.Code))
	}
	pe := problem.Of(err)
	if pe == nil {
		return p.say(exitFailed, line(sentence(err.Error())+".", "If this happens again, send a support file: rayhound support-file", string(problem.DBRead)))
	}
	code, ok := exits[pe.Code]
	if !ok {
		code = exitFailed
	}
	return p.say(code, line(pe.Sentence(), pe.Help(), string(pe.Code)))
}

// exits are the exit codes of problems that do not just mean "failed".
var exits = map[problem.Code]int{
	problem.Usage:          exitUsage,
	problem.ServiceStopped: exitStopped,
	problem.ServiceDenied:  exitDenied,
}

// mistakes lists every mistake of a settings file before the sentence.
func (p *Program) mistakes(fe *config.FileError) string {
	var b strings.Builder
	if len(fe.Errors) > 1 {
		for _, e := range fe.Errors {
			b.WriteString("  " + e.Error() + "\n")
		}
	}
	pe := problem.New(problem.ConfigInvalid, problem.Args{"path": fe.Path, "detail": fe.Errors.Detail()}, fe)
	return b.String() + line(pe.Sentence()+".", pe.Help(), string(pe.Code))
}

func line(text, help, code string) string {
	return fmt.Sprintf("rayhound: %s %s (%s)", text, strings.TrimRight(help, " "), code)
}

func (p *Program) say(code int, text string) int {
	_, _ = fmt.Fprintln(p.Stderr, text) // nowhere to report it
	return code
}
