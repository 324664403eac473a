package password

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sparekey/sparekey/internal/password/formats"
	"github.com/sparekey/sparekey/internal/reset"
)

// blocker is work that goes on until it is let go, and knows how much of it goes on at once.
type blocker struct {
	mu                  sync.Mutex
	running, most, done int
	release             chan struct{}
}

func newBlocker() *blocker { return &blocker{release: make(chan struct{})} }

func (b *blocker) work() {
	b.mu.Lock()
	b.running++
	b.most = max(b.most, b.running)
	b.mu.Unlock()
	<-b.release
	b.mu.Lock()
	b.running--
	b.done++
	b.mu.Unlock()
}

// counts are how much goes on now, how much did at most, and how much is done.
func (b *blocker) counts() (running, most, done int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.running, b.most, b.done
}

func unavailable(t *testing.T, err error) *reset.Error {
	t.Helper()
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != reset.Unavailable {
		t.Fatalf("got %v, want an Unavailable error", err)
	}
	if e.RetryAfter < time.Second || e.RetryAfter%time.Second != 0 {
		t.Errorf("RetryAfter is %v; want whole seconds, at least one", e.RetryAfter)
	}
	return e
}

func TestGateTurnsAwayExactlyTheOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const concurrency, queue, callers = 2, 3, 20
		g, b := newGate(concurrency, queue, time.Now), newBlocker()
		var wg sync.WaitGroup
		errs := make(chan error, callers)
		for range callers {
			wg.Go(func() { errs <- g.do(t.Context(), nil, b.work) })
		}
		synctest.Wait() // everybody works, waits or has been turned away
		if n, _, _ := b.counts(); n != concurrency {
			t.Errorf("%d work at once, want %d", n, concurrency)
		}
		if n := len(errs); n != callers-concurrency-queue {
			t.Errorf("%d were turned away, want %d", n, callers-concurrency-queue)
		}
		for range len(errs) {
			unavailable(t, <-errs)
		}
		close(b.release)
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Errorf("somebody who was let in got %v", err)
			}
		}
		if _, most, done := b.counts(); most != concurrency || done != concurrency+queue {
			t.Errorf("%d were served, at most %d at once; want %d and %d", done, most, concurrency+queue, concurrency)
		}
	})
}

func TestGateWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate(1, 1, time.Now), newBlocker()
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.do(t.Context(), nil, b.work) })
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		waiting := make(chan error, 1)
		wg.Go(func() { waiting <- g.do(ctx, nil, b.work) })
		synctest.Wait()
		unavailable(t, g.do(t.Context(), nil, b.work)) // the queue is full

		cancel()
		if err := <-waiting; !errors.Is(unavailable(t, err), context.Canceled) {
			t.Errorf("the cause is %v, want the context's", err)
		}
		synctest.Wait()

		// The place is free again, and whoever takes it is served.
		wg.Go(func() { waiting <- g.do(t.Context(), nil, b.work) })
		synctest.Wait()
		if len(waiting) != 0 {
			t.Error("the place was not given back")
		}
		close(b.release)
		wg.Wait()
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		if _, _, n := b.counts(); n != 2 {
			t.Errorf("%d were served, want 2", n)
		}
	})
}

func TestGateDoesNothingForACallerWhoHasGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g := newGate(1, 0, time.Now)
	for range 100 { // select would choose wrongly every other time
		unavailable(t, g.do(ctx, nil, func() { t.Error("it worked for nobody") }))
	}
	if err := g.do(t.Context(), nil, func() {}); err != nil {
		t.Errorf("the place was not given back: %v", err)
	}
}

// Whoever had to wait is asked whether the work is of use yet; whoever had not is not.
func TestGateAsksWhoHadToWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, b := newGate(1, 2, time.Now), newBlocker()
		errUseless := errors.New("nobody has any use for it")
		never := func(context.Context) error { t.Error("who had not to wait was asked"); return nil }
		useful := func(context.Context) error { return nil }
		useless := func(context.Context) error { return errUseless }
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.do(t.Context(), never, b.work) })
		synctest.Wait()
		wg.Go(func() {
			if err := g.do(t.Context(), useless, func() { t.Error("it did what nobody has any use for") }); !errors.Is(err, errUseless) {
				t.Errorf("useless work was answered %v", err)
			}
		})
		worked := false
		wg.Go(func() {
			if err := g.do(t.Context(), useful, func() { worked = true }); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(b.release)
		wg.Wait()
		if !worked {
			t.Error("useful work was not done")
		}
	})
}

