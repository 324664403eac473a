package throttle

import (
	"sync"
	"time"
)

// maxRemembered bounds the callers remembered as being over a limit. Forgetting one costs a read, no more.
const maxRemembered = 10_000

// memory remembers who is over a limit, and until when. The store decides; this
// spares it the callers of whom it is known what it would say.
type memory struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (m *memory) remember(caller string, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil {
		m.until = make(map[string]time.Time)
	}
	if len(m.until) >= maxRemembered {
		clear(m.until)
	}
	m.until[caller] = until
}

// wait returns how long the caller is over its limit still; 0 if nothing is known of that.
func (m *memory) wait(caller string, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[caller]
	if !ok {
		return 0
	}
	if !now.Before(until) {
		delete(m.until, caller)
		return 0
	}
	return until.Sub(now)
}
