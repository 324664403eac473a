package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
)

// What two phases need of a store (docs/adr/0010-two-phases.md).

func hold(ctx context.Context, s Store, secret string, now time.Time) (r reset.Request, err error) {
	err = s.Update(ctx, func(tx reset.Tx) (err error) {
		r, err = tx.Hold(ctx, digest(secret), now)
		return err
	})
	return r, err
}

func held(t *testing.T, s Store, secret string, now time.Time) reset.Request {
	t.Helper()
	r, err := hold(t.Context(), s, secret, now)
	if err != nil {
		t.Fatalf("holding %s: %v", secret, err)
	}
	return r
}

func settle(ctx context.Context, s Store, r reset.Request, now time.Time) (settled reset.Request, err error) {
	err = s.Update(ctx, func(tx reset.Tx) (err error) {
		settled, err = tx.Settle(ctx, r.Ref, r.ClaimedAt, now)
		return err
	})
	return settled, err
}

func release(ctx context.Context, s Store, r reset.Request) error {
	return s.Update(ctx, func(tx reset.Tx) error { return tx.Release(ctx, r.Ref, r.ClaimedAt) })
}

func closeOf(ctx context.Context, s Store, user string) (n int, err error) {
	err = s.Update(ctx, func(tx reset.Tx) (err error) {
		n, err = tx.CloseRequests(ctx, user, start)
		return err
	})
	return n, err
}

// A claimed request is not open, and leaves that state once: used, or given back.
func testHold(t *testing.T, s Store) {
	ctx := t.Context()
	openRequest(t, s, "one", "ada")
	at := start.Add(time.Minute + 1234567*time.Nanosecond)
	r := held(t, s, "one", at)
	same(t, "the claimed request", r, reset.Request{
		Ref: r.Ref, UserID: "ada", State: reset.StateClaimed, CreatedAt: start, ExpiresAt: start.Add(time.Hour), ClaimedAt: start.Add(time.Minute + time.Millisecond),
	})
	stored, err := s.RequestByDigest(ctx, digest("one"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "as it is stored", stored, r)
	for what, err := range map[string]error{
		"holding it again":    second(hold(ctx, s, "one", at)),
		"claiming it":         second(claim(ctx, s, "one", at)),
		"the open one":        second(s.OpenRequestOf(ctx, "ada")),
		"settling another":    second(settle(ctx, s, reset.Request{Ref: r.Ref + 1, ClaimedAt: r.ClaimedAt}, at)),
		"an earlier claim's":  second(settle(ctx, s, reset.Request{Ref: r.Ref, ClaimedAt: r.ClaimedAt.Add(-time.Millisecond)}, at)),
		"an earlier one back": release(ctx, s, reset.Request{Ref: r.Ref, ClaimedAt: r.ClaimedAt.Add(-time.Millisecond)}),
	} {
		if !errors.Is(err, reset.ErrNoRequest) {
			t.Errorf("%s: %v, want ErrNoRequest", what, err)
		}
	}
	if err := release(ctx, s, r); err != nil {
		t.Fatal(err)
	}
	again, err := s.OpenRequestOf(ctx, "ada")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the request given back", again, reset.Request{Ref: r.Ref, UserID: "ada", State: reset.StateOpen, CreatedAt: start, ExpiresAt: start.Add(time.Hour)})

	r = held(t, s, "one", at.Add(time.Minute))
	used, err := settle(ctx, s, r, at.Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the used request", used, reset.Request{
		Ref: r.Ref, UserID: "ada", State: reset.StateUsed, CreatedAt: start, ExpiresAt: start.Add(time.Hour),
		ClaimedAt: r.ClaimedAt, EndedAt: start.Add(3*time.Minute + time.Millisecond),
	})
	for what, err := range map[string]error{
		"settling again": second(settle(ctx, s, r, at)), "giving it back": release(ctx, s, r), "holding it": second(hold(ctx, s, "one", at)),
		"closing it": s.Update(ctx, func(tx reset.Tx) error { return tx.CloseRequest(ctx, r.Ref, at) }),
	} {
		if !errors.Is(err, reset.ErrNoRequest) {
			t.Errorf("%s after it was used: %v, want ErrNoRequest", what, err)
		}
	}
	openRequest(t, s, "late", "bob")
	if _, err := hold(ctx, s, "late", start.Add(time.Hour)); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("holding an expired one: %v, want ErrNoRequest", err)
	}
	r = held(t, s, "late", start.Add(time.Hour-time.Millisecond))
	if err := release(ctx, s, r); err != nil {
		t.Fatal(err)
	}
	same(t, "given back after it expired", stateOf(t, s, "late"), reset.StateOpen)
	if _, err := hold(ctx, s, "late", start.Add(2*time.Hour)); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("holding it then: %v, want ErrNoRequest", err)
	}
}

