package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestRequests: what was mailed can be listed and revoked, and a revoked link is dead.
func TestRequests(t *testing.T) {
	t.Parallel()
	_, greeting, setting := startDev(t)
	base := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(greeting)
	key := regexp.MustCompile(`spk_\S+`).FindString(greeting)
	if status, body := post(t, base+"/api/1.0/reset-password/request", "", `{"email":["bob@example.test"]}`); status != 200 {
		t.Fatalf("asking answered %d %s", status, body)
	}
	status, id := get(t, base+"/dev/mail/next?to=bob@example.test", "")
	if status != 200 {
		t.Fatalf("no mail: %d %s", status, id)
	}
	id = strings.TrimSpace(id)
	look := base + "/api/1.0/reset-password/metadata/" + id
	if status, body := get(t, look, key); status != 200 {
		t.Fatalf("looking answered %d %s", status, body)
	}

	list := func(now func() time.Time) requestRow {
		t.Helper()
		out, stderr, code := sparekey(t, console{args: []string{"request", "list", "--json"}, environ: environ(setting), now: now})
		var rows []requestRow
		if err := json.Unmarshal([]byte(out), &rows); err != nil || code != exitOK || len(rows) != 1 {
			t.Fatalf("exit code %d, %v, %d rows; want 1: %s%s", code, err, len(rows), out, stderr)
		}
		if strings.Contains(out, id) {
			t.Fatalf("the list shows the secret id:\n%s", out)
		}
		return rows[0]
	}
	r := list(nil)
	if r.Email != "bob@example.test" || r.State != "open" || r.EndedAt != nil {
		t.Errorf("got %+v, want an open one of bob's", r)
	}
	if got := r.ExpiresAt.Sub(*r.CreatedAt); got != time.Hour {
		t.Errorf("it is good for %v, want an hour", got)
	}
	if r := list(func() time.Time { return r.ExpiresAt.Add(time.Second) }); r.State != "expired" {
		t.Errorf("after its expiry it is %s, want expired", r.State)
	}

	revoke := console{args: []string{"request", "revoke", "1"}, environ: environ(setting)}
	if _, stderr, code := sparekey(t, revoke); code != exitOK {
		t.Fatalf("revoking: exit code %d: %s", code, stderr)
	}
	if r := list(nil); r.State != "closed" || r.EndedAt == nil {
		t.Errorf("got %+v, want a closed one", r)
	}
	if status, body := get(t, look, key); status == 200 {
		t.Errorf("the revoked link still shows %s", body)
	}
	if _, stderr, code := sparekey(t, revoke); code != exitFailed || !strings.Contains(stderr, "hint: see: sparekey request list") {
		t.Errorf("revoking it again: exit code %d, want %d: %s", code, exitFailed, stderr)
	}
	out, _, _ := sparekey(t, console{args: []string{"request", "list"}, environ: environ(setting)})
	if want := regexp.MustCompile(`(?m)^1 +bob@example\.test +closed +\S+Z +\S+Z$`); !want.MatchString(out) {
		t.Errorf("the table is\n%s", out)
	}
}
