package sqldir

import (
	"context"
	"database/sql"
	"os"
	"testing"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/reset"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, kind := range databases {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			directorytest.Run(t, func(t *testing.T) directorytest.Fixture { return fixture(t, kind.make(t)) })
		})
	}
}

func fixture(t *testing.T, w *world) directorytest.Fixture {
	w.users(t)
	c := w.config(t)
	f := directorytest.Fixture{
		Update: func(ctx context.Context, fn func(tx reset.Tx) error) error { return fn(nil) },
		Add: func(t *testing.T, u directorytest.User) {
			hash := sql.NullString{}
			if u.Password != "" {
				hash = sql.NullString{String: hashed(t, u.Password), Valid: true}
			}
			w.exec(t, "INSERT INTO users (email, name, password) VALUES (?, ?, ?)", u.Email, u.Name, hash)
		},
		Verify: func(t *testing.T, email, password string) bool { return holds(t, w.hashOf(t, email), password) },
		Disable: func(t *testing.T, email string) {
			w.exec(t, "UPDATE users SET disabled_at = '2026-11-01 00:00:00' WHERE id = ?", w.idOf(t, email))
		},
		Remove: func(t *testing.T, email string) { w.exec(t, "DELETE FROM users WHERE id = ?", w.idOf(t, email)) },
		ChangeAddress: func(t *testing.T, email, to string) {
			w.exec(t, "UPDATE users SET email = ? WHERE id = ?", to, w.idOf(t, email))
		},
		Twin: func(t *testing.T, email string) { w.exec(t, "INSERT INTO users (email) VALUES (?)", email) },
	}
	if w.proxy != nil {
		f.Down = func(t *testing.T) func() { w.proxy.stop(); return func() { w.proxy.start(t) } }
		f.Stall = func(*testing.T) func() { return w.proxy.stall() }
		f.Forbid = func(t *testing.T) { w.revoke(t, "UPDATE (password) ON users") }
	} else {
		// A format with a longest password, of which the suite knows more to ask.
		c.Hasher, f.MaxBytes = hasher(t, "sha512-crypt rounds=5000"), 511
		f.Down = func(t *testing.T) func() {
			move(t, w.path, w.path+".away")
			return func() { move(t, w.path+".away", w.path) }
		}
		f.Stall = func(t *testing.T) func() { return w.lock(t) }
	}
	f.Directory = open(t, c)
	return f
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// lock locks a file, so that nobody gets an answer from it, until the end.
func (w *world) lock(t *testing.T) (end func()) {
	t.Helper()
	conn, err := w.admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