// Whatever ends the links of a user while one of them is claimed ends that one too: given back, it is closed.
func testHeldAndClosed(t *testing.T, s Store) {
	ctx := t.Context()
	for what, end := range map[string]func(tx reset.Tx, r reset.Request) error{
		"a newer request": func(tx reset.Tx, r reset.Request) error {
			return tx.OpenRequest(ctx, digest("newer of "+r.UserID), r.UserID, start, start.Add(time.Hour))
		},
		"all closed": func(tx reset.Tx, r reset.Request) error {
			n, err := tx.CloseRequests(ctx, r.UserID, start.Add(time.Minute))
			if n != 1 {
				t.Errorf("%d requests were closed, want the claimed one", n)
			}
			return err
		},
		"this one closed": func(tx reset.Tx, r reset.Request) error { return tx.CloseRequest(ctx, r.Ref, start) },
	} {
		for _, then := range []reset.State{reset.StateClosed, reset.StateUsed} {
			user := what + " " + string(then)
			openRequest(t, s, user, user)
			r := held(t, s, user, start)
			update(t, s, func(tx reset.Tx) error { return end(tx, r) })
			same(t, what+": while it is claimed", stateOf(t, s, user), reset.StateClaimed)
			var err error
			if then == reset.StateClosed {
				err = release(ctx, s, r)
			} else {
				_, err = settle(ctx, s, r, start.Add(time.Minute))
			}
			if err != nil {
				t.Errorf("%s, %s: %v", what, then, err)
			}
			same(t, what+": in the end", stateOf(t, s, user), then)
			if _, err := hold(ctx, s, user, start); !errors.Is(err, reset.ErrNoRequest) {
				t.Errorf("%s, %s: it can be claimed again: %v", what, then, err)
			}
		}
	}
	if _, err := s.OpenRequestOf(ctx, "a newer request closed"); err != nil {
		t.Errorf("the newer one is not open: %v", err)
	}
}

// Of many who hold one request, or claim it, one succeeds; of those who settle
// or give back what is held, one.
func testHoldRace(t *testing.T, s Store) {
	for round := range 5 {
		secret := fmt.Sprint("round", round)
		openRequest(t, s, secret, "ada")
		var held atomic.Int64
		won := race(t, racers, func(i int) error {
			if i%5 == 4 {
				_, err := claim(t.Context(), s, secret, start)
				return err
			}
			_, err := hold(t.Context(), s, secret, start)
			if err == nil {
				held.Add(1)
			}
			return err
		})
		same(t, "who got it", won, 1)
		if held.Load() == 0 {
			continue
		}
		r, err := s.RequestByDigest(t.Context(), digest(secret))
		if err != nil {
			t.Fatal(err)
		}
		won = race(t, racers, func(i int) error {
			if i%2 == 0 {
				return release(t.Context(), s, r)
			}
			_, err := settle(t.Context(), s, r, start)
			return err
		})
		same(t, "who ended the claim", won, 1)
	}
}

