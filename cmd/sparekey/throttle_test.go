package main

import (
	"encoding/json"
	"regexp"
	"testing"
)

// TestThrottle: what was asked for is counted for the address and the client, and
// whoever is freed may ask again.
func TestThrottle(t *testing.T) {
	t.Parallel()
	_, greeting, setting := startDev(t, "--throttle-enabled", "--throttle-client", "3", "--throttle-service", "3")
	base := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(greeting)
	asks := func(mails int) {
		t.Helper()
		if status, body := post(t, base+"/api/1.0/reset-password/request", "", `{"email":["bob@example.test"]}`); status != 200 {
			t.Fatalf("asking answered %d %s", status, body)
		}
		for range mails {
			if status, id := get(t, base+"/dev/mail/next?to=bob@example.test", ""); status != 200 {
				t.Fatalf("no mail: %d %s", status, id)
			}
		}
	}
	run := func(args ...string) string {
		t.Helper()
		out, stderr, code := sparekey(t, console{args: append([]string{"throttle"}, args...), environ: environ(setting, "SPAREKEY_THROTTLE_CLIENT=3", "SPAREKEY_THROTTLE_SERVICE=3")})
		if code != exitOK {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return out
	}
	used := func(args ...string) (list []int) {
		t.Helper()
		var rows []limitRow
		if err := json.Unmarshal([]byte(run(append([]string{"show", "--json"}, args...)...)), &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if (r.FreeAt != nil) != (r.Used > 0) {
				t.Errorf("%v: %+v", args, r)
			}
			list = append(list, r.Used)
		}
		return list
	}
	is := func(what string, got []int, want ...int) {
		t.Helper()
		for i := range want {
			if len(got) != len(want) || got[i] != want[i] {
				t.Fatalf("%s: %v are used, want %v", what, got, want)
			}
		}
	}
	asks(1)
	is("the address", used("--address", "BOB@example.test"), 1, 1)
	is("the client", used("--client", "127.0.0.1"), 1, 0)
	is("the service", used("--service"), 1, 0)
	is("another address", used("--address", "ann@example.test"), 0, 0)
	if out := run("clear", "--address", "bob@example.test"); out != "freed 2\n" {
		t.Errorf("clearing says %q", out)
	}
	is("the address, freed", used("--address", "bob@example.test"), 0, 0)
	is("the client, not freed", used("--client", "127.0.0.1"), 1, 0)
	asks(1) // within the minute
	if out := run("clear", "--all", "--yes"); out == "freed 0\n" {
		t.Error("there was nothing to clear")
	}
	is("the client, freed", used("--client", "127.0.0.1"), 0, 0)
}
