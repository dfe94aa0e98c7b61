package command

import (
	"errors"
	"os"
	"time"
)

type supportFileCmd struct {
	Out string `help:"Where to write it; - for standard output." placeholder:"FILE"`
}

// Help shows an example.
func (supportFileCmd) Help() string {
	return "One zip without names, contacts and secrets. Nothing is sent anywhere. Look into it before you pass it on.\n\n" +
		"Example:\n\n  rayhound support-file --out support.zip"
}

// Run writes the file.
func (c supportFileCmd) Run(e *env) error {
	client, err := e.client()
	if err != nil {
		return err
	}
	if c.Out == "-" {
		return client.SupportFile(e.ctx, e.Stdout)
	}
	path := c.Out
	if path == "" {
		path = "rayhound-support-" + time.Now().Format("20060102-150405") + ".zip"
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return unusable(path, err)
	}
	err = client.SupportFile(e.ctx, f)
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = unusable(path, closeErr)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path)) // half a file helps nobody
	}
	info, err := os.Stat(path)
	if err != nil {
		return unusable(path, err)
	}
	e.printf("Wrote %s (%s). Look into it before you pass it on.\n", path, bytesText(info.Size()))
	return nil
}
