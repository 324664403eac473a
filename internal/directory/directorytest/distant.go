package directorytest

import (
	"errors"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
)

// unavailable checks an error that says "not now", and when to come again.
func unavailable(t *testing.T, what string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*reset.Error](err); !ok || e.Kind != reset.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("%s: %v, want an error of kind Unavailable that says when to try again", what, err)
	}
}

// mendable checks that an operator is told which setting to look at.
func mendable(t *testing.T, what string, err error) {
	t.Helper()
	if m, ok := errors.AsType[*reset.Misset](err); !ok || m.Setting == "" || m.Fix == "" {
		t.Errorf("%s: %v, want a Misset that names a setting and says what to do", what, err)
	}
}

// Of several users with one address none is chosen.
func testTwins(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	f.Add(t, User{Email: bob, Password: oldPassword})
	if f.Twin == nil {
		return
	}
	f.Twin(t, ada)
	if u, err := f.Directory.UserByAddress(t.Context(), address(t, ada)); !errors.Is(err, reset.ErrAmbiguous) {
		t.Errorf("an address that two users have: %q, %v; want ErrAmbiguous", u.ID, err)
	}
	find(t, f, bob)
}

// While the directory is down nothing is said of who is there, and nothing is
// changed, for certain; when it is up again it works without being asked to.
func testDown(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	if f.Down == nil {
		return
	}
	u := find(t, f, ada)
	ready, err := f.Directory.Prepare(t.Context(), u, newPassword, nil)
	must(t, err)
	up := f.Down(t)
	_, err = f.Directory.UserByAddress(t.Context(), u.Email)
	unavailable(t, "UserByAddress", err)
	mendable(t, "UserByAddress", err)
	_, err = f.Directory.UserByID(t.Context(), u.ID)
	unavailable(t, "UserByID", err)
	err = f.apply(t.Context(), ready)
	unavailable(t, "a change that was ready", err)
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
		t.Errorf("a change while nothing is there to change: %v, want Unchanged", err)
	}
	up()
	samePassword(t, f, ada, oldPassword, newPassword)
	must(t, set(t.Context(), f, u, newPassword))
	samePassword(t, f, ada, newPassword, oldPassword)
}

// A directory that answers nothing is waited for no longer than it is given
// (Fixtures give it less than a second). Whether a change was made is then not
// known, and not said; if it is said that nothing was changed, that is so.
func testStalled(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	if f.Stall == nil {
		return
	}
	u := find(t, f, ada)
	ready, err := f.Directory.Prepare(t.Context(), u, newPassword, nil)
	must(t, err)
	end := f.Stall(t)
	_, err = f.Directory.UserByAddress(t.Context(), u.Email)
	unavailable(t, "UserByAddress", err)
	err = f.apply(t.Context(), ready)
	if err == nil {
		t.Error("a change succeeded without an answer")
	}
	end()
	old, changed := f.Verify(t, ada, oldPassword), f.Verify(t, ada, newPassword)
	if old == changed {
		t.Errorf("of old and new password %v and %v hold, want one of them", old, changed)
	}
	if _, ok := errors.AsType[*reset.Unchanged](err); ok && changed {
		t.Errorf("it was said that nothing was changed (%v), but the password was", err)
	}
	must(t, set(t.Context(), f, u, "and the next one after the stall"))
	samePassword(t, f, ada, "and the next one after the stall", oldPassword, newPassword)
}

// Without the right to change passwords nothing is changed, and the operator is told what to grant.
func testForbidden(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	if f.Forbid == nil {
		return
	}
	u := find(t, f, ada)
	f.Forbid(t)
	err := set(t.Context(), f, u, newPassword)
	unavailable(t, "a change", err)
	mendable(t, "a change", err)
	samePassword(t, f, ada, oldPassword, newPassword)
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
		t.Errorf("a change that was not allowed: %v, want Unchanged", err)
	}
}

// What an operator looks at says what it finds, tells no secret, and changes nothing.
func testInspected(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	inspected, ok := f.Directory.(reset.Inspected)
	if !ok {
		return // it has no server to look at
	}
	u := find(t, f, ada)
	var steps []string
	must(t, inspected.Check(t.Context(), func(line string) { steps = append(steps, line) }))
	plan, err := inspected.Plan(t.Context(), u)
	must(t, err)
	if len(steps) < 2 || len(plan) == 0 {
		t.Errorf("the check says %q, the plan %q", steps, plan)
	}
	samePassword(t, f, ada, oldPassword)
	same(t, "the user", find(t, f, ada), u)
	if f.Down == nil {
		return
	}
	up := f.Down(t)
	defer up()
	mendable(t, "a check of what is down", inspected.Check(t.Context(), func(string) {}))
}
