package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// command runs the binary and answers all it printed.
func command(t *testing.T, env []string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = env
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return all.String(), cmd.ProcessState.ExitCode()
}

// sums tells whether a SQLite database, its write-ahead log included, was changed.
func (f file) sums(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + suffix)
		if err != nil {
			t.Fatalf("%v; this test wants a log that was not written back", err)
		}
		fmt.Fprintf(&all, "%x ", sha256.Sum256(content))
	}
	return all.String()
}

// TestMove: a service that was killed on SQLite goes on from PostgreSQL: links
// in mailboxes work, used ones do not, mails that waited arrive, keys and jobs are known.
func TestMove(t *testing.T) {
	t.Parallel()
	from, to := newFile(t), databases[onPostgres](t)
	w := newWorldOn(t, from, 20)
	admin := must(t, w.env, "", "key", "create", "admin", "--scope", "admin")
	must(t, w.env, "", "user", "add", "zoe@example.test", "--name", "Zoë “Z” Müller 🙂", "--account", "Ümlaut & Söhne")
	must(t, w.env, "", "user", "disable", person(19))
	must(t, w.env, "", "account", "suspend", "Ümlaut & Söhne")
	w.start(t)
	for i := range 3 {
		w.ask(t, person(i))
	}
	status, answer, err := w.callAs(admin, http.MethodPost, requestPath, fmt.Sprintf(`{"email":[%q,"nobody@example.test"]}`, person(3)))
	if err != nil || status != http.StatusAccepted {
		t.Fatal(status, answer, err)
	}
	job := regexp.MustCompile(`[0-9a-f-]{36}`).FindString(answer)
	w.settled(t)
	links := w.links(t)
	if w.reset(links[person(0)][0]) != http.StatusOK {
		t.Fatal("a link does not work")
	}
	w.settled(t)
	w.stopMailServer(t)
	for i := 5; i < 8; i++ {
		w.ask(t, person(i)) // their mails wait
	}
	w.server.waitFor(t, `"event":"mail.retry"`)
	const far = 4102444800123456 // a limit until the year 2100, in microseconds
	from.exec(t, fmt.Sprintf(`INSERT INTO limits (name, tat) VALUES ('a limit', %d)`, far))
	from.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, priority) VALUES ('event', jsonb('{"id":"evt_1"}'), 'event_1', 1000, 1)`)

	moving := []string{"migrate", "--from", from.setting(), "--to", to.setting()}
	if out, code := command(t, w.env, moving...); code != 1 || !strings.Contains(out, "another sparekey process serves") {
		t.Errorf("moving what is served: exit %d: %s", code, out)
	}
	w.server.end(t, syscall.SIGKILL)
	before := from.sums(t)
	out, code := command(t, w.env, moving...)
	if code != 0 || strings.Contains(out, "tester's") {
		t.Fatalf("exit %d: %s", code, out)
	}
	for _, line := range []string{"users +21", "accounts +2", "keys +2", `requests +\d+`, "limits +1", "mails and events that wait +4", "entries of bulk jobs +2"} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(out) {
			t.Errorf("no line %q in:\n%s", line, out)
		}
	}
	if after := from.sums(t); after != before {
		t.Error("the source was changed")
	}
	if out, code := command(t, w.env, moving...); code != 1 || !strings.Contains(out, "already; an empty database is needed") {
		t.Errorf("moving once more: exit %d: %s", code, out)
	}

	var tat int64
	if err := to.(pgDatabase).pool.QueryRow(t.Context(), `SELECT tat FROM limits`).Scan(&tat); err != nil || tat != far {
		t.Errorf("a limit until %d arrived as %d, %v", int64(far), tat, err)
	}

	var waits int
	if err := to.(pgDatabase).pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job
		WHERE kind = 'event' AND args ->> 'id' = 'evt_1' AND queue = 'event_1' AND priority = 1 AND state = 'available'`).Scan(&waits); err != nil || waits != 1 {
		t.Errorf("an event that waited: %d arrived, %v", waits, err)
	}
	to.exec(t, `DELETE FROM river_job WHERE kind = 'event'`) // nobody is configured to be told of it

	w.db = to
	w.env = append(w.env, "SPAREKEY_DATABASE="+to.setting())
	w.restartMailServer(t)
	must(t, w.env, "", "audit", "verify")
	w.start(t)
	if got := w.reset(links[person(1)][0]); got != http.StatusOK {
		t.Errorf("an open link answered %d", got)
	}
	for _, used := range []string{links[person(0)][0], links[person(1)][0]} {
		if got := w.reset(used); got != http.StatusUnauthorized {
			t.Errorf("a used link answered %d", got)
		}
	}
	w.settled(t)
	for i := 5; i < 8; i++ {
		if all := w.links(t)[person(i)]; len(all) != 1 || w.reset(all[0]) != http.StatusOK {
			t.Errorf("%s waited for a mail and has %d", person(i), len(all))
		}
	}
	status, answer, err = w.callAs(admin, http.MethodGet, "/api/1.0/job/status/"+job, "")
	if err != nil || status != http.StatusOK || !strings.Contains(answer, `"sent":1,"unknown":1`) {
		t.Errorf("the job: %d %s %v", status, answer, err)
	}
	if _, code := sparekey(t, w.env, password, "user", "verify", person(0), "--password-stdin"); code != 0 {
		t.Error("a password did not arrive")
	}
	if list := must(t, w.env, "", "user", "list", "--json"); !strings.Contains(list, "Zoë “Z” Müller 🙂") {
		t.Errorf("a name did not arrive: %s", list)
	}
	must(t, w.env, "", "key", "create", "another") // numbers go on
	must(t, w.env, "", "user", "add", "new@example.test", "--account", "New")
	w.ask(t, "new@example.test")
	w.settled(t)
}

