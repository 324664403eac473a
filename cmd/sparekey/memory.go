package main

import (
	"os"
	"runtime/debug"

	"github.com/sparekey/sparekey/internal/config"
)

// plainMemory is what everything but hashing stays well below, in bytes.
const plainMemory = 64 << 20

// boundMemory tells the garbage collector what this service is like: a small
// live heap with much short-lived garbage, so that collecting a quarter as often
// costs some megabytes and saves a twentieth of the time; and hashes of 19 MiB each and more, which are garbage
// the moment they are done, so that it must collect at once when they pile up.
// GOGC and GOMEMLIMIT, where an operator has set them, win.
func boundMemory(cfg *config.Config) {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(400)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(plainMemory + 2*int64(cfg.Hash.Concurrency)*int64(cfg.Hash.Memory)<<10)
	}
}
