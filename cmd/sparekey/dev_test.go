package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// startDev runs dev with a folder of its own and returns it with its greeting
// and the setting that names its database.
func startDev(t *testing.T, more ...string) (p *process, greeting, setting string) {
	t.Helper()
	data := t.TempDir()
	p = start(t, environ(), append([]string{"dev", "--listen", "127.0.0.1:0", "--data", data}, more...)...)
	greeting = p.waitFor(t, &p.stdout, "Ctrl-C stops it.")
	return p, greeting, "SPAREKEY_DATABASE=sqlite:" + filepath.Join(data, "sparekey.db")
}

// lines are the lines of a text that begin with a word.
func lines(text, word string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return !strings.HasPrefix(line, word+" ") })
}

// shell runs a line as if it had been pasted.
func shell(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", line)
	cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), raceInHaste)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", line, err, out)
	}
	return string(out)
}

// TestDevThreeCurlLines is what a newcomer does: paste what dev prints, and see
// that the password is changed.
func TestDevThreeCurlLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatalf("this test needs curl; script/setup installs it: %v", err)
	}
	p, greeting, _ := startDev(t)
	pasted := lines(greeting, "curl")
	if len(pasted) != 3 {
		t.Fatalf("%d curl lines, want 3:\n%s", len(pasted), greeting)
	}
	verify := lines(greeting, "printf")
	if len(verify) != 1 || strings.Count(verify[0], command()) != 1 {
		t.Fatalf("got %q, want one line that calls %q", verify, command())
	}
	verify[0] = strings.Replace(verify[0], command(), "sparekey", 1) // testscript put that into the PATH

	if err := exec.CommandContext(t.Context(), "/bin/sh", "-c", verify[0]).Run(); err == nil {
		t.Fatal("the new password is there before the reset")
	}
	answers := []string{"ask", "look", "reset"}
	for i, line := range pasted {
		answers[i] = shell(t, line)
		if strings.Contains(answers[i], `"code"`) {
			t.Fatalf("%s\nanswered %s", line, answers[i])
		}
	}
	if !strings.Contains(answers[1], `"multiple_accounts":true`) {
		t.Errorf("the second line answered %s, want the request of a user in two accounts", answers[1])
	}
	if got := shell(t, verify[0]); got != "that is the password\n" {
		t.Errorf("user verify printed %q", got)
	}
	if code := p.end(t); code != exitOK {
		t.Errorf("dev ended with %d, want %d", code, exitOK)
	}
	if text := p.stderr.String(); strings.Contains(text, "spk_") || strings.Contains(text, "ada@") {
		t.Errorf("the log tells a secret or an address:\n%s", text)
	}
}

// TestDevAgain: a second start keeps the users and ends the first one's key.
func TestDevAgain(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	setting := "SPAREKEY_DATABASE=sqlite:" + filepath.Join(data, "sparekey.db")
	for range 2 {
		p := start(t, environ(), "dev", "--listen", "127.0.0.1:0", "--data", data)
		p.waitFor(t, &p.stdout, "Ctrl-C stops it.")
		if code := p.end(t); code != exitOK {
			t.Fatalf("dev ended with %d, want %d: %s", code, exitOK, p.stderr.String())
		}
	}
	out, _, _ := sparekey(t, console{args: []string{"user", "list"}, environ: environ(setting)})
	if got := strings.Count(out, "@example.test"); got != len(demoUsers) {
		t.Errorf("%d users, want %d:\n%s", got, len(demoUsers), out)
	}
	out, _, _ = sparekey(t, console{args: []string{"key", "list"}, environ: environ(setting)})
	if strings.Count(out, "revoked") != 1 || strings.Count(out, "active") != 1 {
		t.Errorf("want one revoked and one active key:\n%s", out)
	}
}

// TestDevStaysOnThisMachine: its mailbox shows every secret.
func TestDevStaysOnThisMachine(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:8080", "[::]:0", "example.com:80"} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			_, stderr, code := sparekey(t, console{args: []string{"dev", "--listen", address, "--data", data}, environ: environ()})
			if code != exitUsage || !strings.Contains(stderr, "hint: write --listen 127.0.0.1:PORT") {
				t.Errorf("exit code %d, want %d: %s", code, exitUsage, stderr)
			}
		})
	}
}

// get returns what a GET answers.
func get(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-Auth-Token", key)
	}
	return do(t, req)
}

// post returns what a POST of JSON answers.
func post(t *testing.T, url, key, json string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(json))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("X-Auth-Token", key)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (status int, body string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