func TestGateSurvivesAPanic(t *testing.T) {
	t.Parallel()
	g := newGate(1, 0, time.Now)
	func() {
		defer func() { _ = recover() }()
		_ = g.do(t.Context(), nil, func() { panic("in the midst of work") })
	}()
	if err := g.do(t.Context(), nil, func() {}); err != nil {
		t.Errorf("the place was not given back: %v", err)
	}
}

func TestGateIsFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers = 8
		g, b := newGate(1, callers, time.Now), newBlocker()
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.do(t.Context(), nil, b.work) })
		synctest.Wait()
		order := make(chan int, callers)
		for i := range callers {
			wg.Go(func() { _ = g.do(t.Context(), nil, func() { order <- i }) })
			synctest.Wait() // i waits before i+1 comes
		}
		close(b.release)
		wg.Wait()
		for i := range callers {
			if got := <-order; got != i {
				t.Errorf("place %d was served to caller %d", i, got)
			}
		}
	})
}

func TestGateEstimatesThePause(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name               string
		concurrency, queue int
		took               []time.Duration
		want               time.Duration
	}{
		{"nothing measured yet", 2, 100, nil, time.Second},
		{"no queue", 2, 0, []time.Duration{time.Minute}, time.Second},
		{"less than a second", 2, 16, []time.Duration{25 * time.Millisecond}, time.Second},
		{"exactly four", 2, 8, []time.Duration{time.Second}, 4 * time.Second},
		{"rounded up", 2, 8, []time.Duration{1001 * time.Millisecond}, 5 * time.Second},
		{"one slow one does not rule", 1, 8, []time.Duration{100 * time.Millisecond, 900 * time.Millisecond}, 2 * time.Second},
		{"a clock that was set back", 1, 8, []time.Duration{-time.Hour}, time.Second},
		{"and goes right again", 1, 8, []time.Duration{-time.Hour, 900 * time.Millisecond}, 8 * time.Second},
		{"never longer than a minute", 1, 1000, []time.Duration{time.Hour}, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			now := time.Unix(0, 0)
			g := newGate(tc.concurrency, tc.queue, func() time.Time { return now })
			for _, d := range tc.took {
				if err := g.do(t.Context(), nil, func() { now = now.Add(d) }); err != nil {
					t.Fatal(err)
				}
			}
			if got := g.busy(nil).RetryAfter; got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestHashAndVerifyShareOneBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &Hasher{params: Params{MemoryKiB: 8, Time: 1, Parallelism: 1}, gate: newGate(1, 0, time.Now)}
		encoded, err := h.Hash(t.Context(), "a bird in the hand", nil)
		if err != nil {
			t.Fatal(err)
		}
		b := newBlocker()
		var wg sync.WaitGroup
		wg.Go(func() { _ = h.gate.do(t.Context(), nil, b.work) })
		synctest.Wait()
		if got, err := h.Hash(t.Context(), "a bird in the hand", nil); got != "" {
			t.Error("there is a hash with the error")
		} else {
			unavailable(t, err)
		}
		format, err := formats.Parse("ssha512")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := h.Writer(format).Hash(t.Context(), "a bird in the hand", nil); got != "" {
			t.Error("a writer does not share the bound")
		} else {
			unavailable(t, err)
		}
		if ok, err := h.Verify(t.Context(), "a bird in the hand", encoded); ok {
			t.Error("it was verified without being computed")
		} else {
			unavailable(t, err)
		}
		close(b.release)
		wg.Wait()
		if ok, err := h.Verify(t.Context(), "a bird in the hand", encoded); !ok || err != nil {
			t.Errorf("after that: %v, %v", ok, err)
		}
	})
}
