package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// base is where a started dev serves.
func base(t *testing.T, greeting string) string {
	t.Helper()
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(greeting)
	if url == "" {
		t.Fatalf("no address in:\n%s", greeting)
	}
	return url
}

// call sends a request and answers its status, its id and its body.
func call(t *testing.T, method, url, key, body string) (status int, id, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("X-Auth-Token", key)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Request-Id"), string(text)
}

func trailOf(t *testing.T, env []string) (rows []auditRow) {
	t.Helper()
	out, stderr, code := sparekey(t, console{args: []string{"audit", "export", "--json"}, environ: env})
	if code != exitOK {
		t.Fatal(stderr)
	}
	d := json.NewDecoder(strings.NewReader(out))
	for {
		var row auditRow
		err := d.Decode(&row)
		if err == io.EOF {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}

// TestAuditOfAServingProcess: the whole way of a reset is in the trail, with the
// ids of the HTTP requests, without an address, an id or a key; tail --follow shows it as it happens.
func TestAuditOfAServingProcess(t *testing.T) {
	t.Parallel()
	p, greeting, setting := startDev(t)
	env := environ(setting)
	follow := start(t, env, "audit", "tail", "--follow", "-n", "1")
	follow.waitFor(t, &follow.stdout, "admin.key.created")
	url, key := base(t, greeting), regexp.MustCompile(`spk_\S+`).FindString(greeting)
	api := url + "/api/1.0/reset-password/"

	status, asked, _ := call(t, http.MethodPost, api+"request", "", `{"email":["eve@example.test"]}`)
	if status != http.StatusOK {
		t.Fatalf("asking answered %d", status)
	}
	follow.waitFor(t, &follow.stdout, "request.asked")
	_, _, id := call(t, http.MethodGet, url+"/dev/mail/next?to=eve@example.test", "", "")
	id = strings.TrimSpace(id)
	_, _, _ = call(t, http.MethodGet, api+"metadata/"+id, "", "")
	_, looked, _ := call(t, http.MethodGet, api+"metadata/"+id, key, "")
	status, changed, answer := call(t, http.MethodPost, api+"reset/"+id, key, `{"password":"a quiet harbour in november"}`)
	if status != http.StatusOK {
		t.Fatalf("resetting answered %d: %s", status, answer)
	}
	follow.waitFor(t, &follow.stdout, "password.reset")
	if code := p.end(t); code != exitOK {
		t.Fatalf("it ended with %d", code)
	}

	rows := trailOf(t, env)
	at := func(what, outcome string) auditRow {
		t.Helper()
		i := slices.IndexFunc(rows, func(r auditRow) bool { return r.What == what && r.Outcome == outcome })
		if i < 0 {
			t.Fatalf("no %s %s in %+v", what, outcome, rows)
		}
		return rows[i]
	}
	who := at("password.reset", "ok").Who
	for _, c := range []struct {
		what, outcome, who, request, from string
		key                               bool
	}{
		{"request.asked", "ok", at("request.asked", "ok").Who, asked, "127.0.0.0/24", false},
		{"request.opened", "ok", who, asked, "", false},
		{"mail.sent", "ok", who, asked, "", false},
		{"key.refused", "missing", "", at("key.refused", "missing").RequestID, "127.0.0.0/24", false},
		{"link.looked", "ok", who, looked, "127.0.0.0/24", true},
		{"password.reset", "ok", who, changed, "127.0.0.0/24", true},
	} {
		r := at(c.what, c.outcome)
		if r.Who != c.who || r.RequestID != c.request || r.From != c.from || (r.Key != "") != c.key || r.Node == "" {
			t.Errorf("want %+v, got %+v", c, r)
		}
	}
	all := fmt.Sprintf("%+v", rows)
	for _, secret := range []string{"@", id, key, "quiet harbour", "127.0.0.1"} {
		if strings.Contains(all, secret) {
			t.Errorf("the trail has %s:\n%s", secret, all)
		}
	}
	if out, _, code := sparekey(t, console{args: []string{"audit", "verify"}, environ: env}); code != exitOK || !strings.HasPrefix(out, "ok: ") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestAuditVerifyFindsChanges: the command says where, what to do, and fails. What is found: TestConformance/AuditTampering of the stores.
func TestAuditVerifyFindsChanges(t *testing.T) {
	t.Parallel()
	setting := freshDatabase(t)
	env := environ(setting)
	for _, args := range [][]string{{"user", "add", "ada@example.test"}, {"account", "add", "Acme"}, {"key", "create", "app"}} {
		if _, stderr, code := sparekey(t, console{args: args, environ: env}); code != exitOK {
			t.Fatal(stderr)
		}
	}
	heads, _, _ := sparekey(t, console{args: []string{"audit", "head"}, environ: env})
	change := func(statements ...string) {
		t.Helper()
		db, err := sql.Open("sqlite", strings.TrimPrefix(setting, "SPAREKEY_DATABASE=sqlite:"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		for _, s := range statements {
			if _, err := db.ExecContext(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
	verify := func(want string, args ...string) {
		t.Helper()
		out, stderr, code := sparekey(t, console{args: append([]string{"audit", "verify"}, args...), environ: env, stdin: strings.NewReader("a log line\n" + heads)})
		if code != exitFailed || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want %q in:\n%s%s", code, want, out, stderr)
		}
	}
	change(`DROP TRIGGER audit_entries_stay`, `DROP TRIGGER audit_entries_kept`,
		"UPDATE audit_entries SET who = 'operator:\x1b[2Jmallory' WHERE seq = 3")
	verify("FAIL stream 1, entry 3: it was changed")
	verify("hint: keep this database")
	verify(`"seq": 3`, "--json")
	out, _, _ := sparekey(t, console{args: []string{"audit", "tail"}, environ: env})
	if !strings.Contains(out, `\x1b[2Jmallory`) || bytes.ContainsRune([]byte(out), '\x1b') {
		t.Errorf("what steers terminals is shown as %q", out)
	}
	change(`DELETE FROM audit_entries`, `DELETE FROM audit_streams`, `DELETE FROM audit_families`)
	verify("FAIL the trail: there is no audit trail at all")
	verify("is gone", "--against", "-")
}

// TestAuditClientsWhole: whole addresses are told where that is wanted.
func TestAuditClientsWhole(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := start(t, environ("SPAREKEY_AUDIT_CLIENTS=full"), "dev", "--listen", "127.0.0.1:0", "--data", data)
	url := base(t, p.waitFor(t, &p.stdout, "Ctrl-C stops it."))
	_, _, _ = call(t, http.MethodGet, url+"/api/1.0/reset-password/metadata/x", "spk_x", "")
	p.end(t)
	for _, r := range trailOf(t, environ("SPAREKEY_DATABASE=sqlite:"+data+"/sparekey.db")) {
		if r.What == "key.refused" && r.From != "127.0.0.1" {
			t.Errorf("got %+v", r)
		}
	}
}
