package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

const (
	testBaseURL  = "https://reset.example.com"
	testPassword = "correct horse battery staple"
)

// TestServe: a service that is configured by its environment alone resets a
// password, mails the notice, and ends in peace.
func TestServe(t *testing.T) {
	t.Parallel()
	smtp := smtptest.Start(t, smtptest.WithSTARTTLS(), smtptest.WithAuth("mailer", "opensesame"))
	env := environ(freshDatabase(t), "SPAREKEY_LISTEN=127.0.0.1:0", "SPAREKEY_BASE_URL="+testBaseURL,
		"SPAREKEY_MAIL_SMTP="+smtp.URL(), "SPAREKEY_MAIL_FROM=Example <noreply@example.com>")
	if _, stderr, code := sparekey(t, console{args: []string{"user", "add", "ada@example.test", "--name", "Ada"}, environ: env}); code != exitOK {
		t.Fatal(stderr)
	}
	key, stderr, code := sparekey(t, console{args: []string{"key", "create", "app"}, environ: env})
	if key = strings.TrimSpace(key); code != exitOK || !strings.HasPrefix(key, "spk_") {
		t.Fatal(key, stderr)
	}

	p := start(t, env, "serve")
	base := "http://" + served(t, p)
	if status, body := get(t, base+"/readyz", ""); status != http.StatusOK {
		t.Fatalf("/readyz answered %d %s", status, body)
	}
	if status, body := post(t, base+"/api/1.0/reset-password/request", "", `{"email":["ada@example.test"]}`); status != http.StatusOK {
		t.Fatalf("asking answered %d %s", status, body)
	}
	link := mailed(t, smtp, 1).Link(testBaseURL + "/reset/")
	id := strings.TrimPrefix(link, testBaseURL+"/reset/")
	reset := base + "/api/1.0/reset-password/reset/" + id
	if status, body := post(t, reset, key, `{"password":"`+testPassword+`"}`); status != http.StatusOK {
		t.Fatalf("resetting answered %d %s", status, body)
	}
	if status, body := post(t, reset, key, `{"password":"`+testPassword+`"}`); status == http.StatusOK {
		t.Errorf("the link worked twice: %s", body)
	}
	verify := console{args: []string{"user", "verify", "ada@example.test", "--password-stdin"}, environ: env, stdin: strings.NewReader(testPassword)}
	if _, stderr, code := sparekey(t, verify); code != exitOK {
		t.Errorf("user verify: exit code %d: %s", code, stderr)
	}
	if notice := mailed(t, smtp, 2); notice.Link(testBaseURL+"/reset/") != "" || notice.To[0] != "ada@example.test" {
		t.Errorf("the second mail, to %q, is no notice:\n%s", notice.To, notice.Text())
	}

	http.DefaultClient.CloseIdleConnections()
	if code := p.end(t); code != exitOK {
		t.Errorf("serve ended with %d, want %d", code, exitOK)
	}
	for _, secret := range []string{id, key, testPassword, "opensesame", "ada@example.test"} {
		if strings.Contains(p.stderr.String(), secret) {
			t.Errorf("the log tells %q:\n%s", secret, p.stderr.String())
		}
	}
	if out := p.stdout.String(); out != "" {
		t.Errorf("serve printed %q", out)
	}
}

// TestServeAlone: a second process does not serve from the same database.
func TestServeAlone(t *testing.T) {
	t.Parallel()
	smtp := smtptest.Start(t)
	env := environ(freshDatabase(t), "SPAREKEY_LISTEN=127.0.0.1:0", "SPAREKEY_BASE_URL="+testBaseURL,
		"SPAREKEY_MAIL_SMTP="+smtp.URL(), "SPAREKEY_MAIL_FROM=noreply@example.com")
	served(t, start(t, env, "serve"))
	if _, stderr, code := sparekey(t, console{args: []string{"serve"}, environ: env}); code != exitFailed || !strings.Contains(stderr, "another sparekey process") {
		t.Errorf("exit code %d, want %d: %s", code, exitFailed, stderr)
	}
}

// TestServeToldToStopAtOnce: a service manager that changes its mind sees no failure.
func TestServeToldToStopAtOnce(t *testing.T) {
	t.Parallel()
	env := environ(freshDatabase(t), "SPAREKEY_LISTEN=127.0.0.1:0", "SPAREKEY_BASE_URL="+testBaseURL,
		"SPAREKEY_MAIL_SMTP=smtp://127.0.0.1:1", "SPAREKEY_MAIL_FROM=noreply@example.com")
	for _, args := range [][]string{{"serve"}, {"dev", "--listen", "127.0.0.1:0", "--data", t.TempDir()}} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var out, errs strings.Builder
		c := console{args: args, environ: env, stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
		if code := run(ctx, c); code != exitOK || strings.Contains(errs.String(), "error: ") {
			t.Errorf("%s: exit code %d, want %d: %s", args[0], code, exitOK, errs.String())
		}
	}
}

// served waits until it serves and returns its address.
func served(t *testing.T, p *process) string {
	t.Helper()
	address, _ := doors(t, p)
	return address
}

// redirecting waits until it serves and returns the address that only redirects.
func redirecting(t *testing.T, p *process) string {
	t.Helper()
	_, redirects := doors(t, p)
	return redirects
}

func doors(t *testing.T, p *process) (address, redirects string) {
	t.Helper()
	for line := range strings.Lines(p.waitFor(t, &p.stderr, `"event":"serve.started"`)) {
		var entry struct {
			Event, Listen string
			Redirect      string `json:"redirect_listen"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("a line of the log is no JSON: %v: %s", err, line)
		}
		if entry.Event == "serve.started" {
			return entry.Listen, entry.Redirect
		}
	}
	t.Fatal("the log does not tell the address")
	return "", ""
}

// mailed waits for the nth mail, counting from 1.
func mailed(t *testing.T, smtp *smtptest.Server, n int) smtptest.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	mails, err := smtp.Wait(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return mails[n-1]
}
