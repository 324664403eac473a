package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/config"
)

// TestDerive: a key is the same for every process with the same secret, or else
// the same database, and another for each purpose.
func TestDerive(t *testing.T) {
	t.Parallel()
	derive := func(path, secret, purpose string) []byte {
		t.Helper()
		environ := []string{"SPAREKEY_DATABASE=sqlite:" + path, "SPAREKEY_SECRET=" + secret}
		cfg, err := config.Load(config.Source{Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		c, err := openCore(t.Context(), cfg, time.Now, slog.New(slog.DiscardHandler), true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.close() }()
		key, err := c.derive(t.Context(), purpose)
		if err != nil || len(key) != derivedKey {
			t.Fatalf("%d bytes, %v", len(key), err)
		}
		return key
	}
	dir, secret := t.TempDir(), "0123456789abcdef0123456789abcdef"
	one, two := filepath.Join(dir, "one.db"), filepath.Join(dir, "two.db")
	for _, c := range []struct {
		what string
		a, b []byte
		same bool
	}{
		{"two processes on one database", derive(one, "", "audit"), derive(one, "", "audit"), true},
		{"two purposes", derive(one, "", "audit"), derive(one, "", "puzzle"), false},
		{"two databases", derive(one, "", "audit"), derive(two, "", "audit"), false},
		{"two databases with one secret", derive(one, secret, "audit"), derive(two, secret, "audit"), true},
		{"two secrets", derive(one, secret, "audit"), derive(one, secret+"0", "audit"), false},
		{"a secret and none", derive(one, secret, "audit"), derive(one, "", "audit"), false},
	} {
		if bytes.Equal(c.a, c.b) != c.same {
			t.Errorf("%s: %x and %x", c.what, c.a, c.b)
		}
	}
}
