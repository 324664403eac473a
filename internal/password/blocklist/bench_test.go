package blocklist_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/sparekey/sparekey/internal/password/blocklist"
)

// BenchmarkBuild says how many lines a second become a list, and how many bits each takes there.
func BenchmarkBuild(b *testing.B) {
	const lines = 2_000_000
	var text bytes.Buffer
	random, digest := rand.NewChaCha8([32]byte{}), make([]byte, 20)
	for range lines {
		_, _ = random.Read(digest) // never fails
		text.Write(append(hex.AppendEncode(text.AvailableBuffer(), digest), ":1\n"...))
	}
	out := filepath.Join(b.TempDir(), "list")
	var built blocklist.Built
	for b.Loop() {
		var err error
		built, err = blocklist.Build(b.Context(), bytes.NewReader(text.Bytes()), blocklist.BuildOptions{Name: "hashes.txt", Out: out})
		must(b, err)
	}
	b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(8*float64(built.Bytes)/float64(built.Passwords), "bits/password")
}
