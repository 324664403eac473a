package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
)

// What a store keeps for the built-in directory.

func updateRecords(t *testing.T, s Store, fn func(tx builtin.RecordsTx) error) {
	t.Helper()
	if err := tryRecords(t.Context(), s, fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func tryRecords(ctx context.Context, s Store, fn func(tx builtin.RecordsTx) error) error {
	return s.Update(ctx, func(tx reset.Tx) error { return fn(tx.(builtin.RecordsTx)) })
}

func address(t *testing.T, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// addUser adds a user who is in an account.
func addUser(t *testing.T, s Store, email string) reset.User {
	t.Helper()
	u := reset.User{ID: uuid.NewString(), Email: address(t, email), Name: "Name of " + email}
	updateRecords(t, s, func(tx builtin.RecordsTx) error {
		if err := tx.AddUser(t.Context(), u, "$hash$of "+email, start); err != nil {
			return err
		}
		a, err := tx.AccountByKey(t.Context(), "acme")
		if errors.Is(err, reset.ErrNoAccount) {
			a.ID, err = tx.AddAccount(t.Context(), "Acme", "acme", start)
		}
		if err != nil {
			return err
		}
		return tx.Join(t.Context(), u.ID, a.ID)
	})
	return u
}

func testSetAddress(t *testing.T, s Store) {
	ctx := t.Context()
	ada, bob := addUser(t, s, "Ada@example.test"), addUser(t, s, "bob@example.test")
	move := func(id, to string) error {
		return tryRecords(ctx, s, func(tx builtin.RecordsTx) error { return tx.SetAddress(ctx, id, address(t, to)) })
	}
	if err := move(ada.ID, "BOB@example.test"); !errors.Is(err, reset.ErrExists) {
		t.Errorf("an address that another user has: %v, want ErrExists", err)
	}
	if err := move("nobody", "new@example.test"); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("of nobody: %v, want ErrNoUser", err)
	}
	if err := move(ada.ID, "Ada.Adams@b\u00fccher.test"); err != nil {
		t.Fatal(err)
	}
	u, err := s.UserByKey(ctx, "ada.adams@xn--bcher-kva.test")
	if err != nil || u.ID != ada.ID || u.Email.Raw() != "Ada.Adams@b\u00fccher.test" || u.Name != ada.Name || len(u.Accounts) != 1 {
		t.Errorf("by the new address: %+v, %v", u, err)
	}
	if _, err := s.UserByKey(ctx, "ada@example.test"); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("by the old address: %v, want ErrNoUser", err)
	}
	hash, err := s.PasswordHash(ctx, ada.ID)
	if err != nil || hash != "$hash$of Ada@example.test" {
		t.Errorf("the password's hash is %q, %v", hash, err)
	}
	if u, err := s.UserByID(ctx, bob.ID); err != nil || u.Email.Raw() != "bob@example.test" {
		t.Errorf("another user: %+v, %v", u, err)
	}
	if err := move(bob.ID, "ada@example.test"); err != nil { // free again
		t.Error(err)
	}
}

func testRemoveUser(t *testing.T, s Store) {
	ctx := t.Context()
	ada, bob := addUser(t, s, "ada@example.test"), addUser(t, s, "bob@example.test")
	openRequest(t, s, "closed", ada.ID)
	openRequest(t, s, "open", ada.ID)
	openRequest(t, s, "bob's", bob.ID)
	updateRecords(t, s, func(tx builtin.RecordsTx) error { return tx.RemoveUser(ctx, ada.ID) })
	for _, secret := range []string{"closed", "open"} {
		if _, err := s.RequestByDigest(ctx, digest(secret)); !errors.Is(err, reset.ErrNoRequest) {
			t.Errorf("the request %s: %v, want ErrNoRequest", secret, err)
		}
	}
	same(t, "another user's", stateOf(t, s, "bob's"), reset.StateOpen)
	for what, err := range map[string]error{
		"by id":      second(s.UserByID(ctx, ada.ID)),
		"by address": second(s.UserByKey(ctx, "ada@example.test")),
		"password":   second(s.PasswordHash(ctx, ada.ID)),
		"again":      tryRecords(ctx, s, func(tx builtin.RecordsTx) error { return tx.RemoveUser(ctx, ada.ID) }),
		"set":        tryRecords(ctx, s, func(tx builtin.RecordsTx) error { return tx.SetPasswordHash(ctx, ada.ID, "x", start) }),
	} {
		if !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("%s: %v, want ErrNoUser", what, err)
		}
	}
	accounts, err := s.Accounts(ctx)
	if err != nil || len(accounts) != 1 {
		t.Fatalf("accounts: %v, %v", accounts, err)
	}
	updateRecords(t, s, func(tx builtin.RecordsTx) error {
		members, err := tx.UsersOfAccount(ctx, accounts[0].ID)
		if err == nil && (len(members) != 1 || members[0].ID != bob.ID) {
			t.Errorf("the members left are %v", members)
		}
		return err
	})
	addUser(t, s, "ada@example.test") // free again
}

