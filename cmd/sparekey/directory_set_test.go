package main

import (
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// crmOf is an application's database with one user, the environment of a Sparekey that has it as a directory, and a
// database of its own.
func crmOf(t *testing.T) (crm *sql.DB, env []string) {
	t.Helper()
	dir := t.TempDir()
	crm, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "crm.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = crm.Close() })
	crm.SetMaxOpenConns(1)
	execIn(t, crm, "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, password TEXT)")
	execIn(t, crm, "INSERT INTO users VALUES (17, 'test@example.test', 'none')")
	settings := "directories: {crm: {type: sql, url: 'sqlite:" + dir + "/crm.db', table: users, hash: bcrypt cost=10, timeout: 10s}}\n"
	file := filepath.Join(dir, "sparekey.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	env = environ(freshDatabase(t), "SPAREKEY_CONFIG="+file)
	if _, stderr, code := sparekey(t, console{args: []string{"migrate"}, environ: env}); code != exitOK {
		t.Fatal(stderr)
	}
	return crm, env
}

func execIn(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// endsOfSets are the ends of the acts by which test users' passwords were set, as the trail has them.
func endsOfSets(t *testing.T, env []string) (ends []string) {
	t.Helper()
	for _, row := range trailOf(t, env) {
		if row.What == "admin.directory.password_set" {
			ends = append(ends, row.Outcome)
		}
	}
	return ends
}

// TestATestUsersPasswordIsToldOfBeforeItIsSet: whatever becomes of the command from then on, the trail has it; it has the end too.
func TestATestUsersPasswordIsToldOfBeforeItIsSet(t *testing.T) {
	t.Parallel()
	crm, env := crmOf(t)
	stdin, password := io.Pipe()
	p := startReading(t, stdin, env, "directory", "check", "crm", "--address", "test@example.test", "--set-test-user")
	p.waitFor(t, &p.stdout, "would: ")
	execIn(t, crm, "BEGIN IMMEDIATE") // nobody else may change anything now
	if _, err := io.WriteString(password, "a quiet harbour in november\n"); err != nil {
		t.Fatal(err)
	}
	if err := password.Close(); err != nil {
		t.Fatal(err)
	}
	late := time.After(time.Minute)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !slices.Equal(endsOfSets(t, env), []string{"begun"}) {
		select {
		case <-again.C:
		case <-p.ended:
			t.Fatalf("it ended with %d, and the trail has %q", p.code, endsOfSets(t, env))
		case <-late:
			t.Fatalf("the trail has %q", endsOfSets(t, env))
		}
	}
	execIn(t, crm, "ROLLBACK")
	p.waitFor(t, &p.stdout, "ok   the audit trail has it")
	<-p.ended
	if got := endsOfSets(t, env); p.code != exitOK || !slices.Equal(got, []string{"begun", "ok"}) {
		t.Errorf("exit code %d, and the trail has %q", p.code, got)
	}
}

// TestATestUsersPasswordThatCannotBeSet is told of as well.
func TestATestUsersPasswordThatCannotBeSet(t *testing.T) {
	t.Parallel()
	crm, env := crmOf(t)
	execIn(t, crm, "CREATE TRIGGER no BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'not now'); END")
	_, stderr, code := sparekey(t, console{
		args:    []string{"directory", "check", "crm", "--address", "test@example.test", "--set-test-user"},
		environ: env, stdin: strings.NewReader("a quiet harbour in november"),
	})
	if got := endsOfSets(t, env); code != exitFailed || !slices.Equal(got, []string{"begun", "busy"}) {
		t.Errorf("exit code %d, and the trail has %q:\n%s", code, got, stderr)
	}
}
