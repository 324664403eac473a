package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/sparekey/sparekey/internal/config"
)

const (
	// plainMemory is what everything but hashing stays well below, in bytes.
	plainMemory = 64 << 20
	// idleHeap is how much heap an idle service may keep, in bytes: more than it needs, less than anybody minds.
	idleHeap = 16 << 20
	// giveBackEvery is how often a service looks whether it keeps more.
	giveBackEvery = 15 * time.Second
)

// boundMemory tells the garbage collector what this service is like: a small
// live heap, and hashes of 19 MiB each and more, which are garbage the moment
// they are done. While a collection runs it counts those under way as live, so
// the next comes late by as much again for each; half of Go's default keeps what
// piles up to one more hash for each that may run. Collecting a heap this small
// is cheap; resets are not slower for it. The limit is for when hashes pile up all the same; it
// is generous, since a tight one has memory returned to the system that the next
// hash asks for again. GOGC and GOMEMLIMIT, where an operator has set them, win.
func boundMemory(cfg *config.Config) {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(50)
	}
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(plainMemory + 8*int64(cfg.Hash.Concurrency)*int64(cfg.Hash.Memory)<<10)
	}
}

// giveBack collects what a burst has left in the heap and returns it to the
// system, until ctx ends: first what starting has left, which is as much again as a service
// keeps. By itself Go does so too, but takes minutes.
func giveBack(ctx context.Context) {
	debug.FreeOSMemory()
	ticker := time.NewTicker(giveBackEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			trimHeap()
		case <-ctx.Done():
			return
		}
	}
}

// trimHeap collects, and returns memory if the heap holds much more than an idle
// one. An idle service would collect every two minutes by itself; with
// GODEBUG=clobberfree=1 a collection overwrites what it frees, and that may have
// been a password. Collecting a heap this small takes a few milliseconds.
func trimHeap() {
	if residentHeap() > idleHeap {
		debug.FreeOSMemory()
		return
	}
	runtime.GC()
}

// residentHeap is the memory that the heap holds of the system's, garbage included, in bytes.
func residentHeap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.HeapIdle - m.HeapReleased
}
