//go:build !windows

package secret

import "path/filepath"

// newKeeper returns the best means of this system.
func newKeeper(cfg Config) keeper {
	if k, ok := credentialKeeper(cfg); ok {
		return k
	}
	return keyFile{path: filepath.Join(cfg.Dir, KeyFileName)}
}
