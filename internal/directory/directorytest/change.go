package directorytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
)

var errRefused = errors.New("refused by the test")

// samePassword checks which of the passwords is the user's. Each check may be a slow hash.
func samePassword(t *testing.T, f Fixture, email, right string, wrong ...string) {
	t.Helper()
	if !f.Verify(t, email, right) {
		t.Errorf("%q is not the password of %s", right, email)
	}
	for _, p := range wrong {
		if f.Verify(t, email, p) {
			t.Errorf("%q is a password of %s", p, email)
		}
	}
}

// Preparing changes nothing; applying changes the password and nothing else.
func testChange(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Name: "Ada", Password: oldPassword})
	f.Add(t, User{Email: bob}) // without a password until the first reset
	before, others := find(t, f, ada), find(t, f, bob)
	c, err := f.Directory.Prepare(t.Context(), before, newPassword, nil)
	must(t, err)
	samePassword(t, f, ada, oldPassword)
	must(t, f.apply(t.Context(), c))
	samePassword(t, f, ada, newPassword, oldPassword)
	same(t, "the user", find(t, f, ada), before)
	same(t, "another user", find(t, f, bob), others)
	for _, p := range []string{"", oldPassword, newPassword} {
		if f.Verify(t, bob, p) {
			t.Errorf("a user without a password has %q", p)
		}
	}
	must(t, set(t.Context(), f, others, oldPassword))
	samePassword(t, f, bob, oldPassword)
}

// The password changes if and only if the transaction holds: the claim of the
// request is part of it.
func testRollback(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	c, err := f.Directory.Prepare(t.Context(), find(t, f, ada), newPassword, nil)
	must(t, err)
	if _, ok := c.(reset.Distant); ok {
		return // no transaction reaches there
	}
	err = f.Update(t.Context(), func(tx reset.Tx) error {
		if err := c.Apply(t.Context(), tx, now); err != nil {
			return err
		}
		return errRefused
	})
	if !errors.Is(err, errRefused) {
		t.Fatalf("the transaction: %v, want the error it failed with", err)
	}
	samePassword(t, f, ada, oldPassword, newPassword)
	// The change is as good as before, for a claim that is tried again.
	must(t, f.Update(t.Context(), func(tx reset.Tx) error { return c.Apply(t.Context(), tx, now) }))
	samePassword(t, f, ada, newPassword)
}

// Nothing is trimmed, cut, folded or taken for a sign of a query language.
func testAsTyped(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada})
	u := find(t, f, ada)
	most := 4096
	if f.MaxBytes > 0 {
		most = f.MaxBytes
	}
	hard := ` '; DROP TABLE users; -- " $1 \ * ( ) 🕊 `
	hard += strings.Repeat("x", min(100, most-len(hard)-1)) + " "
	must(t, set(t.Context(), f, u, hard))
	samePassword(t, f, ada, hard, strings.TrimSpace(hard), strings.ToUpper(hard), hard[:len(hard)-2], hard[:min(72, len(hard)-1)])
	long := strings.Repeat("🕊", most/4)
	must(t, set(t.Context(), f, u, long))
	samePassword(t, f, ada, long, long[:len(long)-4])
	if f.MaxBytes == 0 {
		return
	}
	err := set(t.Context(), f, u, long+"1234")
	refused(t, "a password that is too long for the directory", err)
	samePassword(t, f, ada, long, long+"1234")
}

// refused checks that a change was refused with reasons, and for certain not made.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*reset.Error](err); !ok || e.Kind != reset.Invalid || e.Details["password"] == nil {
		t.Errorf("%s: %v, want a refusal with reasons", what, err)
	}
}

// Changes for different users at once stay apart.
func testConcurrency(t *testing.T, f Fixture) {
	const users = 4
	email := func(i int) string { return fmt.Sprintf("user%d@example.test", i) }
	password := func(i int) string { return fmt.Sprintf("the password of number %d", i) }
	for i := range users {
		f.Add(t, User{Email: email(i)})
	}
	var wg sync.WaitGroup
	for i := range users {
		u := find(t, f, email(i))
		wg.Go(func() {
			if err := set(t.Context(), f, u, password(i)); err != nil {
				t.Errorf("%s: %v", email(i), err)
			}
		})
		wg.Go(func() { // whoever reads meanwhile sees whole users
			got, err := f.Directory.UserByID(t.Context(), u.ID)
			if err != nil {
				t.Errorf("%s: %v", email(i), err)
			}
			same(t, "the user meanwhile", got, u)
		})
	}
	wg.Wait()
	for i := range users {
		samePassword(t, f, email(i), password(i), password((i+1)%users))
	}
}

// Of changes for one user that are applied at once the last one holds, whole.
func testApplyRace(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada})
	u := find(t, f, ada)
	passwords := []string{"the first of three at once", "the second of three at once", "the third of three at once"}
	var (
		wg      sync.WaitGroup
		changes []reset.Change
		mu      sync.Mutex
		last    string
	)
	for _, p := range passwords {
		c, err := f.Directory.Prepare(t.Context(), u, p, nil)
		must(t, err)
		changes = append(changes, c)
	}
	for i, c := range changes {
		wg.Go(func() {
			if d, ok := c.(reset.Distant); ok {
				if err := d.Set(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			err := f.Update(t.Context(), func(tx reset.Tx) error {
				if err := c.Apply(t.Context(), tx, now); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				last = passwords[i]
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	holding := 0
	for _, p := range passwords {
		switch holds := f.Verify(t, ada, p); {
		case holds:
			holding++
			if last != "" && last != p {
				t.Errorf("%q holds, but %q was the last", p, last)
			}
		case last == p:
			t.Errorf("%q does not hold, but was the last", p)
		}
	}
	same(t, "passwords that hold", holding, 1)
}

// For a caller who has gone nothing is changed, and what is said is not wrong.
func testEnded(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	u := find(t, f, ada)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, read := range map[string]func() (reset.User, error){
		"UserByAddress": func() (reset.User, error) { return f.Directory.UserByAddress(ctx, u.Email) },
		"UserByID":      func() (reset.User, error) { return f.Directory.UserByID(ctx, u.ID) },
	} {
		// The answer may have been there already; "no such user" would be a wrong one.
		if got, err := read(); errors.Is(err, reset.ErrNoUser) || err == nil && got.ID != u.ID {
			t.Errorf("%s with a context that has ended: %q, %v", name, got.ID, err)
		}
	}
	if err := set(ctx, f, u, newPassword); err == nil {
		t.Error("a password was set with a context that has ended")
	}
	samePassword(t, f, ada, oldPassword, newPassword)
}
