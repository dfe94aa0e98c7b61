package command

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rayhound/rayhound/appliance/secret"
)

type secretCmd struct {
	Set  secretSetCmd  `cmd:"" help:"Set a secret; its value is read from standard input."`
	List secretListCmd `cmd:"" help:"List names and ages. Values are never shown."`
}

type secretSetCmd struct {
	Name string `arg:"" help:"Such as provet.client_secret."`
}

// Help shows an example.
func (secretSetCmd) Help() string {
	return "The running service seals the value. It is never shown again.\n\n" +
		"Example:\n\n  rayhound secret set provet.client_secret < secret.txt"
}

// Run hands the value to the service.
func (c secretSetCmd) Run(e *env) error {
	client, err := e.client() // before anybody types a secret in vain
	if err != nil {
		return err
	}
	if f, ok := e.Stdin.(*os.File); ok && isTerminal(f) {
		_, _ = fmt.Fprintln(e.Stderr, "Paste the value, then press Enter and Ctrl-D (Ctrl-Z and Enter on Windows).") // see printf
	}
	b, err := io.ReadAll(io.LimitReader(e.Stdin, secret.MaxLength+2))
	if err != nil {
		return unusable("standard input", err)
	}
	value := strings.TrimRight(string(b), "\r\n")
	if value == "" {
		return usage("No value came in on standard input")
	}
	if len(value) > secret.MaxLength {
		return usage("The value is too long")
	}
	if err := client.SetSecret(e.ctx, c.Name, secret.New(value)); err != nil {
		return err
	}
	e.printf("The secret %s is set.\n", c.Name)
	return nil
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

type secretListCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Help shows an example.
func (secretListCmd) Help() string { return "Example:\n\n  rayhound secret list" }

// Run lists the secrets.
func (c secretListCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	all, err := client.Secrets(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(all)
	}
	if len(all) == 0 {
		e.printf("No secret is set. Start with: rayhound secret set %s\n", secret.ProvetClientSecret)
		return nil
	}
	rows := make([][]string, len(all))
	for i, s := range all {
		state := "good"
		if !s.Readable {
			state = "cannot be opened on this computer: set it again (RH-507)"
		}
		rows[i] = []string{s.Name, ago(s.SetAt), state}
	}
	e.table([]string{"NAME", "SET", "STATE"}, rows)
	return nil
}
