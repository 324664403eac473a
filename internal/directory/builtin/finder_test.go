package builtin_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// TestGlance: one look answers what two would.
func TestGlance(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	open := func(userID string) reset.Digest {
		id := reset.NewID()
		if err := w.Store.Update(t.Context(), func(tx reset.Tx) error {
			return tx.OpenRequest(t.Context(), id.Digest(), userID, w.Clock.Now(), w.Clock.Now().Add(time.Hour))
		}); err != nil {
			t.Fatal(err)
		}
		return id.Digest()
	}
	change := func(fn func(tx reset.Tx) error) {
		if err := w.Store.Update(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	none := w.AddUser(t, "none@example.test", "None")
	two := w.AddUser(t, "two@example.test", "Two", "Zeta", "Alpha")
	off := w.AddUser(t, "off@example.test", "Off", "Alpha")
	gone := w.AddUser(t, "gone@example.test", "Gone", "Alpha")
	cases := map[string]reset.Digest{
		"unknown": reset.NewID().Digest(), "in no account": open(none.ID), "replaced": open(two.ID), "in two accounts": open(two.ID),
		"used": open(off.ID), "disabled": open(off.ID), "gone": open(gone.ID),
	}
	change(func(tx reset.Tx) error {
		_, err := tx.Claim(t.Context(), cases["disabled"], w.Clock.Now())
		return err
	})
	if err := w.Users.Disable(t.Context(), "off@example.test"); err != nil {
		t.Fatal(err)
	}
	if err := w.Users.Suspend(t.Context(), "Alpha"); err != nil {
		t.Fatal(err)
	}
	remove(t, w, gone.ID)

	for name, digest := range cases {
		var want reset.Glance
		req, wantErr := w.Store.RequestByDigest(t.Context(), digest)
		if wantErr == nil {
			var user reset.User
			user, wantErr = w.Users.UserByID(t.Context(), req.UserID)
			want = reset.Glance{State: req.State, UserID: req.UserID, ExpiresAt: req.ExpiresAt, Standing: user.Standing}
		}
		got, err := w.Users.Glance(t.Context(), digest)
		if !errors.Is(err, wantErr) {
			t.Errorf("%s: %v, want %v", name, err, wantErr)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(reset.Account{}, "Name"), cmpopts.SortSlices(func(a, b reset.Account) bool { return a.ID < b.ID })); diff != "" {
			t.Errorf("%s (-two looks +one):\n%s", name, diff)
		}
	}
}

// remove deletes a user, as an operator with a SQL shell would.
func remove(t *testing.T, w *servicetest.World, id string) {
	t.Helper()
	db, err := sql.Open("sqlite", w.Path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(context.WithoutCancel(t.Context()), "DELETE FROM users WHERE id = ?", id)
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
