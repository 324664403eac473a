package main

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
)

// derivedKey is how long derived keys are, in bytes.
const derivedKey = 32

// derive answers a key for one purpose, the same on every replica (HKDF, RFC 5869).
// Who knows it learns neither the secret that it comes from nor the keys for other
// purposes. Where the operator has set no secret, one is made and kept in the
// database; then whoever reads the database can derive the same keys.
func (c *core) derive(ctx context.Context, purpose string) ([]byte, error) {
	master := []byte(c.cfg.Secret.Reveal())
	if len(master) == 0 {
		fresh := make([]byte, derivedKey)
		_, _ = rand.Read(fresh)
		var err error
		if master, err = c.store.Secret(ctx, "master", fresh); err != nil {
			return nil, fmt.Errorf("read the secret that is kept in the database: %w", err)
		}
	}
	return deriveFrom(master, purpose)
}

func deriveFrom(master []byte, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, master, nil, "sparekey "+purpose, derivedKey)
}

// masters are the secrets that keys may have been derived from, that in force
// first: the one that is set, and the one that was made. It makes none.
func (c *core) masters(ctx context.Context) (list [][]byte, err error) {
	if set := c.cfg.Secret.Reveal(); set != "" {
		list = append(list, []byte(set))
	}
	made, err := c.store.Secret(ctx, "master", nil)
	if err != nil {
		return nil, fmt.Errorf("read the secret that is kept in the database: %w", err)
	}
	if made != nil {
		list = append(list, made)
	}
	return list, nil
}
