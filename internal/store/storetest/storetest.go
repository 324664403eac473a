// Package storetest is the conformance suite of stores: whatever passes it can
// be the store of the service. It says in tests what reset.Store and reset.Tx
// promise, races included.
//
// A store joins with one call:
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Store { return open(t) })
//	}
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
)

// Store is what is tested.
type Store interface {
	reset.Store
	builtin.Records
	// Pending counts the entries in the outbox that can be worked on.
	Pending(ctx context.Context) (int, error)
	// Secret returns what is kept under a name. Whoever asks first keeps fresh; all later callers get that. With nil nothing is kept.
	Secret(ctx context.Context, name string, fresh []byte) ([]byte, error)
	// AtRest is every row of every table as text, and, if the store has files of
	// its own, what is in them.
	AtRest(ctx context.Context) ([]byte, error)
	reset.AuditTrail
	// Seal has it keep an audit trail.
	Seal(c *reset.Chain)
	// Exec runs a statement past the store, as somebody could who may write to the database.
	Exec(ctx context.Context, statement string) error
	// Disarm returns the statements that take the triggers off the audit trail.
	Disarm() []string
}

// racers is how many callers compete in a race.
const racers = 50

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var errRefused = errors.New("refused by the test")

// Run runs the suite; open makes a store that is empty and migrated, and closes it when t ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, group := range []struct {
		name string
		test func(t *testing.T, s Store)
	}{
		{"Requests", testRequests},
		{"Claim", testClaim},
		{"ClaimRace", testClaimRace},
		{"OpenRace", testOpenRace},
		{"ClaimAgainstCloseRace", testClaimAgainstCloseRace},
		{"Hold", testHold},
		{"HeldAndClosed", testHeldAndClosed},
		{"HoldRace", testHoldRace},
		{"ReleaseRace", testReleaseRace},
		{"JoinedUsers", testJoinedUsers},
		{"RemoveJoined", testRemoveJoined},
		{"PurgeClaimed", testPurgeClaimed},
		{"Atomicity", testAtomicity},
		{"Neighbours", testNeighbours},
		{"Cancelled", testCancelled},
		{"SharedLimits", testSharedLimits},
		{"Outbox", testOutbox},
		{"Keys", testKeys},
		{"Jobs", testJobs},
		{"Take", testTake},
		{"TakeMany", testTakeMany},
		{"LimitsByName", testLimitsByName},
		{"TakeRace", testTakeRace},
		{"TakeProperty", testTakeProperty},
		{"Purge", testPurge},
		{"PurgeInParts", testPurgeInParts},
		{"SecretRace", testSecretRace},
		{"SetAddress", testSetAddress},
		{"RemoveUser", testRemoveUser},
		{"NothingOfTheRemoved", testNothingOfTheRemoved},
		{"LockRequests", testLockRequests},
		{"Brands", testBrands},
		{"BrandHosts", testBrandHosts},
		{"Audit", testAudit},
		{"AuditTampering", testAuditTampering},
		{"AuditTriggers", testAuditTriggers},
		{"AuditRollback", testAuditRollback},
		{"AuditRace", testAuditRace},
		{"AuditPurge", testAuditPurge},
		{"AuditSecrets", testAuditSecrets},
		{"AuditProperty", testAuditProperty},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			group.test(t, open(t))
		})
	}
}

func digest(s string) reset.Digest { return sha256.Sum256([]byte(s)) }

