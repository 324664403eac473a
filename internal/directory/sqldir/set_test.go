package sqldir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// A reset is one transaction: the password, its time and the end of the sessions, or nothing.
func TestSetIsOneTransaction(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		w.users(t)
		w.exec(t, "CREATE TABLE sessions (user_id BIGINT, CHECK (user_id <> 3))")
		w.grant(t, "SELECT, DELETE, UPDATE ON sessions")
		old := hashed(t, "the old password")
		for _, email := range []string{"ada@example.test", "bob@example.test"} {
			id := w.add(t, email, old)
			w.exec(t, "INSERT INTO sessions VALUES ("+id+"), ("+id+")")
		}
		c := w.config(t)
		c.Statements.EndSessions = "DELETE FROM sessions WHERE user_id = :id"
		d := open(t, c)
		ada, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
		if err != nil {
			t.Fatal(err)
		}
		if err := set(t, d, ada, "a new password of hers"); err != nil {
			t.Fatal(err)
		}
		if !holds(t, w.hashOf(t, "ada@example.test"), "a new password of hers") || w.hashOf(t, "bob@example.test") != old {
			t.Error("the passwords are not as they should be")
		}
		changed := map[*dialect]string{postgresDialect: "2026-11-23 12:34:56.789", mysqlDialect: "2026-11-23 12:34:56", sqliteDialect: "2026-11-23 12:34:56.789000"}[w.dialect]
		at := "CAST(changed_at AS CHAR)"
		if w.dialect == postgresDialect {
			at = "(changed_at AT TIME ZONE 'UTC')::text"
		}
		if got := w.value(t, "SELECT "+at+" FROM users WHERE id = "+ada.ID); got != changed {
			t.Errorf("it was changed at %q, want %q", got, changed)
		}
		if n := w.value(t, "SELECT count(*) FROM sessions"); n != "2" {
			t.Errorf("%s sessions are left, want those of bob", n)
		}
		// When the sessions cannot be ended, the password is not changed.
		c.Statements.EndSessions = "UPDATE sessions SET user_id = 3 WHERE user_id = :id"
		d = open(t, c)
		bob, err := d.UserByAddress(t.Context(), address(t, "bob@example.test"))
		if err != nil {
			t.Fatal(err)
		}
		err = set(t, d, bob, "a new password of his")
		unchanged(t, err)
		misset(t, err, "statements.end_sessions")
		if w.hashOf(t, "bob@example.test") != old || w.value(t, "SELECT changed_at FROM users WHERE id = "+bob.ID) != "" {
			t.Error("half of it was done")
		}
	})
}

// Of several rows with one id none is changed.
func TestSetChangesOneRowOrNone(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		w.exec(t, "CREATE TABLE users (id BIGINT, email VARCHAR(300), password VARCHAR(255))")
		w.grant(t, "SELECT, UPDATE ON users")
		w.exec(t, "INSERT INTO users VALUES (1, 'ada@example.test', 'old'), (1, 'ada@example.test', 'old')")
		d := open(t, Config{URL: w.url, Table: "users", Hasher: hasher(t, "ssha512"), Now: now})
		u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
		if err != nil {
			t.Fatal(err)
		}
		err = set(t, d, u, "a new password of hers")
		unchanged(t, err)
		if m := misset(t, err, "table"); !strings.Contains(m.Error(), "2 rows") {
			t.Error(m)
		}
		if n := w.value(t, "SELECT count(*) FROM users WHERE password = 'old'"); n != "2" {
			t.Errorf("%s rows are as they were", n)
		}
	})
}

