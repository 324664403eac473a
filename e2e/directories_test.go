package e2e

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// appDB is an application's own database, with a table of users.
type appDB struct {
	*sql.DB
	path string
}

func newAppDB(t *testing.T, emails ...string) appDB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	app := appDB{db, path}
	app.exec(t, `CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL, full_name TEXT, password TEXT NOT NULL)`)
	for _, email := range emails {
		app.exec(t, `INSERT INTO users (email, full_name, password) VALUES (?, 'Ada', 'none')`, email)
	}
	return app
}

func (a appDB) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := a.ExecContext(context.WithoutCancel(t.Context()), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// holds reports whether the application would let somebody in.
func (a appDB) holds(t *testing.T, email, password string) bool {
	t.Helper()
	var hash string
	if err := a.QueryRowContext(t.Context(), `SELECT password FROM users WHERE email = ?`, email).Scan(&hash); err != nil {
		t.Fatal(err)
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
}

// newElsewhere is a service whose people live in two applications' databases and in its own.
func newElsewhere(t *testing.T, crm, wiki appDB) *world {
	t.Helper()
	w := newWorld(t, 1)
	settings := filepath.Join(t.TempDir(), "sparekey.yaml")
	text := `
directories:
  crm:
    type: sql
    url: sqlite:` + crm.path + `
    table: users
    columns: {name: full_name}
    hash: bcrypt-2y cost=10
    account: Acme
  wiki:
    type: sql
    url: sqlite:` + wiki.path + `
    table: users
    hash: bcrypt cost=10
    account: Globex
`
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.env = append(w.env, "SPAREKEY_CONFIG="+settings)
	return w
}

// newest waits for one more link to somebody than there were, and answers its id.
func (w *world) newest(t *testing.T, who string, had int) string {
	t.Helper()
	var ids []string
	until(t, "the mail", patience, func() bool {
		ids = w.links(t)[who]
		return len(ids) > had
	})
	return ids[len(ids)-1]
}

// answered fails unless a reset is answered with this status, and these words.
func (w *world) answered(t *testing.T, id string, status int, words string) {
	t.Helper()
	got, answer, err := w.call(http.MethodPost, "/api/1.0/reset-password/reset/"+id, fmt.Sprintf(`{"password":%q}`, password))
	if err != nil || got != status || !strings.Contains(answer, words) {
		t.Fatalf("a reset: %d %s %v, want %d with %q", got, answer, err, status, words)
	}
}

// TestPeopleInSeveralDirectories: who lives in several places is mailed one link, which sets the password in all of them; one
// that fails before anything was changed leaves the link good, and one that fails after that gets a link for what is left.
func TestPeopleInSeveralDirectories(t *testing.T) {
	t.Parallel()
	ada := person(0)
	crm, wiki := newAppDB(t, ada, "eve@example.test"), newAppDB(t, ada)
	w := newElsewhere(t, crm, wiki)
	w.start(t)

	w.ask(t, "eve@example.test") // in one of them alone
	w.answered(t, w.newest(t, "eve@example.test", 0), http.StatusOK, "")
	if !crm.holds(t, "eve@example.test", password) {
		t.Error("the application does not let Eve in")
	}

	w.ask(t, ada)
	id := w.newest(t, ada, 0)
	status, answer, err := w.call(http.MethodGet, "/api/1.0/reset-password/metadata/"+id, "")
	if err != nil || status != http.StatusOK || !strings.Contains(answer, `"multiple_accounts":true`) {
		t.Errorf("metadata: %d %s %v", status, answer, err)
	}
	crm.exec(t, `ALTER TABLE users RENAME COLUMN password TO secret`)
	w.answered(t, id, http.StatusServiceUnavailable, "")
	w.server.waitFor(t, "columns.password")
	if _, code := sparekey(t, w.env, password, "user", "verify", ada, "--password-stdin"); code == 0 {
		t.Error("the password was changed in one directory although another failed first")
	}
	crm.exec(t, `ALTER TABLE users RENAME COLUMN secret TO password`)

	wiki.exec(t, `ALTER TABLE users RENAME COLUMN password TO secret`)
	w.answered(t, id, http.StatusServiceUnavailable, "Globex")
	if !crm.holds(t, ada, password) {
		t.Error("the first application does not let Ada in")
	}
	w.answered(t, id, http.StatusUnauthorized, "") // it is used
	wiki.exec(t, `ALTER TABLE users RENAME COLUMN secret TO password`)
	rest := w.newest(t, ada, 1)
	w.answered(t, rest, http.StatusOK, "")
	if !wiki.holds(t, ada, password) {
		t.Error("the second application does not let Ada in")
	}
	if _, code := sparekey(t, w.env, password, "user", "verify", ada, "--password-stdin"); code != 0 {
		t.Error("the password does not hold in Sparekey's own table")
	}
	w.endsWell(t)
}

// TestDirectoryCommands: an operator sees what there is, what a reset would write, and which setting to change.
func TestDirectoryCommands(t *testing.T) {
	t.Parallel()
	const tess = "tess@example.test"
	crm, wiki := newAppDB(t, tess, "twin@example.test", "TWIN@example.test"), newAppDB(t)
	w := newElsewhere(t, crm, wiki)
	list := must(t, w.env, "", "directory", "list")
	if !regexp.MustCompile(`(?m)^crm +sql +all +Acme$`).MatchString(list) {
		t.Errorf("the list is\n%s", list)
	}
	said := must(t, w.env, "", "directory", "check", "crm", "--address", tess)
	for _, words := range []string{"found " + tess, "name Ada", "would: ", "bcrypt-2y cost=10"} {
		if !strings.Contains(said, words) {
			t.Errorf("the check does not say %q:\n%s", words, said)
		}
	}
	if crm.holds(t, tess, password) {
		t.Error("the check has changed the password")
	}
	said = must(t, w.env, password+"\n", "directory", "check", "crm", "--address", tess, "--set-test-user")
	if !crm.holds(t, tess, password) || strings.Contains(said, password) {
		t.Errorf("the test user's password was not set, or is told:\n%s", said)
	}
	for _, args := range [][]string{
		{"directory", "check", "nowhere"},
		{"directory", "check", "crm", "--address", "nobody@example.test"},
		{"directory", "check", "crm", "--address", "twin@example.test"},
		{"directory", "check", "crm", "--set-test-user"},
	} {
		if out, code := sparekey(t, w.env, "", args...); code == 0 {
			t.Errorf("sparekey %s succeeded:\n%s", args, out)
		}
	}
	doctor := must(t, w.env, "", "doctor")
	if !strings.Contains(doctor, "ok   directory crm: ") || !strings.Contains(doctor, "ok   directory wiki: ") {
		t.Errorf("the doctor says\n%s", doctor)
	}
	wiki.exec(t, `DROP TABLE users`)
	broken, code := sparekey(t, w.env, "", "doctor")
	if code == 0 || !regexp.MustCompile(`FAIL directory wiki: .*\n.*hint: directories\.wiki\.table: `).MatchString(broken) {
		t.Errorf("the doctor of a directory without its table: %d\n%s", code, broken)
	}
}
