package sqldir

import (
	"strings"
	"testing"
	"time"
)

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	const pg = "postgres://u@db.example.com/app"
	for _, tc := range []struct {
		name   string
		change func(c *Config)
		want   []string // parts of the error; none: it is taken
	}{
		{"the least", func(*Config) {}, nil},
		{"no kind", func(c *Config) { c.URL = "oracle://u:canary@h/db" }, []string{"url: write postgres://"}},
		{"no URL", func(c *Config) { c.URL = "postgres://u:canary%zz@h/db" }, []string{"it is no URL", "url: "}},
		{"no host", func(c *Config) { c.URL = "postgres:///app" }, []string{"names no host"}},
		{"a socket", func(c *Config) { c.URL = "postgres://u@/app?host=/run/postgresql" }, nil},
		{"two hosts", func(c *Config) {
			c.URL = "postgres://u@a.example.com:5432,b.example.com:5433/app?target_session_attrs=read-write"
		}, nil},
		{"two hosts, one of them in the clear", func(c *Config) { c.URL = "postgres://u@localhost:5432,b.example.com:5433/app?sslmode=disable" }, []string{"in the clear"}},
		{"no database", func(c *Config) { c.URL = "postgres://h" }, []string{"names no database"}},
		{"two passwords", func(c *Config) { c.URL, c.Password = "postgres://u:canary@h/db", "canary" }, []string{"both have a password"}},
		{"an unknown sslmode", func(c *Config) { c.URL = pg + "?sslmode=require" }, []string{"write sslmode=verify-full"}},
		{"in the clear", func(c *Config) { c.URL = pg + "?sslmode=disable" }, []string{"plaintext", "in the clear"}},
		{"in the clear, as wanted", func(c *Config) { c.URL, c.Plaintext = pg+"?sslmode=disable", true }, nil},
		{"MySQL in the clear", func(c *Config) { c.URL = "mysql://u@db.example.com/app?tls=false" }, []string{"plaintext", "in the clear"}},
		{"MySQL, half checked", func(c *Config) { c.URL = "mysql://u@db.example.com/app?tls=skip-verify" }, []string{"write tls=true"}},
		{"MySQL's options", func(c *Config) { c.URL = "mysql://u@h/app?allowAllFiles=true" }, []string{"it has the parameter"}},
		{"MySQL's socket", func(c *Config) { c.URL = "mariadb://u@/app?socket=/run/mysqld/mysqld.sock" }, nil},
		{"MySQL without a database", func(c *Config) { c.URL = "mysql://u@h" }, []string{"names no database"}},
		{"a database in memory", func(c *Config) { c.URL = "sqlite::memory:" }, []string{"in memory"}},
		{"no file", func(c *Config) { c.URL = "sqlite:" }, []string{"names no file"}},
		{"a file of a host", func(c *Config) { c.URL = "sqlite://app.db" }, []string{"third slash"}},
		{"a file with a password", func(c *Config) { c.URL, c.Password = "sqlite:/app.db", "canary" }, []string{"leave out password"}},
		{"no table", func(c *Config) { c.Table = "" }, []string{"table: name the table"}},
		{"no table, but statements", func(c *Config) {
			c.Table = ""
			c.Statements = Statements{Find: "SELECT id, email FROM u WHERE email = :address", FindByID: "SELECT id, email FROM u WHERE id = :id", Set: "UPDATE u SET p = :hash WHERE id = :id"}
		}, nil},
		{"a part of a name", func(c *Config) { c.Table = "app..users" }, []string{"table: write the name"}},
		{"a name with a NUL", func(c *Config) { c.Columns.Email = "a\x00b" }, []string{"columns.email: write the name"}},
		{"a number out of range", func(c *Config) { c.Connections, c.Timeout = -1, time.Millisecond }, []string{"connections: ", "timeout: "}},
		{"no format", func(c *Config) { c.Hasher = nil }, []string{"hash: "}},
		{"every statement", func(c *Config) {
			c.Statements = Statements{
				Find: "SELECT 1", FindByID: "DELETE FROM u WHERE id = :id", Accounts: "SELECT 1", Set: "UPDATE u SET p = :hash",
				EndSessions: "DELETE FROM s; DELETE FROM u",
			}
		}, []string{
			"statements.find: compare", "statements.find_by_id: ", "it must begin with SELECT or WITH", "statements.accounts: say where the value belongs: :id",
			"statements.set: say where the value belongs: :id", "statements.end_sessions: ", "more than one statement",
		}},
		{"the end of everybody's sessions", func(c *Config) { c.Statements.EndSessions = "DELETE FROM s" }, []string{"say whose sessions"}},
		{"the hash in another statement", func(c *Config) { c.Statements.EndSessions = "DELETE FROM s WHERE id = :id AND x = :hash" }, []string{"it names the parameter :hash"}},
		{"what MySQL commits by itself", func(c *Config) { c.URL, c.Statements.EndSessions = "mysql://u@localhost/app", "TRUNCATE s /* :id */" }, []string{"it must begin with"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := Config{URL: pg, Table: "users", Hasher: hasher(t, "ssha512"), Now: now}
			tc.change(&c)
			d, err := New(c)
			if err == nil {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q says nothing of %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the error has the password: %v", err)
			}
		})
	}
}
