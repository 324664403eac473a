package password_test

import (
	"runtime"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/sparekey/sparekey/internal/password"
)

// These two are to be compared: the second is the first behind the gate.

func BenchmarkRawArgon2id(b *testing.B) {
	salt := make([]byte, 16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			argon2.IDKey([]byte("a bird in the hand"), salt, 2, 19456, 1, 32)
		}
	})
}

func BenchmarkHasher(b *testing.B) {
	h := mustHasher(b, password.DefaultParams(), runtime.GOMAXPROCS(0), 1024)
	b.SetParallelism(8) // more callers than may work at once
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := h.Hash(b.Context(), "a bird in the hand", nil); err != nil {
				b.Error(err)
			}
		}
	})
}
