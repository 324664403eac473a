package sqldir

import (
	"crypto/sha512"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/formats"
	"github.com/sparekey/sparekey/internal/reset"
)

// world is an application's database, as its operator sees it, and how Sparekey is to reach it.
type world struct {
	dialect *dialect
	admin   *sql.DB
	url     string // for Sparekey's own user
	proxy   *proxy // on the way there; nil for a file
	role    string // Sparekey's user; "" for a file
	path    string // of the file
}

// databases are the kinds that there are, each with a maker of empty ones.
var databases = []struct {
	name string
	make func(t testing.TB) *world
}{{"PostgreSQL", newPostgres}, {"MariaDB", newMaria}, {"SQLite", newSQLite}}

// every runs a test on each kind of database.
func every(t *testing.T, test func(t *testing.T, w *world)) {
	for _, kind := range databases {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			test(t, kind.make(t))
		})
	}
}

const rolePassword = "the role's own p@ss"

func newPostgres(t testing.TB) *world {
	t.Helper()
	address := cluster.Database(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dialect: postgresDialect, admin: admin(t, "pgx", address), proxy: through(t, u.Host), role: "sparekey_" + strings.Trim(u.Path, "/")}
	w.exec(t, "CREATE ROLE "+w.role+" LOGIN PASSWORD '"+strings.ReplaceAll(rolePassword, "'", "''")+"'")
	u.Host, u.User, u.RawQuery = w.proxy.addr, url.UserPassword(w.role, rolePassword), ""
	w.url = u.String()
	return w
}

func newMaria(t testing.TB) *world {
	t.Helper()
	name := maria.Database(t)
	w := &world{dialect: mysqlDialect, admin: admin(t, "mysql", maria.DSN(name)), proxy: through(t, fmt.Sprintf("127.0.0.1:%d", maria.Port)), role: "sparekey_" + name}
	w.exec(t, "CREATE USER "+w.role+" IDENTIFIED BY '"+strings.ReplaceAll(rolePassword, "'", "''")+"'")
	u := url.URL{Scheme: "mysql", User: url.UserPassword(w.role, rolePassword), Host: w.proxy.addr, Path: "/" + name}
	w.url = u.String()
	return w
}

func newSQLite(t testing.TB) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "an app's %20 data?.db")
	return &world{dialect: sqliteDialect, admin: admin(t, "sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(10000)"), url: "sqlite:" + path, path: path}
}

