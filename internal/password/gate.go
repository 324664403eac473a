package password

import (
	"context"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// How long a caller who is turned away is asked to wait.
const (
	leastPause = time.Second
	mostPause  = time.Minute
)

// gate lets a bounded number of callers work at once and a bounded number wait
// for their turn, first come first served. Whoever comes when the queue is full
// is turned away at once: that bounds memory and time under any load (OWASP
// Denial of Service Cheat Sheet).
type gate struct {
	// places holds one token for each caller inside, running holds one for each
	// who works: whoever has a place and is not running waits.
	places  chan struct{}
	running chan struct{}
	now     reset.Clock

	mu   sync.Mutex
	mean time.Duration // moving average of the time that one piece of work takes
}

func newGate(concurrency, queue int, now reset.Clock) *gate {
	return &gate{
		places:  make(chan struct{}, concurrency+queue),
		running: make(chan struct{}, concurrency),
		now:     now,
	}
}

// do runs work in the caller's goroutine when its turn comes. It answers an
// Unavailable error, and does not run it, when the queue is full or ctx ends
// first; then ctx's error is the cause. A caller who had to wait is asked, by
// still, whether the work is of use to anybody yet; its error is answered instead.
// still may be nil.
func (g *gate) do(ctx context.Context, still func(context.Context) error, work func()) error {
	select {
	case g.places <- struct{}{}:
	default:
		return g.busy(nil)
	}
	defer func() { <-g.places }()
	waited := false
	select {
	case g.running <- struct{}{}:
	default:
		waited = true
		select {
		case g.running <- struct{}{}:
		case <-ctx.Done():
			return g.busy(ctx.Err())
		}
	}
	// Given back before the place, so that whoever has a place is never
	// more than the queue away from running.
	defer func() { <-g.running }()
	// When a turn comes to a caller who has gone, select may still choose it.
	if err := ctx.Err(); err != nil {
		return g.busy(err)
	}
	if waited && still != nil {
		if err := still(ctx); err != nil {
			return err
		}
	}
	start := g.now()
	work()
	g.note(g.now().Sub(start))
	return nil
}

// note takes one more measurement into the moving average.
func (g *gate) note(took time.Duration) {
	const weight = 8 // the newest counts for an eighth
	took = max(took, 0)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mean == 0 {
		g.mean = took
		return
	}
	g.mean += (took - g.mean) / weight
}

// pause estimates how long a full queue takes to empty, in whole seconds.
func (g *gate) pause() time.Duration {
	g.mu.Lock()
	mean := g.mean
	g.mu.Unlock()
	queue := cap(g.places) - cap(g.running)
	seconds := mean.Seconds() * float64(queue) / float64(cap(g.running))
	pause := (time.Duration(min(seconds, mostPause.Seconds())*float64(time.Second)) + time.Second - 1).Truncate(time.Second)
	return min(max(pause, leastPause), mostPause)
}

func (g *gate) busy(cause error) *reset.Error {
	return reset.Busy("too many passwords are being worked on right now; please try again in a moment", g.pause(), cause)
}
