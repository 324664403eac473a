package sqldir

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// A check says what it does, in order, and leaves everything as it is.
func TestCheck(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		w.users(t)
		w.add(t, "ada@example.test", "old")
		w.exec(t, "CREATE TABLE sessions (user_id BIGINT)")
		w.exec(t, "INSERT INTO sessions VALUES (1), (NULL)")
		w.grant(t, "SELECT, DELETE ON sessions")
		c := w.config(t)
		c.Statements.EndSessions = "DELETE FROM sessions WHERE user_id = :id"
		var steps []string
		if err := open(t, c).Check(t.Context(), func(line string) { steps = append(steps, line) }); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"connected to " + w.dialect.name, "can be found", "as ssha512: the statement was run for no user", "sessions can be ended"} {
			if w.dialect == mysqlDialect && i == 0 {
				want = "connected to MariaDB 1"
			}
			if i >= len(steps) || !strings.Contains(steps[i], want) {
				t.Errorf("step %d of %q says nothing of %q", i, steps, want)
			}
		}
		if w.role != "" && !strings.Contains(steps[0], "as "+w.role+", without TLS") {
			t.Errorf("the first step is %q", steps[0])
		}
		if w.value(t, "SELECT count(*) FROM sessions") != "2" || w.value(t, "SELECT password FROM users") != "old" || w.value(t, "SELECT changed_at FROM users") != "" {
			t.Error("the check changed something")
		}
	})
}

// What is missing for a reset is named before anybody needs it.
func TestCheckFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		w.users(t)
		w.add(t, "ada@example.test", "old")
		for name, tc := range map[string]struct {
			change  func(c *Config)
			setting string
		}{
			"a statement for everybody": {func(c *Config) {
				c.Statements.Set = "UPDATE users SET password = :hash WHERE :id IS NULL OR id = :id" + cast[w.dialect]
			}, "statements.set"},
			"a table that is not there":   {func(c *Config) { c.Table = "people" }, "table"},
			"a column that is not there":  {func(c *Config) { c.Columns.Account = "organisation" }, "columns.account"},
			"no password column":          {func(c *Config) { c.Columns.Password = "pw" }, "columns.password"},
			"sessions that are not there": {func(c *Config) { c.Statements.EndSessions = "DELETE FROM sessions WHERE user_id = :id" }, "statements.end_sessions"},
			"accounts that are not there": {func(c *Config) { c.Statements.Accounts = "SELECT org FROM members WHERE user_id = :id" }, "statements.accounts"},
		} {
			c := w.config(t)
			tc.change(&c)
			if c.Statements.Set != "" {
				w.grant(t, "UPDATE (id), SELECT (id) ON users")
			}
			m := misset(t, open(t, c).Check(t.Context(), func(string) {}), tc.setting)
			if m.Cause == nil {
				t.Errorf("%s: there is no cause", name)
			}
		}
		if hash := w.value(t, "SELECT password FROM users"); hash != "old" {
			t.Errorf("the check changed a password to %s", hash)
		}
		if w.role == "" {
			return
		}
		w.revoke(t, "UPDATE (changed_at) ON users")
		setting := map[*dialect]string{postgresDialect: "table", mysqlDialect: "columns.changed_at"}[w.dialect] // PostgreSQL does not say which column it is about
		m := misset(t, open(t, w.config(t)).Check(t.Context(), func(string) {}), setting)
		if !strings.Contains(m.Fix, "UPDATE ("+w.dialect.quote("password")+", "+w.dialect.quote("changed_at")+") ON "+w.dialect.quote("users")) {
			t.Errorf("the fix is %q", m.Fix)
		}
	})
}

// cast makes a parameter's type known to PostgreSQL, which otherwise takes it for a text.
var cast = map[*dialect]string{postgresDialect: "::bigint", mysqlDialect: "", sqliteDialect: ""}

// Wrong passwords and databases are named without repeating a secret.
func TestRejected(t *testing.T) {
	t.Parallel()
	for _, kind := range databases[:2] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := kind.make(t)
			w.users(t)
			c := w.config(t)
			c.URL = strings.Replace(c.URL, "role%27s", "canary%27s", 1)
			if c.URL == w.url {
				t.Fatal("the password was not changed")
			}
			err := open(t, c).Check(t.Context(), func(string) {})
			misset(t, err, "url")
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error has the password: %v", err)
			}
		})
	}
}