func update(t *testing.T, s Store, fn func(tx reset.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func openRequest(t *testing.T, s Store, secret, user string) {
	t.Helper()
	update(t, s, func(tx reset.Tx) error {
		return tx.OpenRequest(t.Context(), digest(secret), user, start, start.Add(time.Hour))
	})
}

func stateOf(t *testing.T, s Store, secret string) reset.State {
	t.Helper()
	r, err := s.RequestByDigest(t.Context(), digest(secret))
	if err != nil {
		t.Fatalf("RequestByDigest(%s): %v", secret, err)
	}
	return r.State
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testRequests(t *testing.T, s Store) {
	ctx := t.Context()
	if _, err := s.RequestByDigest(ctx, digest("none")); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("an unknown digest: %v, want ErrNoRequest", err)
	}
	openRequest(t, s, "first", "ada")
	openRequest(t, s, "other", "bob")
	openRequest(t, s, "second", "ada")
	same(t, "first after a second was opened", stateOf(t, s, "first"), reset.StateClosed)
	same(t, "another user's", stateOf(t, s, "other"), reset.StateOpen)
	same(t, "second", stateOf(t, s, "second"), reset.StateOpen)

	if r, err := s.OpenRequestOf(ctx, "ada"); err != nil || r.UserID != "ada" || r.State != reset.StateOpen || !r.CreatedAt.Equal(start) {
		t.Errorf("the open one: %v, %v", r, err)
	}
	if _, err := s.OpenRequestOf(ctx, "eve"); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("the open one of somebody who has none: %v, want ErrNoRequest", err)
	}

	list, err := s.Requests(ctx, 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("Requests: %d, %v; want 3", len(list), err)
	}
	newest := list[0]
	same(t, "the newest", newest, reset.Request{
		Ref: newest.Ref, UserID: "ada", State: reset.StateOpen, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
	})
	if few, err := s.Requests(ctx, 2); err != nil || len(few) != 2 {
		t.Errorf("Requests with a limit of 2: %d, %v", len(few), err)
	}

	update(t, s, func(tx reset.Tx) error { return tx.CloseRequest(ctx, newest.Ref, start) })
	same(t, "closed by its ref", stateOf(t, s, "second"), reset.StateClosed)
	if _, err := s.OpenRequestOf(ctx, "ada"); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("the open one after it was closed: %v, want ErrNoRequest", err)
	}
	err = s.Update(ctx, func(tx reset.Tx) error { return tx.CloseRequest(ctx, newest.Ref, start) })
	if !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("closing it again: %v, want ErrNoRequest", err)
	}
	update(t, s, func(tx reset.Tx) error {
		n, err := tx.CloseRequests(ctx, "bob", start)
		same(t, "closed for bob", n, 1)
		return err
	})
	update(t, s, func(tx reset.Tx) error {
		n, err := tx.CloseRequests(ctx, "bob", start)
		same(t, "closed again for bob", n, 0)
		return err
	})
}

func claim(ctx context.Context, s Store, secret string, now time.Time) (r reset.Request, err error) {
	err = s.Update(ctx, func(tx reset.Tx) (err error) {
		r, err = tx.Claim(ctx, digest(secret), now)
		return err
	})
	return r, err
}

func testClaim(t *testing.T, s Store) {
	ctx := t.Context()
	openRequest(t, s, "used", "ada")
	openRequest(t, s, "late", "bob")
	openRequest(t, s, "closed", "eve")
	update(t, s, func(tx reset.Tx) error { _, err := tx.CloseRequests(ctx, "eve", start); return err })

	r, err := claim(ctx, s, "used", start.Add(time.Hour-time.Millisecond))
	if err != nil {
		t.Fatalf("claiming in the last millisecond: %v", err)
	}
	same(t, "the claimed request", r, reset.Request{
		Ref: r.Ref, UserID: "ada", State: reset.StateUsed,
		CreatedAt: start, ExpiresAt: start.Add(time.Hour), EndedAt: start.Add(time.Hour - time.Millisecond),
	})
	for name, at := range map[string]time.Time{"used": start, "late": start.Add(time.Hour), "closed": start, "unknown": start} {
		if _, err := claim(ctx, s, name, at); !errors.Is(err, reset.ErrNoRequest) {
			t.Errorf("claiming %s: %v, want ErrNoRequest", name, err)
		}
	}
	same(t, "an expired request after the attempt", stateOf(t, s, "late"), reset.StateOpen)
}

// race runs fn in as many goroutines at once and counts those that succeed.
func race(t *testing.T, n int, fn func(i int) error) (won int) {
	t.Helper()
	var (
		wg     sync.WaitGroup
		gate   = make(chan struct{})
		winner atomic.Int64
	)
	for i := range n {
		wg.Go(func() {
			<-gate
			if fn(i) == nil {
				winner.Add(1)
			}
		})
	}
	close(gate)
	wg.Wait()
	return int(winner.Load())
}

func testClaimRace(t *testing.T, s Store) {
	openRequest(t, s, "one", "ada")
	won := race(t, racers, func(int) error { _, err := claim(t.Context(), s, "one", start); return err })
	same(t, "claims that succeeded", won, 1)
}

func testOpenRace(t *testing.T, s Store) {
	won := race(t, racers, func(i int) error {
		return s.Update(t.Context(), func(tx reset.Tx) error {
			return tx.OpenRequest(t.Context(), digest(fmt.Sprint(i)), "ada", start, start.Add(time.Hour))
		})
	})
	same(t, "requests opened", won, racers)
	open := 0
	for i := range racers {
		if stateOf(t, s, fmt.Sprint(i)) == reset.StateOpen {
			open++
		}
	}
	same(t, "requests that stayed open", open, 1)
}