// However the end of a user's links falls together with giving one back, it is
// closed after both; with a newer request, that one alone is open.
func testReleaseRace(t *testing.T, s Store) {
	ctx := t.Context()
	for round := range 20 {
		secret, newer := fmt.Sprint("round", round), fmt.Sprint("newer", round)
		openRequest(t, s, secret, "ada")
		r := held(t, s, secret, start)
		won := race(t, 2, func(i int) error {
			switch {
			case i == 0:
				return release(ctx, s, r)
			case round%2 == 0:
				return s.Update(ctx, func(tx reset.Tx) error { return tx.OpenRequest(ctx, digest(newer), "ada", start, start.Add(time.Hour)) })
			}
			n, err := closeOf(ctx, s, "ada")
			if n != 1 {
				t.Errorf("%d requests were closed, want 1", n)
			}
			return err
		})
		same(t, "who succeeded", won, 2)
		same(t, "the one given back", stateOf(t, s, secret), reset.StateClosed)
		if round%2 == 0 {
			same(t, "the newer one", stateOf(t, s, newer), reset.StateOpen)
			if _, err := closeOf(ctx, s, "ada"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A person in several directories has one open link, by whichever of them it was opened or is ended.
func testJoinedUsers(t *testing.T, s Store) {
	ctx := t.Context()
	both, three := reset.JoinUserIDs("crm.17", "ada"), reset.JoinUserIDs("ada", "corp.5", "crm.17")
	open := func(secret, user string) { openRequest(t, s, secret, user) }
	states := func(what string, want map[string]reset.State) {
		t.Helper()
		for secret, state := range want {
			same(t, what+": "+secret, stateOf(t, s, secret), state)
		}
	}
	open("another's", "crm.18")
	open("alone", "ada")
	open("both", both)
	states("opened by both", map[string]reset.State{"alone": reset.StateClosed, "both": reset.StateOpen})
	open("three", three)
	states("opened by three", map[string]reset.State{"both": reset.StateClosed, "three": reset.StateOpen})
	open("rest", "corp.5")
	states("opened by one", map[string]reset.State{"three": reset.StateClosed, "rest": reset.StateOpen})
	open("both again", both)
	states("opened by the others", map[string]reset.State{"rest": reset.StateOpen, "both again": reset.StateOpen})
	for id, want := range map[string]string{"ada": both, "crm.17": both, three: both, "corp.5": "corp.5", "corp.5,nobody": "corp.5"} {
		if r, err := s.OpenRequestOf(ctx, id); err != nil || r.UserID != want {
			t.Errorf("the open one of %s is of %q, %v; want %s", id, r.UserID, err, want)
		}
	}
	n, err := closeOf(ctx, s, three)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "closed for three", n, 2)
	states("closed", map[string]reset.State{"rest": reset.StateClosed, "both again": reset.StateClosed, "another's": reset.StateOpen})

	open("held", both)
	r := held(t, s, "held", start)
	if n, err := closeOf(ctx, s, "crm.17"); n != 1 || err != nil {
		t.Errorf("closing the held one by one of its users: %d, %v", n, err)
	}
	if err := release(ctx, s, r); err != nil {
		t.Fatal(err)
	}
	states("given back", map[string]reset.State{"held": reset.StateClosed})

	won := race(t, racers, func(i int) error {
		user := []string{"ada", both, three, reset.JoinUserIDs("corp.5", "ada")}[i%4]
		return s.Update(ctx, func(tx reset.Tx) error {
			return tx.OpenRequest(ctx, digest(fmt.Sprint(i)), user, start, start.Add(time.Hour))
		})
	})
	same(t, "requests opened", won, racers)
	left := 0
	for i := range racers {
		if stateOf(t, s, fmt.Sprint(i)) == reset.StateOpen {
			left++
		}
	}
	same(t, "requests of one person that stayed open", left, 1)
}

// Who is removed takes their requests along, those of several directories too;
// but not what is being changed at that moment, and others' stay.
func testRemoveJoined(t *testing.T, s Store) {
	ctx := t.Context()
	ada := addUser(t, s, "ada@example.test")
	both := reset.JoinUserIDs(ada.ID, "crm.17")
	openRequest(t, s, "held", both)
	r := held(t, s, "held", start)
	openRequest(t, s, "both", both)
	update(t, s, func(tx reset.Tx) error {
		return tx.Enqueue(ctx,
			reset.NoticeEntry{UserID: both, ChangedAt: start}, reset.LinkEntry{UserID: both, Only: []string{"A"}},
			reset.SettleEntry{Ref: r.Ref, UserID: both, ClaimedAt: r.ClaimedAt, Due: start})
	})
	updateRecords(t, s, func(tx builtin.RecordsTx) error {
		return errors.Join(tx.RemoveUser(ctx, ada.ID), tx.ForgetEntries(ctx, ada.ID, ada.Email))
	})
	if _, err := s.RequestByDigest(ctx, digest("both")); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("the open request: %v, want ErrNoRequest", err)
	}
	same(t, "the one that is being used", stateOf(t, s, "held"), reset.StateClaimed)
	if err := release(ctx, s, r); err != nil {
		t.Fatal(err)
	}
	same(t, "that one, given back", stateOf(t, s, "held"), reset.StateClosed)
	// Once that request is gone nothing tells of her, and what waits is for whoever is left.
	later := start.Add(1000 * time.Hour)
	purge(t, s, later, later, later)
	if err := s.Scrub(ctx); err != nil {
		t.Fatal(err)
	}
	all, err := s.AtRest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(all, []byte(ada.ID)) || !bytes.Contains(all, []byte("crm.17")) {
		t.Error("the outbox tells of who was removed, or of nobody any more")
	}
}

// What is claimed is never purged, however long it takes until it is settled.
func testPurgeClaimed(t *testing.T, s Store) {
	openRequest(t, s, "held", "ada")
	openRequest(t, s, "old", "bob")
	r := held(t, s, "held", start)
	later := start.Add(1000 * time.Hour)
	purge(t, s, later, later, later)
	if _, err := s.RequestByDigest(t.Context(), digest("old")); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("the expired request: %v, want ErrNoRequest", err)
	}
	same(t, "the claimed one", stateOf(t, s, "held"), reset.StateClaimed)
	if _, err := settle(t.Context(), s, r, later); err != nil {
		t.Fatal(err)
	}
	purge(t, s, later, later, later)
	if _, err := s.RequestByDigest(t.Context(), digest("held")); !errors.Is(err, reset.ErrNoRequest) {
		t.Errorf("the settled one: %v, want ErrNoRequest", err)
	}
}