// A file is never made, and one that nobody may write to is named.
func TestFiles(t *testing.T) {
	t.Parallel()
	w := newSQLite(t)
	c := w.config(t)
	c.URL += ".not"
	misset(t, open(t, c).Check(t.Context(), func(string) {}), "url")
	if _, err := os.Stat(w.path + ".not"); !os.IsNotExist(err) {
		t.Errorf("the file was made: %v", err)
	}
	for _, journal := range []string{"wal", "delete"} {
		w := newSQLite(t)
		if got := w.value(t, "PRAGMA journal_mode = "+journal); got != journal {
			t.Fatalf("the journal is %s", got)
		}
		w.users(t)
		w.add(t, "ada@example.test", "old")
		d := open(t, w.config(t))
		u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
		if err != nil {
			t.Fatal(err)
		}
		if err := set(t, d, u, "a new password of hers"); err != nil {
			t.Error(err)
		}
		if got := w.value(t, "PRAGMA journal_mode"); got != journal {
			t.Errorf("the journal became %s", got)
		}
		// Another file in its place is what is read and written from then on.
		other := newSQLite(t)
		other.users(t)
		other.add(t, "bob@example.test", "old")
		if journal == "wal" {
			continue // its other files would have to be replaced too
		}
		if err := os.Rename(other.path, w.path); err != nil {
			t.Fatal(err)
		}
		if _, err := d.UserByAddress(t.Context(), address(t, "bob@example.test")); err != nil {
			t.Errorf("the file was replaced: %v", err)
		}
	}
}

// An index is asked for where there are many users.
func TestIndexIsAskedFor(t *testing.T) {
	t.Parallel()
	w := newPostgres(t)
	w.users(t)
	w.exec(t, "INSERT INTO users (email) SELECT 'user' || n || '@example.test' FROM generate_series(1, 12000) n")
	w.exec(t, "ANALYZE users")
	look := func() (advice string) {
		if err := open(t, w.config(t)).Check(t.Context(), func(line string) {
			if strings.Contains(line, "CREATE INDEX") {
				advice = line
			}
		}); err != nil {
			t.Fatal(err)
		}
		return advice
	}
	advice := look()
	if !strings.Contains(advice, "about 12000 users") {
		t.Fatalf("it says %q", advice)
	}
	_, index, _ := strings.Cut(advice, "make one: ")
	w.exec(t, index)
	w.exec(t, "ANALYZE users")
	if advice := look(); advice != "" {
		t.Errorf("with the index it says %q", advice)
	}
	find := generator{w.dialect, "users", Columns{ID: "id", Email: "email"}}.find(2, table{}).bind(w.dialect, nil).text
	find = strings.NewReplacer("$1", "'user7@example.test'", "$2", "'user8@example.test'").Replace(find)
	rows, err := w.admin.Query("EXPLAIN " + find)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	plan := ""
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan += line
	}
	if err := rows.Err(); err != nil || !strings.Contains(plan, "Index") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("the plan is %s (%v)", plan, err)
	}
}

// On MariaDB the usual index on the column serves.
func TestMariaUsesItsIndex(t *testing.T) {
	t.Parallel()
	w := newMaria(t)
	w.users(t)
	w.exec(t, "INSERT INTO users (email) SELECT CONCAT('User', seq, '@example.test') FROM seq_1_to_3000")
	d := open(t, w.config(t))
	facts, err := d.table(t.Context(), true)
	if err != nil || !facts.folds {
		t.Fatalf("%+v, %v", facts, err)
	}
	find := generator{w.dialect, "users", Columns{ID: "id", Email: "email"}}.find(2, facts).bind(w.dialect, map[string]any{"s1": "user7@example.test", "s2": "user8@example.test"})
	key := ""
	if err := d.db.read(t.Context(), query{"EXPLAIN " + find.text, find.args}, func(r row) error {
		key = r.text("key")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if key != "email" {
		t.Errorf("the index is %q", key)
	}
}

// No value that an operator sets does anything but name something.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	every(t, func(t *testing.T, w *world) {
		w.users(t)
		hostile := "x\"`'; DROP TABLE users; --"
		w.exec(t, fmt.Sprintf("CREATE TABLE %s (%[2]s VARCHAR(40), email VARCHAR(300), pw VARCHAR(255))", w.dialect.quote("y"+hostile), w.dialect.quote(hostile)))
		w.exec(t, fmt.Sprintf("INSERT INTO %s VALUES ('a''b', 'ada@example.test', 'old')", w.dialect.quote("y"+hostile)))
		w.grant(t, "SELECT, UPDATE ON "+w.dialect.quote("y"+hostile))
		d := open(t, Config{URL: w.url, Table: "y" + hostile, Columns: Columns{ID: hostile, Password: "pw"}, Hasher: hasher(t, "ssha512"), Now: now})
		u, err := d.UserByAddress(t.Context(), address(t, "ada@example.test"))
		if err != nil || u.ID != "a'b" {
			t.Fatalf("%+v, %v", u, err)
		}
		if err := set(t, d, u, "a new password of hers"); err != nil {
			t.Fatal(err)
		}
		if hash := w.value(t, "SELECT pw FROM "+w.dialect.quote("y"+hostile)); !holds(t, hash, "a new password of hers") {
			t.Errorf("the hash is %s", hash)
		}
		if n := w.value(t, "SELECT count(*) FROM users"); n != "0" {
			t.Errorf("the other table has %s rows", n)
		}
	})
}
