package throttle_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/throttle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// waits returns how long err asks the caller to wait; 0 for no error.
func waits(t testing.TB, err error) time.Duration {
	t.Helper()
	if err == nil {
		return 0
	}
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != reset.Throttled || e.Code != reset.CodeRestriction || e.RetryAfter <= 0 || e.Message == "" {
		t.Fatalf("got %#v, want a Throttled error with RetryAfter", err)
	}
	return e.RetryAfter
}

func address(t testing.TB, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	must(t, err)
	return a
}

// ask counts one request for links of a client.
func ask(t testing.TB, l reset.Throttle, w *servicetest.World, c reset.Caller, at time.Time) time.Duration {
	t.Helper()
	return waits(t, w.Store.Update(t.Context(), func(tx reset.Tx) error { return l.Ask(t.Context(), tx, c, 1, at) }))
}

// mail reports whether one more mail to the address is within its limit.
func mail(t testing.TB, l reset.Throttle, w *servicetest.World, to string, at time.Time) (ok bool) {
	t.Helper()
	must(t, w.Store.Update(t.Context(), func(tx reset.Tx) (err error) {
		ok, err = l.Address(t.Context(), tx, address(t, to), at)
		return err
	}))
	return ok
}

func TestAskLimit(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Limits{Client: reset.Rate{Count: 3, Per: time.Minute}, Key: reset.Rate{Count: 6, Per: time.Minute}}, w.Store, slog.New(slog.DiscardHandler))
	key := &reset.Key{ID: 1}
	for _, step := range []struct {
		after  time.Duration
		caller reset.Caller
		want   time.Duration
	}{
		{0, reset.Caller{Client: "a"}, 0},
		{0, reset.Caller{Client: "a"}, 0},
		{0, reset.Caller{Client: "a"}, 0},
		{0, reset.Caller{Client: "a"}, 20 * time.Second},
		{time.Second, reset.Caller{Client: "a"}, 19 * time.Second}, // a refused ask does not prolong the wait
		{time.Second, reset.Caller{Client: "a", Key: key}, 0},      // a key has a limit of its own
		{time.Second, reset.Caller{Client: "b"}, 0},
		{time.Second, reset.Caller{}, 0},
		{time.Second, reset.Caller{}, 0},
		{time.Second, reset.Caller{}, 0},
		{time.Second, reset.Caller{}, 0},
		{20 * time.Second, reset.Caller{Client: "a"}, 0},
		{20 * time.Second, reset.Caller{Client: "a"}, 20 * time.Second},
	} {
		same(t, fmt.Sprintf("%+v after %v", step.caller, step.after), ask(t, l, w, step.caller, start.Add(step.after)), step.want)
	}
}

func TestAddressLimit(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Defaults(), w.Store, slog.New(slog.DiscardHandler))
	const ada = "ada@example.test"
	for _, step := range []struct {
		after time.Duration
		to    string
		want  bool
	}{
		{0, ada, true},
		{0, ada, false},
		{30 * time.Second, "ADA@Example.test", false}, // the same mailbox
		{30 * time.Second, "bob@example.test", true},
		{30 * time.Second, "adà@example.test", true}, // others
		{time.Minute, ada, true},
		{2*time.Minute + 10*time.Second, ada, true},
		{3 * time.Minute, ada, false},
		{19 * time.Minute, ada, false}, // the hour's three
		{59 * time.Minute, ada, false},
		{time.Hour, ada, true},
		{62 * time.Minute, ada, true},
		{63*time.Minute + 30*time.Second, ada, true},
		{65 * time.Minute, ada, false}, // never more than three in any hour
	} {
		same(t, fmt.Sprintf("%s after %v", step.to, step.after), mail(t, l, w, step.to, start.Add(step.after)), step.want)
	}
}

func TestGuessLimit(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Limits{Guess: reset.Rate{Count: 2, Per: time.Minute}, KeyGuess: reset.Rate{Count: 4, Per: time.Minute}}, w.Store, slog.New(slog.DiscardHandler))
	client, key := reset.Caller{Client: "a"}, reset.Caller{Client: "a", Key: &reset.Key{ID: 7}}
	wrong := func(c reset.Caller, at time.Time) time.Duration { return waits(t, l.WrongGuess(t.Context(), c, at)) }
	for range 2 {
		same(t, "a wrong guess within the limit", wrong(client, start), time.Duration(0))
		same(t, "the next guess", waits(t, l.Guessing(client, start)), time.Duration(0))
	}
	same(t, "one too many", wrong(client, start), 30*time.Second)
	same(t, "the next guess", waits(t, l.Guessing(client, start.Add(time.Second))), 29*time.Second)
	same(t, "the same client with a key", waits(t, l.Guessing(key, start)), time.Duration(0))
	same(t, "another client", waits(t, l.Guessing(reset.Caller{Client: "b"}, start)), time.Duration(0))
	for range 4 {
		same(t, "a wrong guess with a key", wrong(key, start), time.Duration(0))
	}
	same(t, "one too many with a key", wrong(key, start), 15*time.Second)
	same(t, "another key from the same client", waits(t, l.Guessing(reset.Caller{Client: "a", Key: &reset.Key{ID: 8}}, start)), time.Duration(0))
	same(t, "the client at the end of its pause", waits(t, l.Guessing(client, start.Add(30*time.Second))), time.Duration(0))
	for range 10 {
		same(t, "a caller without a name", wrong(reset.Caller{}, start), time.Duration(0))
	}
	same(t, "a caller without a name", waits(t, l.Guessing(reset.Caller{}, start)), time.Duration(0))

	// Another process, or this one started anew, has forgotten who is over; the count is in the store.
	anew := throttle.New(throttle.Limits{Guess: reset.Rate{Count: 2, Per: time.Minute}}, w.Store, slog.New(slog.DiscardHandler))
	same(t, "remembered by a new process", waits(t, anew.Guessing(client, start)), time.Duration(0))
	if wait := waits(t, anew.WrongGuess(t.Context(), client, start)); wait == 0 {
		t.Error("a new process let the client guess on")
	}
}

