package support

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// hider replaces ids by a keyed hash. The key is never stored.
type hider struct{ key []byte }

func newHider() hider {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return hider{key: key}
}

// id returns the stand-in of an id; empty stays empty.
func (h hider) id(s string) string {
	if s == "" {
		return ""
	}
	mac := hmac.New(sha256.New, h.key)
	_, _ = mac.Write([]byte(s)) // never fails
	return "#" + hex.EncodeToString(mac.Sum(nil)[:6])
}

// presence tells only whether there is a value.
func presence(s string) string {
	if strings.Trim(s, " *\x00") == "" {
		return "absent"
	}
	return "present"
}

// place removes the user's name from a path.
func place(path string) string {
	if home, err := os.UserHomeDir(); err == nil && len(home) > 1 {
		path = strings.ReplaceAll(path, home, "~")
	}
	if u, err := user.Current(); err == nil {
		name := u.Username[strings.LastIndexByte(u.Username, '\\')+1:]
		parts := strings.Split(filepath.ToSlash(path), "/")
		for i, p := range parts {
			if strings.EqualFold(p, name) {
				parts[i] = "[user]"
			}
		}
		path = strings.Join(parts, "/")
	}
	return path
}
