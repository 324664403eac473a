package main

import (
	"runtime"
	"testing"
)

// TestTrimHeap: the garbage of a burst goes back to the system at once. It is
// far more than what other tests, which run at the same time, allocate.
func TestTrimHeap(t *testing.T) {
	t.Parallel()
	const burst = 512 << 20
	garbage := make([]byte, burst)
	for i := 0; i < len(garbage); i += 4096 {
		garbage[i] = 1
	}
	if residentHeap() < burst {
		t.Fatal("the burst is not in the heap")
	}
	runtime.KeepAlive(garbage)
	trimHeap()
	if left := residentHeap(); left >= burst {
		t.Errorf("%d MiB are still held", left>>20)
	}
}
