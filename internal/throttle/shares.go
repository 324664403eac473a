package throttle

import (
	"context"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// shareOf is which part of a common limit a process takes ahead, one hundredth.
const shareOf = 100

// shares are parts of limits that everybody has in common. If each event counted
// in the store, all would wait for one row; so a process takes a hundredth of the
// limit at a time and counts that down by itself. The limit holds across
// processes all the same, for what was taken counts at once; a process can
// carry at most one such part from one stretch of time into the next.
type shares struct {
	store Store
	mu    sync.Mutex
	parts map[string]*share
}

// share is what is left of a part. Its lock is held while another part is
// taken, so that those who wait for it take one and not one each.
type share struct {
	lock  chan struct{}
	left  int
	until time.Time // when what is left is given up
}

// take counts n events against a limit and answers 0, or how long to wait; then nothing was counted.
func (s *shares) take(ctx context.Context, name string, n int, rate reset.Rate, now time.Time) (time.Duration, error) {
	if rate.Count == 0 {
		return 0, nil
	}
	part := s.part(name)
	select {
	case part.lock <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-part.lock }()
	if !now.Before(part.until) {
		part.left = 0
	}
	if part.left >= n {
		part.left -= n
		return 0, nil
	}
	n = min(n, rate.Count)
	for _, more := range []int{max(n, rate.Count/shareOf), n} { // the whole part, or else as much as is needed
		var wait time.Duration
		err := s.store.Update(ctx, func(tx reset.Tx) (err error) {
			wait, err = tx.Take(ctx, name, more, rate, now)
			return err
		})
		if err != nil {
			return 0, err
		}
		if wait == 0 {
			part.left, part.until = part.left+more-n, now.Add(rate.Per)
			return 0, nil
		}
		if more == n {
			return wait, nil
		}
	}
	return 0, nil // not reached: the last turn takes n or waits
}

func (s *shares) part(name string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts == nil {
		s.parts = make(map[string]*share)
	}
	p, ok := s.parts[name]
	if !ok {
		p = &share{lock: make(chan struct{}, 1)}
		s.parts[name] = p
	}
	return p
}
