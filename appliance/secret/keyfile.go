package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// credentialName is the credential that systemd may hand over (LoadCredential=
// or LoadCredentialEncrypted=): 32 bytes, raw, in hexadecimal or in base64.
const credentialName = "rayhound.key"

// keyFile keeps the data key in a file with mode 0600.
type keyFile struct{ path string }

func (k keyFile) load([]byte) ([]byte, error) {
	b, err := readSmall(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, err
	}
	return parseKey(b)
}

func (k keyFile) create() (key, sealed []byte, err error) {
	key = newKey()
	if err := writeFile(k.path, []byte(base64.StdEncoding.EncodeToString(key)+"\n")); err != nil {
		return nil, nil, err
	}
	return key, nil, nil
}

func (keyFile) means() string { return "a key file readable by the service's account" }

// credential reads the data key that systemd hands over. It cannot make one.
type credential struct{ path string }

func (c credential) load([]byte) ([]byte, error) {
	b, err := readSmall(c.path)
	if err != nil {
		return nil, err
	}
	return parseKey(b)
}

func (c credential) create() (key, sealed []byte, err error) {
	if key, err = c.load(nil); err != nil {
		return nil, nil, fmt.Errorf("secret: the credential %s: %w", credentialName, err)
	}
	return key, nil, nil
}

func (credential) means() string { return "a credential of systemd" }

// credentialKeeper returns the keeper for a credential, if there is one.
func credentialKeeper(cfg Config) (keeper, bool) {
	if cfg.CredentialsDir == "" {
		return nil, false
	}
	c := credential{path: filepath.Join(cfg.CredentialsDir, credentialName)}
	if _, err := readSmall(c.path); errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	return c, true
}

// parseKey reads a key of 32 bytes.
func parseKey(b []byte) ([]byte, error) {
	if len(b) == keySize {
		return b, nil
	}
	text := string(bytes.TrimSpace(b))
	if key, err := hex.DecodeString(text); err == nil && len(key) == keySize {
		return key, nil
	}
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == keySize {
		return key, nil
	}
	return nil, fmt.Errorf("%w: it must have 32 bytes", errNoKey)
}
