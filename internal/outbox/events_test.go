package outbox_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

const (
	hookA = "https://a.example.com/hooks?a=b"
	hookB = "https://b.example.com/hooks"
	dead  = "https://dead.example.com/hooks"
)

func event(target string) reset.EventEntry {
	return reset.EventEntry{ID: reset.NewEventID(), Type: reset.EventPasswordReset, At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Target: target, UserID: "u"}
}

// TestADeadTargetHoldsUpNobody: one target of three never answers. The others
// and the mails do not wait for it, however much there is for it; and it is
// called by so many workers and no more.
func TestADeadTargetHoldsUpNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var (
		mu          sync.Mutex
		under, most int
	)
	release := make(chan struct{})
	h := newHandler(func(ctx context.Context, e reset.Entry) error {
		if e, ok := e.(reset.EventEntry); !ok || e.Target != dead {
			return nil
		}
		mu.Lock()
		under++
		most = max(most, under)
		mu.Unlock()
		defer func() { mu.Lock(); under--; mu.Unlock() }()
		select {
		case <-release:
		case <-ctx.Done():
		}
		return errors.New("it did not answer")
	})
	h.signal = make(chan struct{}, 10_000)
	var entries []reset.Entry
	for range 100 {
		entries = append(entries, event(dead))
	}
	f.enqueue(t, entries...)
	f.start(t, h, time.Now, hookA, hookB, dead)
	others := []reset.Entry{event(hookA), event(hookB), event(hookA), link("ada@example.test"), reset.NoticeEntry{UserID: "u"}}
	f.enqueue(t, others...)
	h.until(t, "the others", func() bool { return len(h.worked) == len(others) })
	for _, want := range others {
		found := false
		for _, got := range h.worked {
			found = found || reflect.DeepEqual(got, want)
		}
		if !found {
			t.Errorf("%+v was not worked as it was enqueued", want)
		}
	}
	close(release)
	h.until(t, "the dead one's first attempts", func() bool { return len(h.worked) == len(others)+len(entries) })
	mu.Lock()
	defer mu.Unlock()
	if most < 1 || most > 4 {
		t.Errorf("the dead target was called by %d at once, want at most 4", most)
	}
}

// TestAnEventIsTriedAgainAsItIs: after a failure the same event comes again, with the same id.
func TestAnEventIsTriedAgainAsItIs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var once sync.Once
	h := newHandler(func(context.Context, reset.Entry) (err error) {
		once.Do(func() { err = errors.New("the target answered 500") })
		return err
	})
	f.start(t, h, almostDue, hookA)
	f.enqueue(t, event(hookA))
	h.until(t, "a second try", func() bool { return len(h.worked) == 2 })
	if h.worked[0] != h.worked[1] {
		t.Errorf("first %+v, then %+v", h.worked[0], h.worked[1])
	}
	if !strings.Contains(f.log.String(), `"event":"event.retry"`) || strings.Contains(f.log.String(), "/hooks") {
		t.Errorf("the log should have the failure, without the target's path:\n%s", f.log)
	}
}

// TestATargetMayAskForPatience: Retry-After is kept to, where it is longer than the pause would be.
func TestATargetMayAskForPatience(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := newHandler(func(_ context.Context, e reset.Entry) error {
		after := 20 * time.Minute
		if e.(reset.EventEntry).Target == hookB {
			after = time.Second
		}
		return &reset.Postponed{After: after, Cause: errors.New("the target answered 503")}
	})
	f.enqueue(t, event(hookA), event(hookB))
	stop := f.start(t, h, time.Now, hookA, hookB)
	h.until(t, "a try of each", func() bool { return len(h.worked) == 2 })
	stop(t.Context())
	for target, seconds := range map[string]int{hookA: 1200, hookB: 5} {
		if n := f.rows(t, `SELECT count(*) FROM river_job WHERE finalized_at IS NULL AND json(args) ->> 'target' = ?
			AND unixepoch(scheduled_at) - unixepoch('now') BETWEEN ? AND ?`, target, seconds*4/5-2, seconds*6/5+1); n != 1 {
			t.Errorf("the event for %s does not wait about %d seconds", target, seconds)
		}
	}
}

// TestATargetThatWantsNoMore: 410 ends it at once.
func TestATargetThatWantsNoMore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := newHandler(func(context.Context, reset.Entry) error {
		return &reset.Unwanted{Cause: errors.New("the target answered 410")}
	})
	f.start(t, h, time.Now, hookA)
	f.enqueue(t, event(hookA))
	h.until(t, "giving up", func() bool { return len(h.given) == 1 })
	if len(h.worked) != 1 {
		t.Errorf("it was tried %d times, want once", len(h.worked))
	}
}

// TestTargetsThatAreGone: events for a target that is configured no more stay
// for replicas that know it, and are given up when those would have given them up.
func TestTargetsThatAreGone(t *testing.T) {
	t.Parallel()
	f, h := newFixture(t), newHandler(fine)
	f.enqueue(t, event(dead), event(dead))
	stop := f.start(t, h, time.Now, hookA)
	h.until(t, "a purge", func() bool { return h.purges > 0 })
	stop(t.Context())
	if n := f.rows(t, `SELECT count(*) FROM river_job WHERE kind = 'event'`); n != 2 || len(h.given) != 0 {
		t.Fatalf("%d entries are left and %d were given up, want 2 and none", n, len(h.given))
	}
	h = newHandler(fine)
	stop = f.start(t, h, func() time.Time { return time.Now().Add(reset.GiveUpAfter + 2*time.Hour) }, hookA)
	h.until(t, "giving up", func() bool { return len(h.given) == 2 })
	stop(t.Context())
	if n := f.rows(t, `SELECT count(*) FROM river_job WHERE kind = 'event'`); n != 0 || len(h.worked) != 0 {
		t.Errorf("%d entries are left and %d were told, want none", n, len(h.worked))
	}
}
