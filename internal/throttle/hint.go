package throttle

import (
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// maxHinted bounds the links of which it is remembered how often they were hinted at.
const maxHinted = 4096

// hints counts in memory: a hint writes nothing, and costs so little that a limit for each process is enough.
type hints struct {
	mu  sync.Mutex
	tat map[reset.Digest]time.Time // when each has all its room again, as in reset.Tx.Take
}

// Hinting implements reset.Throttle.
func (l *Limiter) Hinting(link reset.Digest, now time.Time) error {
	rate := l.limits.Hint
	if rate.Count == 0 {
		return nil
	}
	return tooOften(reset.Limit{Name: "hint", Rate: rate}, l.hints.take(link, rate, now))
}

func (h *hints) take(link reset.Digest, rate reset.Rate, now time.Time) (wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tat == nil || len(h.tat) >= maxHinted {
		h.tat = make(map[reset.Digest]time.Time)
	}
	tat := h.tat[link]
	if tat.Before(now) {
		tat = now
	}
	tat = tat.Add(rate.Interval())
	if wait := tat.Sub(now) - rate.Per; wait > 0 {
		return wait
	}
	h.tat[link] = tat
	return 0
}
