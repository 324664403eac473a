package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/reset"
)

func testKeys(t *testing.T, s Store) {
	ctx := t.Context()
	if _, err := s.KeyByDigest(ctx, digest("none")); !errors.Is(err, reset.ErrNoKey) {
		t.Errorf("an unknown key: %v, want ErrNoKey", err)
	}
	key := reset.Key{Name: "zeta", Scope: reset.ScopeAdmin, CreatedAt: start, ExpiresAt: start.Add(time.Hour)}
	update(t, s, func(tx reset.Tx) error { return tx.AddKey(ctx, key, digest("zeta")) })
	update(t, s, func(tx reset.Tx) error {
		return tx.AddKey(ctx, reset.Key{Name: "alpha", Scope: reset.ScopeReset, CreatedAt: start}, digest("alpha"))
	})
	err := s.Update(ctx, func(tx reset.Tx) error { return tx.AddKey(ctx, key, digest("another")) })
	if !errors.Is(err, reset.ErrExists) {
		t.Errorf("a second key of a name: %v, want ErrExists", err)
	}

	got, err := s.KeyByDigest(ctx, digest("zeta"))
	if err != nil {
		t.Fatal(err)
	}
	key.ID = got.ID
	same(t, "the key", got, key)

	for _, at := range []time.Time{start.Add(time.Minute), start} { // the earlier one must not win
		update(t, s, func(tx reset.Tx) error { return tx.TouchKey(ctx, key.ID, at) })
	}
	update(t, s, func(tx reset.Tx) error { return tx.RevokeKey(ctx, "zeta", start.Add(2*time.Minute)) })
	for _, name := range []string{"zeta", "none"} {
		err := s.Update(ctx, func(tx reset.Tx) error { return tx.RevokeKey(ctx, name, start) })
		if !errors.Is(err, reset.ErrNoKey) {
			t.Errorf("revoking %s: %v, want ErrNoKey", name, err)
		}
	}
	key.LastUsedAt, key.RevokedAt = start.Add(time.Minute), start.Add(2*time.Minute)
	list, err := s.Keys(ctx)
	if err != nil || len(list) != 2 {
		t.Fatalf("Keys: %d, %v; want 2", len(list), err)
	}
	same(t, "the first by name", list[0].Name, "alpha")
	same(t, "the revoked key", list[1], key)
}

func testJobs(t *testing.T, s Store) {
	ctx := t.Context()
	const id = "5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11"
	if _, err := s.Job(ctx, id); !errors.Is(err, reset.ErrNoJob) {
		t.Errorf("an unknown job: %v, want ErrNoJob", err)
	}
	job := reset.Job{ID: id, KeyID: 7, CreatedAt: start, Total: 5}
	update(t, s, func(tx reset.Tx) error { return tx.AddJob(ctx, job) })
	check := func(want reset.Job) {
		t.Helper()
		got, err := s.Job(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the job", got, want)
	}
	check(job)
	for position, o := range []reset.Outcome{reset.OutcomeSent, reset.OutcomeUnknown, reset.OutcomeFailed, reset.OutcomeFailed} {
		for range 2 { // an entry may run twice, and counts once
			update(t, s, func(tx reset.Tx) error { return tx.SetOutcome(ctx, id, position, o) })
		}
	}
	job.Sent, job.Unknown, job.Failed = 1, 1, 2
	check(job)
	update(t, s, func(tx reset.Tx) error { return tx.SetOutcome(ctx, id, 3, reset.OutcomeSent) })
	job.Sent, job.Failed = 2, 1
	check(job)
	update(t, s, func(tx reset.Tx) error { return tx.SetOutcome(ctx, "no such job", 0, reset.OutcomeSent) })
}

func take(ctx context.Context, t rapid.TB, s Store, key string, rate reset.Rate, now time.Time) (wait time.Duration) {
	t.Helper()
	err := s.Update(ctx, func(tx reset.Tx) (err error) {
		wait, err = tx.Take(ctx, key, 1, rate, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return wait
}

func testTake(t *testing.T, s Store) {
	ctx := t.Context()
	hourly := reset.Rate{Count: 3, Per: time.Hour}
	for _, step := range []struct {
		after time.Duration
		want  time.Duration
	}{
		{0, 0},
		{0, 0},
		{0, 0}, // the burst
		{0, 20 * time.Minute},
		{19 * time.Minute, time.Minute},
		{20 * time.Minute, 0},
		{20 * time.Minute, 20 * time.Minute},
		{40 * time.Minute, 0},
		{5 * time.Hour, 0},
		{5 * time.Hour, 0},
		{5 * time.Hour, 0}, // rested: the burst again, and no more
		{5 * time.Hour, 20 * time.Minute},
	} {
		same(t, fmt.Sprint("the wait after ", step.after), take(ctx, t, s, "a", hourly, start.Add(step.after)), step.want)
	}
	same(t, "another key", take(ctx, t, s, "b", hourly, start), time.Duration(0))

	minutely := reset.Rate{Count: 1, Per: time.Minute}
	same(t, "one a minute", take(ctx, t, s, "m", minutely, start), time.Duration(0))
	same(t, "one a minute, too soon", take(ctx, t, s, "m", minutely, start.Add(time.Second)), 59*time.Second)
	same(t, "one a minute, in time", take(ctx, t, s, "m", minutely, start.Add(time.Minute)), time.Duration(0))
}

func testTakeRace(t *testing.T, s Store) {
	ctx := t.Context()
	rate := reset.Rate{Count: 5, Per: time.Hour}
	won := race(t, 16, func(int) error {
		for range 25 {
			if take(ctx, t, s, "shared", rate, start) == 0 {
				return nil
			}
		}
		return errRefused
	})
	same(t, "callers let through at once", won, 5)
}

// testSharedLimits lets many transactions take several limits at once, in one
// order as the domain does; none may fail because of the others.
func testSharedLimits(t *testing.T, s Store) {
	ctx := t.Context()
	rate := reset.Rate{Count: 1000, Per: time.Second}
	won := race(t, 16, func(i int) error {
		for range 10 {
			err := s.Update(ctx, func(tx reset.Tx) error {
				for _, name := range []string{"a", "b", "c", "d"} {
					if _, err := tx.Take(ctx, name, 1, rate, start); err != nil {
						return err
					}
				}
				return tx.OpenRequest(ctx, reset.NewID().Digest(), fmt.Sprint("user", i%2), start, start.Add(time.Hour))
			})
			if err != nil {
				t.Error(err)
				return err
			}
		}
		return nil
	})
	same(t, "callers who were served", won, 16)
}

// testTakeProperty holds Take against the rule itself: whatever the times of
// the events, no window of Per+interval lets through more than GCRA allows, and whoever
// waits as long as told is let through.
func testTakeProperty(t *testing.T, s Store) {
	ctx := t.Context()
	key := 0
	rapid.Check(t, func(t *rapid.T) {
		key++
		rate := reset.Rate{Count: rapid.IntRange(1, 5).Draw(t, "count"), Per: time.Minute}
		interval := rate.Per / time.Duration(rate.Count)
		now := start
		var passed []time.Time
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30_000).Draw(t, "gap")) * time.Millisecond)
			wait := take(ctx, t, s, fmt.Sprint(key), rate, now)
			if wait < 0 || wait > rate.Per {
				t.Fatalf("a wait of %v with one event every %v", wait, interval)
			}
			if wait == 0 {
				passed = append(passed, now)
			}
			if wait > 0 && rapid.Bool().Draw(t, "patient") {
				now = now.Add(wait)
				if again := take(ctx, t, s, fmt.Sprint(key), rate, now); again != 0 {
					t.Fatalf("waited %v as told, and was told to wait %v more", wait, again)
				}
				passed = append(passed, now)
			}
		}
		for i := range passed {
			for j := i; j < len(passed); j++ {
				// In a span of length d, at most Count + d/interval events conform.
				if most := rate.Count + int(passed[j].Sub(passed[i])/interval); j-i+1 > most {
					t.Fatalf("%d events within %v, at most %d conform", j-i+1, passed[j].Sub(passed[i]), most)
				}
			}
		}
	})
}

