package localdb

import (
	"context"
	"errors"
	"strings"
)

// SetState keeps a small fact under a key, over an older one.
func (tx *Tx) SetState(ctx context.Context, key, value string) error {
	_, err := tx.exec(ctx, `INSERT INTO state(key, value) VALUES (?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value`, key, value)
	return err
}

// DeleteState forgets a fact, if it is there.
func (tx *Tx) DeleteState(ctx context.Context, key string) error {
	_, err := tx.exec(ctx, `DELETE FROM state WHERE key=?`, key)
	return err
}

// State returns a fact, or false.
func (s *Snapshot) State(ctx context.Context, key string) (string, bool, error) {
	v, err := one(ctx, s, `SELECT value FROM state WHERE key=?`, scanText, key)
	if errors.Is(err, ErrNotFound) {
		return "", false, nil
	}
	return v, err == nil, err
}

// States returns all facts whose key begins with prefix.
func (s *Snapshot) States(ctx context.Context, prefix string) (map[string]string, error) {
	type pair struct{ k, v string }
	rows, err := all(ctx, s, `SELECT key, value FROM state WHERE key >= ?`, func(r scanner) (p pair, err error) {
		err = r.Scan(&p.k, &p.v)
		return p, err
	}, prefix)
	out := map[string]string{}
	for _, p := range rows {
		if strings.HasPrefix(p.k, prefix) {
			out[p.k] = p.v
		}
	}
	return out, err
}
