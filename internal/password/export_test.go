package password

import "time"

// CheapHasher returns a Hasher far below the least parameters, for properties
// that need many hashes.
func CheapHasher() *Hasher {
	return &Hasher{params: Params{MemoryKiB: 8, Time: 1, Parallelism: 1}, gate: newGate(4, 64, time.Now)}
}

// Strength is strength without context words.
func Strength(normal string, enough int) int { return strength(normal, nil, enough) }