func testPurge(t *testing.T, s Store) {
	ctx := t.Context()
	openRequest(t, s, "old", "ada") // expires after an hour
	update(t, s, func(tx reset.Tx) error {
		return tx.OpenRequest(ctx, digest("new"), "bob", start, start.Add(3*time.Hour))
	})
	for id, at := range map[string]time.Time{"old": start, "new": start.Add(2 * time.Hour)} {
		update(t, s, func(tx reset.Tx) error {
			return tx.AddJob(ctx, reset.Job{ID: id, KeyID: 1, CreatedAt: at, Total: 3})
		})
	}
	rate := reset.Rate{Count: 1, Per: time.Hour}
	take(ctx, t, s, "old", rate, start)
	take(ctx, t, s, "new", rate, start.Add(90*time.Minute))

	now := start.Add(2 * time.Hour)
	purge(t, s, now, start.Add(61*time.Minute), start.Add(time.Hour))

	if _, err := s.RequestByDigest(ctx, digest("old")); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("the expired request: %v, want ErrNoRequest", err)
	}
	same(t, "the request that lives", stateOf(t, s, "new"), reset.StateOpen)
	if _, err := s.Job(ctx, "old"); !errors.Is(err, reset.ErrNoJob) {
		t.Errorf("the old job: %v, want ErrNoJob", err)
	}
	if _, err := s.Job(ctx, "new"); err != nil {
		t.Errorf("the new job: %v", err)
	}
	if wait := take(ctx, t, s, "new", rate, now); wait == 0 {
		t.Error("a limit that still limits was purged")
	}
}

func purge(t *testing.T, s Store, now, ended, jobs time.Time) (more bool) {
	t.Helper()
	update(t, s, func(tx reset.Tx) (err error) {
		more, err = tx.Purge(t.Context(), now, ended, jobs)
		return err
	})
	return more
}

// A purge removes a small part, and says so as long as there may be more.
func testPurgeInParts(t *testing.T, s Store) {
	ctx := t.Context()
	const many = 2*reset.PurgeBatch + 1
	update(t, s, func(tx reset.Tx) error {
		for i := range many {
			if err := tx.OpenRequest(ctx, digest(fmt.Sprint("old", i)), fmt.Sprint("user", i), start, start.Add(time.Hour)); err != nil {
				return err
			}
		}
		for i := range reset.PurgeJobs + 1 {
			if err := tx.AddJob(ctx, reset.Job{ID: fmt.Sprint("job", i), KeyID: 1, CreatedAt: start, Total: 1}); err != nil {
				return err
			}
		}
		return tx.OpenRequest(ctx, digest("new"), "ada", start, start.Add(10*time.Hour))
	})
	var left []int
	for more := true; more; {
		more = purge(t, s, start, start.Add(2*time.Hour), start.Add(time.Hour))
		list, err := s.Requests(ctx, 2*many)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, len(list))
	}
	same(t, "requests left after each purge", left, []int{reset.PurgeBatch + 2, 2, 1})
	if _, err := s.Job(ctx, fmt.Sprint("job", reset.PurgeJobs)); !errors.Is(err, reset.ErrNoJob) {
		t.Errorf("the last job: %v, want ErrNoJob", err)
	}
	same(t, "the one that lives", stateOf(t, s, "new"), reset.StateOpen)
}
