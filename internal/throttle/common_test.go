package throttle_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/throttle"
)

// A client's limit is of addresses, however they are spread over calls.
func TestAskCountsAddresses(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Limits{Client: reset.Rate{Count: 6, Per: time.Minute}}, w.Store, slog.New(slog.DiscardHandler))
	for _, step := range []struct {
		client string
		n      int
		after  time.Duration
		want   time.Duration
	}{
		{"a", 4, 0, 0},
		{"a", 3, 0, 10 * time.Second},
		{"a", 2, 0, 0},
		{"a", 1, 0, 10 * time.Second},
		{"a", 2, 10 * time.Second, 10 * time.Second},
		{"a", 1, 10 * time.Second, 0},
		{"b", 50, 0, 0}, // all that there is, rather than never
		{"b", 1, 0, 10 * time.Second},
	} {
		got := waits(t, w.Store.Update(t.Context(), func(tx reset.Tx) error {
			return l.Ask(t.Context(), tx, reset.Caller{Client: step.client}, step.n, start.Add(step.after))
		}))
		if got != step.want {
			t.Errorf("%+v: wait %v", step, got)
		}
	}
}

// Who is over their limit is refused from memory, no longer than the store would
// refuse one address, and takes nothing from what all have in common.
func TestWhoIsOverTakesNothingFromOthers(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Limits{
		Client: reset.Rate{Count: 2, Per: time.Minute}, Service: reset.Rate{Count: 10, Per: time.Minute},
	}, w.Store, slog.New(slog.DiscardHandler))
	flooding := reset.Caller{Client: "flooding"}
	served := 0
	for range 1000 {
		if l.Asking(t.Context(), flooding, 1, start) != nil {
			continue
		}
		if ask(t, l, w, flooding, start) == 0 {
			served++
		}
	}
	same(t, "served of the flood", served, 2)
	for range 7 { // ten in all; two and the refusal that made it known are gone
		must(t, l.Asking(t.Context(), reset.Caller{Client: "other"}, 1, start))
	}
	same(t, "when there is room for one again", waits(t, l.Asking(t.Context(), flooding, 1, start.Add(29*time.Second))), time.Second)
	must(t, l.Asking(t.Context(), flooding, 1, start.Add(30*time.Second)))
}

// The limit of the whole service holds over any number of processes and callers
// at once, and whoever is refused is told when to come back.
func TestServiceLimit(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	var logged bytes.Buffer
	limits := throttle.Limits{Service: reset.Rate{Count: 1000, Per: time.Minute}}
	var (
		wg      sync.WaitGroup
		through atomic.Int64
	)
	log := slog.New(slog.NewTextHandler(&logged, nil))
	processes := []*throttle.Limiter{throttle.New(limits, w.Store, log), throttle.New(limits, w.Store, log), throttle.New(limits, w.Store, log)}
	for i := range 12 {
		wg.Go(func() {
			for range 200 {
				err := processes[i%3].Asking(t.Context(), reset.Caller{}, 1, start)
				if err == nil {
					through.Add(1)
				} else if e := reset.AsError(err); e.Kind != reset.Unavailable || e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
					t.Errorf("got %#v", err)
				}
			}
		})
	}
	wg.Wait()
	same(t, "let through by three processes", through.Load(), int64(1000))
	if !strings.Contains(logged.String(), "throttle.service") {
		t.Error("the log does not say what was reached")
	}
	must(t, processes[0].Asking(t.Context(), reset.Caller{}, 10, start.Add(time.Minute)))
}

// An account's limit is its own, and says how long a mail should wait.
func TestAccountLimit(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Limits{Account: reset.Rate{Count: 2, Per: time.Minute}}, w.Store, slog.New(slog.DiscardHandler))
	for _, want := range []time.Duration{0, 0, 30 * time.Second} {
		wait, err := l.Account(t.Context(), 1, start)
		must(t, err)
		same(t, "the wait of a mail", wait, want)
	}
	wait, err := l.Account(t.Context(), 2, start)
	must(t, err)
	same(t, "another account's", wait, time.Duration(0))
}

// Many wrong ids of all callers together are told of in the log, once a minute,
// and refuse nobody.
func TestWrongGuessesOfAllAreToldOf(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	var logged bytes.Buffer
	l := throttle.New(throttle.Limits{ServiceGuess: reset.Rate{Count: 200, Per: time.Hour}}, w.Store, slog.New(slog.NewTextHandler(&logged, nil)))
	for i := range 300 {
		must(t, l.WrongGuess(t.Context(), reset.Caller{Client: string(rune('a' + i%26))}, start))
	}
	same(t, "warnings in the first minute", strings.Count(logged.String(), "guess.flood"), 1)
	must(t, l.WrongGuess(t.Context(), reset.Caller{Client: "a"}, start.Add(time.Second)))
	same(t, "warnings a second later", strings.Count(logged.String(), "guess.flood"), 1)
}

// Whatever the times of the requests: in no stretch as long as the limit's are
// there more mails to an address than the limit says.
func TestAddressLimitInEveryStretch(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		limit := reset.Rate{Count: rapid.IntRange(1, 4).Draw(r, "count"), Per: time.Hour}
		l := throttle.New(throttle.Limits{AddressLong: limit}, w.Store, slog.New(slog.DiscardHandler))
		to := strings.Repeat("a", n%50+1) + "@example.test"
		now, mailed := start.Add(time.Duration(n)*1000*time.Hour), []time.Time(nil)
		for range rapid.IntRange(1, 30).Draw(r, "asks") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1800).Draw(r, "gap")) * time.Second)
			free := len(mailed) < limit.Count || !now.Before(mailed[len(mailed)-limit.Count].Add(limit.Per))
			if got := mail(t, l, w, to, now); got != free {
				r.Fatalf("after %v mails went: %v, want %v", mailed, got, free)
			} else if got {
				mailed = append(mailed, now)
			}
		}
	})
}
