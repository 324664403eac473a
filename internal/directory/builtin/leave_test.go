package builtin_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestRemove(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	a, b := w.AddUser(t, "Ada@Example.test", "Ada", "Acme"), w.AddUser(t, bob, "", "Acme")
	openFor(t, w, a, b)
	must(t, w.Users.Remove(t.Context(), ada))
	same(t, "requests", openOf(t, w), []string{b.ID})
	users, err := w.Users.List(t.Context())
	must(t, err)
	same(t, "users", len(users), 1)
	for _, email := range []string{ada, "nobody@example.test"} {
		refused(t, "removing "+email, w.Users.Remove(t.Context(), email), reset.NotFound, "ada", "nobody@")
	}
	refused(t, "removing no address", w.Users.Remove(t.Context(), "nobody"), reset.Invalid, "nobody")
}

// Whoever reads the file all the time keeps its log from being emptied; that is said, and the user is gone all the same.
func TestRemoveWhileSomebodyReads(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithBusyTimeout(1))
	w.AddUser(t, ada, "Ada")
	db, err := sql.Open("sqlite", w.Path)
	must(t, err)
	defer func() { must(t, db.Close()) }()
	reading, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	var n int
	must(t, reading.QueryRowContext(t.Context(), "SELECT count(*) FROM users").Scan(&n))
	err = w.Users.Remove(t.Context(), ada)
	if e := reset.AsError(err); e.Kind != reset.Unavailable {
		t.Errorf("got %v, want Unavailable", err)
	}
	_, err = w.Users.Verify(t.Context(), ada, password)
	refused(t, "the user", err, reset.NotFound)
	must(t, reading.Rollback())
	must(t, w.Store.Scrub(t.Context()))
}

func TestChangeAddress(t *testing.T) {
	t.Parallel()
	const to = "ada.adams@example.test"
	w := servicetest.New(t)
	a, b := w.AddUser(t, "Ada@Example.test", "Ada"), w.AddUser(t, bob, "")
	openFor(t, w, a, b)
	must(t, w.Users.ChangeAddress(t.Context(), ada, to))
	same(t, "open requests", openOf(t, w), []string{b.ID})
	notice := reset.NoticeEntry{UserID: a.ID, ChangedAt: w.Clock.Now(), Matter: reset.MatterAddress}
	former := notice
	former.To = "Ada@Example.test"
	same(t, "the outbox", w.TakeOutbox(), []reset.Entry{former, notice})

	must(t, w.Users.ChangeAddress(t.Context(), to, "Ada.Adams@example.test")) // the same mailbox
	same(t, "the outbox after another spelling", w.TakeOutbox(), []reset.Entry{notice})

	before := w.Dump(t)
	for what, c := range map[string]struct {
		from, to string
		kind     reset.Kind
	}{
		"taken":      {to, "BOB@example.test", reset.Conflict},
		"unchanged":  {to, "Ada.Adams@example.test", reset.Invalid},
		"no address": {to, "elsewhere", reset.Invalid},
		"of nobody":  {"nobody@example.test", "new@example.test", reset.NotFound},
	} {
		refused(t, what, w.Users.ChangeAddress(t.Context(), c.from, c.to), c.kind, "adams", "bob", "BOB", "nobody@", "elsewhere")
	}
	same(t, "the database", w.Dump(t), before)
	same(t, "the outbox", len(w.Pending()), 0)
}

// stale finds a user who was removed since.
type stale struct {
	servicetest.Store
	user reset.User
}

func (s stale) UserByKey(context.Context, string) (reset.User, error) { return s.user, nil }

func TestRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := w.AddUser(t, ada, "Ada")
	must(t, w.Users.Remove(t.Context(), ada))
	d := builtin.New(stale{w.Store, u}, busy{}, busy{}, w.Clock.Now)
	for name, fn := range map[string]func(context.Context, string) error{
		"Disable": d.Disable, "Enable": d.Enable, "Remove": d.Remove,
		"ChangeAddress": func(ctx context.Context, email string) error { return d.ChangeAddress(ctx, email, "new@example.test") },
	} {
		refused(t, name, fn(t.Context(), ada), reset.NotFound)
	}
	same(t, "the outbox", len(w.Pending()), 0)
}