// Of any number of simultaneous guesses no more than the limit are let through.
func TestGuessLimitUnderARace(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Limits{Guess: reset.Rate{Count: 10, Per: time.Hour}}, w.Store, slog.New(slog.DiscardHandler))
	c := reset.Caller{Client: "a"}
	var (
		wg      sync.WaitGroup
		through atomic.Int64
	)
	for range 20 {
		wg.Go(func() {
			for range 5 {
				if l.Guessing(c, start) == nil && l.WrongGuess(t.Context(), c, start) == nil {
					through.Add(1)
				}
			}
		})
	}
	wg.Wait()
	same(t, "guesses let through", through.Load(), int64(10))
}

// The zero rate does not limit, and nothing is written for it.
func TestZeroLimits(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	before := w.Dump(t)
	for name, l := range map[string]reset.Throttle{"no limits": throttle.New(throttle.Limits{}, w.Store, slog.New(slog.DiscardHandler)), "off": throttle.Off{}} {
		for range 1000 {
			c := reset.Caller{Client: "a", Key: &reset.Key{ID: 1}}
			if wait := ask(t, l, w, c, start); wait > 0 || !mail(t, l, w, "ada@example.test", start) {
				t.Fatalf("%s: limited", name)
			}
			must(t, errors.Join(l.Guessing(c, start), l.WrongGuess(t.Context(), c, start)))
		}
	}
	same(t, "the database", w.Dump(t), before)
}

// The table of limits is no list of who asked.
func TestLimitsNameNobody(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	l := throttle.New(throttle.Defaults(), w.Store, slog.New(slog.DiscardHandler))
	const client = "203.0.113.77"
	ask(t, l, w, reset.Caller{Client: client}, start)
	mail(t, l, w, "ada.canary@example.test", start)
	waits(t, l.WrongGuess(t.Context(), reset.Caller{Client: client}, start))
	waits(t, l.WrongGuess(t.Context(), reset.Caller{Client: client, Key: &reset.Key{ID: 1, Name: "canary-app"}}, start))
	dump := w.Dump(t)
	same(t, "limits that were touched", strings.Count(dump, "limits ["), 6)
	for _, s := range []string{"ada", "canary", "example.test", client} {
		for _, spelled := range []string{s, strings.ToUpper(s), hex.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s))} {
			if strings.Contains(dump, spelled) {
				t.Errorf("the limits name %q:\n%s", spelled, dump)
			}
		}
	}
}

// flooded is a store in which every limit is used up.
type flooded struct{ reset.Tx }

func (f flooded) Update(_ context.Context, fn func(reset.Tx) error) error { return fn(f) }

func (flooded) Take(_ context.Context, _ string, _ int, rate reset.Rate, _ time.Time) (time.Duration, error) {
	return rate.Per, nil
}

// However many clients are over the limit, those remembered are bounded, and
// whoever was forgotten is still refused at the next wrong guess.
func TestWhoIsOverIsRememberedWithinBounds(t *testing.T) {
	t.Parallel()
	l := throttle.New(throttle.Limits{Guess: reset.Rate{Count: 1, Per: time.Minute}}, flooded{}, slog.New(slog.DiscardHandler))
	most := 0
	for i := range 3 * throttle.MaxRemembered {
		c := reset.Caller{Client: fmt.Sprint(i)}
		if waits(t, l.WrongGuess(t.Context(), c, start)) == 0 || waits(t, l.Guessing(c, start)) == 0 {
			t.Fatal("not refused")
		}
		most = max(most, l.Remembered())
	}
	same(t, "the most that were remembered", most, throttle.MaxRemembered)
	if waits(t, l.WrongGuess(t.Context(), reset.Caller{Client: "0"}, start)) == 0 {
		t.Error("who was forgotten is let through")
	}
	// Whose time is over is forgotten when they come again.
	before := l.Remembered()
	same(t, "after the pause", waits(t, l.Guessing(reset.Caller{Client: "0"}, start.Add(time.Minute))), time.Duration(0))
	same(t, "remembered then", l.Remembered(), before-1)
}

var errStore = errors.New("the store said no")

// broken is a store that cannot count.
type broken struct{ reset.Tx }

func (b broken) Update(_ context.Context, fn func(reset.Tx) error) error { return fn(b) }

func (broken) Take(context.Context, string, int, reset.Rate, time.Time) (time.Duration, error) {
	return 0, errStore
}

// When it cannot be counted nobody is let through, and nobody is called an offender.
func TestCountingThatFails(t *testing.T) {
	t.Parallel()
	l := throttle.New(throttle.Defaults(), broken{}, slog.New(slog.DiscardHandler))
	c := reset.Caller{Client: "a"}
	ok, err := l.Address(t.Context(), broken{}, address(t, "ada@example.test"), start)
	if ok || !errors.Is(err, errStore) {
		t.Errorf("Address: %v, %v", ok, err)
	}
	if err := l.Ask(t.Context(), broken{}, c, 1, start); !errors.Is(err, errStore) {
		t.Errorf("Ask: %v", err)
	}
	if err := l.WrongGuess(t.Context(), c, start); !errors.Is(err, errStore) {
		t.Errorf("WrongGuess: %v", err)
	}
	must(t, l.Guessing(c, start))
	same(t, "remembered", l.Remembered(), 0)
}