func testClaimAgainstCloseRace(t *testing.T, s Store) {
	ctx := t.Context()
	for round := range 20 {
		secret := fmt.Sprint("round", round)
		openRequest(t, s, secret, "ada")
		var claimed, closed atomic.Int64
		race(t, 2, func(i int) error {
			if i == 0 {
				if _, err := claim(ctx, s, secret, start); err == nil {
					claimed.Add(1)
				}
				return nil
			}
			return s.Update(ctx, func(tx reset.Tx) error {
				n, err := tx.CloseRequests(ctx, "ada", start)
				closed.Add(int64(n))
				return err
			})
		})
		if claimed.Load()+closed.Load() != 1 {
			t.Fatalf("claimed %d times and closed %d times, want one of both once", claimed.Load(), closed.Load())
		}
	}
}

func testAtomicity(t *testing.T, s Store) {
	ctx := t.Context()
	openRequest(t, s, "kept", "ada")
	err := s.Update(ctx, func(tx reset.Tx) error {
		if _, err := tx.Claim(ctx, digest("kept"), start); err != nil {
			return err
		}
		if err := tx.OpenRequest(ctx, digest("gone"), "bob", start, start.Add(time.Hour)); err != nil {
			return err
		}
		if err := tx.Enqueue(ctx, reset.NoticeEntry{UserID: "ada", ChangedAt: start}); err != nil {
			return err
		}
		return errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Fatalf("Update: %v, want the function's own error", err)
	}
	same(t, "the claim of a failed transaction", stateOf(t, s, "kept"), reset.StateOpen)
	if _, err := s.RequestByDigest(ctx, digest("gone")); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("a request of a failed transaction: %v, want ErrNoRequest", err)
	}
	samePending(t, s, 0)

	err = s.Update(ctx, func(reset.Tx) error { panic("by the test") })
	if err == nil {
		t.Error("a panic in a transaction was not reported")
	}
	openRequest(t, s, "after the panic", "bob")
}

func samePending(t *testing.T, s Store, want int) {
	t.Helper()
	n, err := s.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "entries in the outbox", n, want)
}

// testNeighbours lets failing and succeeding transactions run at once, so that
// a store that commits several together is seen to keep them apart.
func testNeighbours(t *testing.T, s Store) {
	ctx := t.Context()
	won := race(t, racers, func(i int) error {
		return s.Update(ctx, func(tx reset.Tx) error {
			if err := tx.OpenRequest(ctx, digest(fmt.Sprint(i)), fmt.Sprint("user", i), start, start.Add(time.Hour)); err != nil {
				return err
			}
			if err := tx.Enqueue(ctx, reset.LinkEntry{Address: fmt.Sprintf("u%d@example.test", i)}); err != nil {
				return err
			}
			switch i % 3 {
			case 1:
				return errRefused
			case 2:
				panic("by the test")
			}
			return nil
		})
	})
	want := (racers + 2) / 3
	same(t, "transactions that succeeded", won, want)
	list, err := s.Requests(ctx, 1000)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "requests", len(list), want)
	samePending(t, s, want)
}

func testCancelled(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := s.Update(ctx, func(reset.Tx) error { ran = true; return nil })
	if e := reset.AsError(err); err == nil || e.Kind != reset.Unavailable || ran {
		t.Errorf("Update with a context that has ended: %v (ran: %v), want Unavailable and not run", err, ran)
	}
	// One that ends in the middle does not undo what was begun, and harms nobody else.
	ctx, cancel = context.WithCancel(t.Context())
	err = s.Update(ctx, func(tx reset.Tx) error {
		cancel()
		return tx.OpenRequest(ctx, digest("x"), "ada", start, start.Add(time.Hour))
	})
	if err != nil {
		t.Errorf("Update whose context ended in the middle: %v", err)
	}
	same(t, "its request", stateOf(t, s, "x"), reset.StateOpen)
}

func testOutbox(t *testing.T, s Store) {
	ctx := t.Context()
	update(t, s, func(tx reset.Tx) error { return tx.Enqueue(ctx) })
	samePending(t, s, 0)
	update(t, s, func(tx reset.Tx) error {
		return tx.Enqueue(ctx, reset.LinkEntry{Address: "a@example.test"}, reset.NoticeEntry{UserID: "ada", ChangedAt: start})
	})
	samePending(t, s, 2)
}