// What the table does not hold, or does not hold any more, is named, and nothing is changed.
func TestSchemaChanges(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  []string
		find    string // the setting that finding fails by; empty: it does not
		setting string
	}{
		"the password is gone": {[]string{"ALTER TABLE users RENAME COLUMN password TO secret"}, "", "columns.password"},
		"the time is gone":     {[]string{"ALTER TABLE users DROP COLUMN changed_at"}, "", "columns.changed_at"},
		"the address is gone":  {[]string{"ALTER TABLE users RENAME COLUMN email TO mail"}, "columns.email", ""},
		"the name is gone":     {[]string{"ALTER TABLE users DROP COLUMN name"}, "columns.name", ""},
		"the table is gone":    {[]string{"ALTER TABLE users RENAME TO people"}, "table", "table"},
		"the time is a number": {[]string{"ALTER TABLE users DROP COLUMN changed_at", "ALTER TABLE users ADD COLUMN changed_at BIGINT", "GRANT UPDATE (changed_at) ON users TO %s"}, "", "columns.changed_at"},
		"the hash is too long": {[]string{"ALTER TABLE users DROP COLUMN password", "ALTER TABLE users ADD COLUMN password VARCHAR(60)", "GRANT UPDATE (password) ON users TO %s"}, "", "columns.password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			every(t, func(t *testing.T, w *world) {
				if w.path != "" && len(tc.change) == 3 {
					return // SQLite stores whatever it is given
				}
				w.users(t)
				w.add(t, "ada@example.test", "old")
				d := open(t, w.config(t))
				u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
				if err != nil {
					t.Fatal(err)
				}
				for _, text := range tc.change {
					if strings.Contains(text, "%s") {
						text = fmt.Sprintf(text, w.role)
					}
					w.exec(t, text)
				}
				_, err = d.UserByAddress(t.Context(), u.Email)
				if tc.find != "" {
					misset(t, err, tc.find)
				} else if err != nil {
					t.Errorf("finding: %v", err)
				}
				setting := tc.setting
				if setting == "" {
					setting = tc.find
				} else {
					err = set(t, d, u, "a new password of hers")
					unchanged(t, err)
					m := misset(t, err, setting)
					if strings.Contains(err.Error(), "SSHA512") {
						t.Errorf("the error has the hash: %v", m)
					}
				}
				misset(t, d.Check(t.Context(), func(string) {}), setting)
			})
		})
	}
}

// What the database refuses is told to the operator, without the hash that its message may repeat.
func TestNoHashInErrors(t *testing.T) {
	t.Parallel()
	for _, kind := range databases[:2] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := kind.make(t)
			w.users(t)
			w.add(t, "ada@example.test", "old")
			if w.dialect == postgresDialect {
				w.exec(t, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not %', NEW.password; END $$")
				w.exec(t, "CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse()")
			} else {
				w.exec(t, "CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW BEGIN DECLARE m TEXT DEFAULT CONCAT('not ', NEW.password); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = m; END")
			}
			d := open(t, w.config(t))
			u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
			if err != nil {
				t.Fatal(err)
			}
			err = set(t, d, u, "a new password of hers")
			unchanged(t, err)
			misset(t, err, "table")
			if !strings.Contains(err.Error(), "not [hidden]") || strings.Contains(err.Error(), "SSHA512") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// A server that does not mind cuts what is too long; Sparekey has it mind.
func TestHashIsNeverCut(t *testing.T) {
	t.Parallel()
	w := newMaria(t)
	w.users(t)
	w.exec(t, "ALTER TABLE users MODIFY password VARCHAR(60)")
	w.add(t, "ada@example.test", "old")
	c := w.config(t)
	c.URL = strings.Replace(c.URL, w.proxy.addr, w.lax(t).addr, 1)
	d := open(t, c)
	u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
	if err != nil {
		t.Fatal(err)
	}
	err = set(t, d, u, "a new password of hers")
	unchanged(t, err)
	misset(t, err, "columns.password")
	if hash := w.hashOf(t, "ada@example.test"); hash != "old" {
		t.Errorf("the hash is %s", hash)
	}
}

// lax has new sessions of the server take what does not fit.
func (w *world) lax(t *testing.T) *proxy {
	t.Helper()
	w.exec(t, "SET GLOBAL sql_mode = ''")
	t.Cleanup(func() { w.exec(t, "SET GLOBAL sql_mode = DEFAULT") })
	return w.proxy
}

// A table whose engine takes nothing back is not written to.
func TestEngineWithoutTransactions(t *testing.T) {
	t.Parallel()
	w := newMaria(t)
	w.users(t)
	w.add(t, "ada@example.test", "old")
	w.exec(t, "ALTER TABLE users ENGINE=MyISAM")
	d := open(t, w.config(t))
	u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
	if err != nil {
		t.Fatal(err)
	}
	err = set(t, d, u, "a new password of hers")
	unchanged(t, err)
	misset(t, err, "table")
	misset(t, d.Check(t.Context(), func(string) {}), "table")
	if hash := w.hashOf(t, "ada@example.test"); hash != "old" {
		t.Errorf("the hash is %s", hash)
	}
}

// When the answer to COMMIT is lost nobody knows, and that is what is said, whether it was done or not. What is cut before it was not done.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	for _, kind := range databases[:2] {
		for _, tc := range []struct {
			name, at        string
			passed, changed bool
		}{
			{"the answer to COMMIT", "COMMIT", true, true},
			{"COMMIT", "COMMIT", false, false},
			{"the change itself", "UPDATE", true, false},
		} {
			t.Run(kind.name+", "+tc.name, func(t *testing.T) {
				t.Parallel()
				w := kind.make(t)
				w.users(t)
				w.add(t, "ada@example.test", "old")
				d := open(t, w.config(t))
				u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
				if err != nil {
					t.Fatal(err)
				}
				w.proxy.cutAt(tc.at, tc.passed)
				err = set(t, d, u, "a new password of hers")
				if e, ok := errors.AsType[*reset.Error](err); !ok || e.Kind != reset.Unavailable || w.proxy.cuts() == 0 {
					t.Fatalf("%v after %d cuts, want Unavailable", err, w.proxy.cuts())
				}
				_, said := errors.AsType[*reset.Unchanged](err)
				if said != (tc.at == "UPDATE") {
					t.Errorf("it was said that nothing was changed: %v (%v)", said, err)
				}
				if tc.at == "COMMIT" && w.proxy.cuts() != 1 {
					t.Errorf("it was tried %d times", w.proxy.cuts())
				}
				w.settled(t, tc.changed)
			})
		}
	}
}

