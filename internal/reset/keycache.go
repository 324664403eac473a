package reset

import (
	"sync"
	"time"
)

// freshKey is for how long a key counts as it was last read. An application
// sends one key with every call, and reading it each time took a third of the
// call. The price is that a key which another process revokes may be used for
// that much longer: less than the command that revokes it needs to end.
const freshKey = 10 * time.Millisecond

// maxFreshKeys bounds the keys remembered. Only valid secrets get in, so nobody can fill it by guessing.
const maxFreshKeys = 1024

// keyCache remembers keys for a moment.
type keyCache struct {
	mu   sync.RWMutex
	keys map[Digest]readKey
}

// readKey is a key as it was read at a time.
type readKey struct {
	key Key
	at  time.Time
}

func (c *keyCache) get(d Digest, now time.Time) (Key, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	read, ok := c.keys[d]
	age := now.Sub(read.at)
	return read.key, ok && age >= 0 && age < freshKey
}

func (c *keyCache) put(d Digest, k Key, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil || len(c.keys) >= maxFreshKeys {
		c.keys = make(map[Digest]readKey)
	}
	c.keys[d] = readKey{k, now}
}

// forget makes the next call of every key read it again.
func (c *keyCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.keys)
}
