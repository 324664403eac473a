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
	return hkdf.Key(sha256.New, master, nil, "sparekey "+purpose, derivedKey)
}
