package control

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rayhound/rayhound/appliance/problem"
	"github.com/rayhound/rayhound/appliance/secret"
)

// TokenFile is the name of the token's file in the data folder.
const TokenFile = "control.token"

var tokenRE = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// NewToken makes a token of 256 bits and writes it to the data folder, for the
// service's account and administrators only. The token of an earlier start is
// void from then on.
func NewToken(dir string) (secret.Secret, error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	text := base64.RawURLEncoding.EncodeToString(raw)
	path := filepath.Join(dir, TokenFile)
	tmp, err := os.CreateTemp(dir, "."+TokenFile+".*") // mode 0600
	if err != nil {
		return secret.Secret{}, fmt.Errorf("control: %w", err)
	}
	err = restrict(tmp.Name())
	if err == nil {
		_, err = tmp.WriteString(text + "\n")
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return secret.Secret{}, errors.Join(fmt.Errorf("control: write %s: %w", TokenFile, err), os.Remove(tmp.Name()))
	}
	return secret.New(text), nil
}

// ReadToken reads the token of the running service: RH-510 when this account may
// not, RH-509 when there is none because the service never ran here.
func ReadToken(dir string) (secret.Secret, error) {
	path := filepath.Join(dir, TokenFile)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return secret.Secret{}, problem.New(problem.ServiceStopped, problem.Args{"address": "the data folder " + dir}, err)
	case err != nil:
		return secret.Secret{}, problem.New(problem.ServiceDenied, problem.Args{"what": path}, err)
	}
	text := strings.TrimSpace(string(b))
	if !tokenRE.MatchString(text) {
		return secret.Secret{}, problem.New(problem.ServiceDenied, problem.Args{"what": path},
			errors.New("control: the file does not hold a token"))
	}
	return secret.New(text), nil
}