// settled waits until the server has done with a connection that was cut, and looks what it made of it.
func (w *world) settled(t *testing.T, changed bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; {
		holds := holds(t, strings.TrimPrefix(w.hashOf(t, "ada@example.test"), "old"), "a new password of hers")
		// Its row is free again when the transaction is over.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := w.admin.ExecContext(ctx, "UPDATE users SET name = 'x'")
		cancel()
		if err == nil && holds == changed {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the password was changed: %v, want %v (%v)", holds, changed, err)
		}
		<-tick.C
	}
}

// A pooler between that knows no prepared statements is told to the driver in the URL.
func TestWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	w := newPostgres(t)
	w.users(t)
	w.add(t, "ada@example.test", "old")
	c := w.config(t)
	c.URL += "?default_query_exec_mode=cache_describe"
	c.Connections = 1
	d := open(t, c)
	u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"a new password of hers", "and another one"} {
		if err := set(t, d, u, word); err != nil {
			t.Error(err)
		}
		if !holds(t, w.hashOf(t, "ada@example.test"), word) {
			t.Errorf("%q does not hold", word)
		}
	}
	if err := d.Check(t.Context(), func(string) {}); err != nil {
		t.Error(err)
	}
	err = d.db.read(t.Context(), query{text: "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''"}, func(r row) error {
		if n := r.texts[0].String; n != "0" {
			t.Errorf("the only session has %s prepared statements", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// No more connections are made than are allowed, and whoever waits for one does so no longer than the deadline.
func TestPoolIsBounded(t *testing.T) {
	t.Parallel()
	for _, kind := range databases[:2] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := kind.make(t)
			w.users(t)
			w.add(t, "ada@example.test", "old")
			c := w.config(t)
			c.Connections, c.Timeout = 2, 20*time.Second
			d := open(t, c)
			u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
			if err != nil {
				t.Fatal(err)
			}
			locked, err := w.admin.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := locked.Exec("UPDATE users SET name = 'x'"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if err := set(t, d, u, "a new password of hers"); err != nil {
						t.Error(err)
					}
				})
			}
			<-ctx.Done() // by now they wait, two for the row and the others for a connection
			if _, err := d.UserByAddress(ctx, u.Email); err == nil {
				t.Error("somebody had a connection who could not")
			}
			if err := locked.Rollback(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			if n := w.proxy.atMost(); n != 2 {
				t.Errorf("there were %d connections, want 2", n)
			}
		})
	}
}

// MariaDB is restarted in the middle of 500 resets, now in order, now by a crash. No password is half-changed, none silently.
func TestRestarts(t *testing.T) {
	t.Parallel()
	server, err := startMaria()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Run("500 resets", func(t *testing.T) { restarts(t, server, 500) })
}