// TestMoveRefuses: what cannot be moved is said, with what to do, and nothing is moved.
func TestMoveRefuses(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, newFile(t), 2)
	source := w.db.setting()
	for _, c := range []struct {
		name     string
		from, to func(t *testing.T) string
		code     int
		want     string
	}{
		{"one flag alone", func(*testing.T) string { return source }, func(*testing.T) string { return "" }, 2, "--to must be the address"},
		{"the other way", func(t *testing.T) string { return newPostgres(t).setting() }, func(*testing.T) string { return source }, 2, "--from must name a SQLite file"},
		{"no file", func(t *testing.T) string { return newFile(t).setting() }, func(t *testing.T) string { return newPostgres(t).setting() }, 1, "there is no database at"},
		{"nobody there", func(*testing.T) string { return source }, func(t *testing.T) string { return "postgres://ann:c4nary@" + freeAddr(t) + "/x" }, 1, "SPAREKEY_DATABASE_PASSWORD"},
		{"an older file", func(t *testing.T) string {
			old := newFile(t)
			must(t, append(w.env, "SPAREKEY_DATABASE="+old.setting()), "", "migrate")
			old.exec(t, `UPDATE goose_db_version SET version_id = 1 WHERE version_id > 1`)
			return old.setting()
		}, func(t *testing.T) string { return newPostgres(t).setting() }, 1, "bring them up to date first: sparekey migrate"},
		{"a text that PostgreSQL cannot hold", func(t *testing.T) string {
			odd := newFile(t)
			must(t, append(w.env, "SPAREKEY_DATABASE="+odd.setting()), "", "user", "add", "ada@example.test", "--name", "Ada")
			odd.exec(t, `UPDATE users SET name = 'A' || char(0) || 'a'`)
			return odd.setting()
		}, func(t *testing.T) string { return newPostgres(t).setting() }, 1, "has a name that is no text in UTF-8 without NUL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to := c.to(t)
			out, code := command(t, w.env, "migrate", "--from", c.from(t), "--to", to)
			if code != c.code || !strings.Contains(out, c.want) || strings.Contains(out, "c4nary") {
				t.Errorf("exit %d, want %d and %q:\n%s", code, c.code, c.want, out)
			}
			if strings.HasPrefix(to, "postgres") && c.code == 1 && !strings.Contains(to, "c4nary") {
				if list := must(t, append(w.env, "SPAREKEY_DATABASE="+to), "", "user", "list", "--json"); strings.Contains(list, "example.test") {
					t.Errorf("something was moved: %s", list)
				}
			}
		})
	}
}