func admin(t testing.TB, driver, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// exec runs a statement as the operator. Its values are named ?.
func (w *world) exec(t testing.TB, text string, args ...any) {
	t.Helper()
	if _, err := w.admin.Exec(w.numbered(text), args...); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func (w *world) numbered(text string) string {
	if w.dialect != postgresDialect {
		return text
	}
	for i := 1; strings.Contains(text, "?"); i++ {
		text = strings.Replace(text, "?", fmt.Sprintf("$%d", i), 1)
	}
	return text
}

// value is the only one that a statement finds, as a text; "" for NULL or none.
func (w *world) value(t testing.TB, text string, args ...any) string {
	t.Helper()
	var s sql.NullString
	if err := w.admin.QueryRow(w.numbered(text), args...).Scan(&s); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("%s: %v", text, err)
	}
	return s.String
}

// users makes the usual table, and lets Sparekey's user do what it needs.
func (w *world) users(t testing.TB) {
	t.Helper()
	switch w.dialect {
	case postgresDialect:
		w.exec(t, `CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(320), name text, locale text,
			disabled_at timestamptz, password varchar(255), changed_at timestamptz)`)
	case mysqlDialect:
		w.exec(t, `CREATE TABLE users (id BIGINT AUTO_INCREMENT PRIMARY KEY, email VARCHAR(320), name TEXT, locale TEXT,
			disabled_at DATETIME, password VARCHAR(255), changed_at DATETIME, INDEX (email)) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`)
	case sqliteDialect:
		w.exec(t, `CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT, name TEXT, locale TEXT, disabled_at DATETIME, password TEXT, changed_at DATETIME)`)
	}
	w.grant(t, "SELECT (id, email, name, locale, disabled_at), UPDATE (password, changed_at) ON users")
}

func (w *world) grant(t testing.TB, rights string) {
	t.Helper()
	if w.role != "" {
		w.exec(t, "GRANT "+rights+" TO "+w.role)
	}
}

func (w *world) revoke(t testing.TB, rights string) {
	t.Helper()
	if w.role != "" {
		w.exec(t, "REVOKE "+rights+" FROM "+w.role)
	}
}

// add adds a user and returns the id.
func (w *world) add(t testing.TB, email, hash string) (id string) {
	t.Helper()
	w.exec(t, "INSERT INTO users (email, password) VALUES (?, ?)", email, hash)
	return w.value(t, "SELECT max(id) FROM users")
}

// idOf is the id of the user with that address, whatever its spelling; there must be one.
func (w *world) idOf(t testing.TB, email string) int64 {
	t.Helper()
	want, err := reset.ParseAddress(email)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := w.admin.Query("SELECT id, email FROM users ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := int64(0)
	for rows.Next() {
		var id int64
		var stored sql.NullString
		if err := rows.Scan(&id, &stored); err != nil {
			t.Fatal(err)
		}
		if want.Matches(stored.String) && found == 0 {
			found = id
		}
	}
	if err := rows.Err(); err != nil || found == 0 {
		t.Fatalf("no user has the address %s: %v", email, err)
	}
	return found
}

func (w *world) hashOf(t testing.TB, email string) string {
	t.Helper()
	return w.value(t, "SELECT password FROM users WHERE id = ?", w.idOf(t, email))
}

// now is the time in all tests.
func now() time.Time { return time.Date(2026, 11, 23, 12, 34, 56, 789_000_000, time.UTC) }

// hasher writes a format, which tests choose quick.
func hasher(t testing.TB, format string) *password.Writer {
	t.Helper()
	h, err := password.NewHasher(password.DefaultParams(), 4, 1000, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	f, err := formats.Parse(format)
	if err != nil {
		t.Fatal(err)
	}
	return h.Writer(f)
}

// config is that of the usual table.
func (w *world) config(t testing.TB) Config {
	t.Helper()
	return Config{
		URL: w.url, Table: "users", Hasher: hasher(t, "ssha512"), Now: now, Timeout: 900 * time.Millisecond,
		Columns: Columns{Name: "name", Locale: "locale", Disabled: "disabled_at", ChangedAt: "changed_at"},
	}
}

// open makes a directory, closed when the test ends.
func open(t testing.TB, c Config) *Directory {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// holds reports whether a hash is that of the password.
func holds(t testing.TB, hash, word string) bool {
	t.Helper()
	if hash == "" {
		return false
	}
	if encoded, ok := strings.CutPrefix(hash, "{SSHA512}"); ok {
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha512.Sum512(append([]byte(word), raw[sha512.Size:]...))
		return subtle.ConstantTimeCompare(sum[:], raw[:sha512.Size]) == 1
	}
	h, err := password.NewHasher(password.DefaultParams(), 4, 1000, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ok, err := h.Verify(t.Context(), word, hash)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func hashed(t testing.TB, word string) string {
	t.Helper()
	hash, err := hasher(t, "ssha512").Hash(t.Context(), word, nil)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func address(t testing.TB, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// set changes a password as a reset does.
func set(t testing.TB, d *Directory, u reset.User, word string) error {
	t.Helper()
	c, err := d.Prepare(t.Context(), u, word, nil)
	if err != nil {
		return err
	}
	return c.(reset.Distant).Set(t.Context())
}

// misset is the one in an error's chain; there must be one, for that setting.
func misset(t testing.TB, err error, setting string) *reset.Misset {
	t.Helper()
	m, ok := errors.AsType[*reset.Misset](err)
	if !ok || m.Setting != setting || m.Fix == "" {
		t.Fatalf("%v (%#v); want a Misset for %s", err, m, setting)
	}
	if strings.Contains(err.Error(), rolePassword) || strings.Contains(err.Error(), url.PathEscape(rolePassword)) {
		t.Errorf("the error has the password: %v", err)
	}
	return m
}

// unchanged checks that a change was not made, and that this was said.
func unchanged(t testing.TB, err error) {
	t.Helper()
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
		t.Errorf("%v, want Unchanged", err)
	}
}