func second[T any](_ T, err error) error { return err }

// testNothingOfTheRemoved looks for the address of a removed user in all that is
// kept, after enough others came and went that rows were moved about.
func testNothingOfTheRemoved(t *testing.T, s Store) {
	ctx := t.Context()
	const mark = "zuleika.mark"
	spellings := []string{mark + "@example.test", strings.ToUpper(mark) + "@EXAMPLE.test"}
	crowd := func(name string) {
		for i := range 40 {
			addUser(t, s, fmt.Sprintf("%s%d@example.test", name, i))
		}
	}
	crowd("a")
	u := addUser(t, s, spellings[1])
	crowd("z")
	others := []reset.Entry{
		reset.LinkEntry{Address: "other." + mark + "@other.test"},
		reset.LinkEntry{Address: "zuleika@example.test"},
		reset.NoticeEntry{UserID: "another", ChangedAt: start},
	}
	update(t, s, func(tx reset.Tx) error {
		openErr := tx.OpenRequest(ctx, digest("hers"), u.ID, start, start.Add(time.Hour))
		return errors.Join(openErr, tx.AddJob(ctx, reset.Job{ID: "job", KeyID: 1, CreatedAt: start, Total: 2}),
			tx.Enqueue(ctx, others...), tx.Enqueue(ctx,
				reset.LinkEntry{Address: spellings[0]}, reset.LinkEntry{Address: spellings[1], Job: "job", Position: 1, Account: 7},
				reset.NoticeEntry{UserID: u.ID, ChangedAt: start},
				reset.NoticeEntry{UserID: u.ID, ChangedAt: start, Matter: reset.MatterAddress, To: "former." + mark + "@former.test"},
				reset.NoticeEntry{UserID: "third", ChangedAt: start, Matter: reset.MatterAddress, To: spellings[0]},
				reset.EventEntry{ID: "evt_1", Type: reset.EventRequestFailed, At: start, Target: "https://app.example.test", Address: spellings[0]},
				reset.EventEntry{ID: "evt_2", Type: reset.EventPasswordReset, At: start, Target: "https://app.example.test", UserID: "sessions-of-hers"},
			))
	})
	holds := func(text string) bool {
		t.Helper()
		all, err := s.AtRest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(bytes.ToLower(all), []byte(text))
	}
	if !holds(mark+"@example.test") || !holds("former."+mark) || !holds(u.ID) {
		t.Fatal("what is looked for was not there before")
	}
	updateRecords(t, s, func(tx builtin.RecordsTx) error {
		return errors.Join(tx.RemoveUser(ctx, u.ID), tx.ForgetEntries(ctx, u.ID, u.Email))
	})
	if err := s.Scrub(ctx); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"\"" + mark, mark + "@example.test", "former." + mark, u.ID, "hash$of " + mark} {
		if holds(gone) {
			t.Errorf("%q is still there", gone)
		}
	}
	for _, kept := range []string{"other." + mark + "@other.test", "zuleika@example.test", "another", "sessions-of-hers", "a0@example.test", "z39@example.test"} {
		if !holds(kept) {
			t.Errorf("%q is gone", kept)
		}
	}
	samePending(t, s, 10) // none of them was lost; those about her find nobody
}

// testLockRequests: what is opened while another transaction holds the lock is
// opened after it, so that whoever opens it and looks again sees what that one changed.
func testLockRequests(t *testing.T, s Store) {
	ctx := t.Context()
	u := addUser(t, s, "ada@example.test")
	opened := make(chan error, 1)
	updateRecords(t, s, func(tx builtin.RecordsTx) error {
		if err := tx.LockRequests(ctx, u.ID); err != nil {
			return err
		}
		if _, err := tx.CloseRequests(ctx, u.ID, start); err != nil {
			return err
		}
		go func() {
			opened <- s.Update(ctx, func(tx reset.Tx) error {
				return tx.OpenRequest(ctx, digest("late"), u.ID, start, start.Add(time.Hour))
			})
		}()
		select {
		case err := <-opened:
			opened <- err
			t.Errorf("a request was opened in the middle of it (%v)", err)
		case <-time.After(50 * time.Millisecond): // as long as a dozen transactions take
		}
		return tx.SetDisabled(ctx, u.ID, start)
	})
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	same(t, "the late request", stateOf(t, s, "late"), reset.StateOpen)
}
