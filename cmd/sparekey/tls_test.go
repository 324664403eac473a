package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// answer is what a test looks at of one.
type answer struct {
	status, http int
	header       http.Header
}

// TestServeTLS: with a certificate the service speaks TLS by itself, tells
// browsers to stay with it on every answer, and sends those who come without to it.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	certificate, key := authority.Good(t, "reset.example.com").Write(t, t.TempDir())
	p := start(t, environ(freshDatabase(t), "SPAREKEY_LISTEN=127.0.0.1:0", "SPAREKEY_BASE_URL="+testBaseURL,
		"SPAREKEY_MAIL_SMTP="+smtptest.Start(t).URL(), "SPAREKEY_MAIL_FROM=noreply@example.com",
		"SPAREKEY_TLS_CERTIFICATE="+certificate, "SPAREKEY_TLS_KEY="+key, "SPAREKEY_TLS_REDIRECT_LISTEN=127.0.0.1:0"), "serve")
	address := served(t, p)
	client := &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: authority.Pool(), ServerName: "reset.example.com", MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       20 * time.Second,
	}
	defer client.CloseIdleConnections()
	ask := func(method, address, body string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return answer{resp.StatusCode, resp.ProtoMajor, resp.Header}
	}
	const api = "/api/1.0/reset-password/"
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, api + "request", `{"email":["ada@example.test"]}`, http.StatusOK},
		{http.MethodPost, api + "request", `{`, http.StatusBadRequest},
		{http.MethodGet, api + "metadata/5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11", "", http.StatusUnauthorized},
		{http.MethodGet, api + "nowhere", "", http.StatusNotFound},
		{http.MethodDelete, api + "request", "", http.StatusMethodNotAllowed},
		{http.MethodOptions, api + "request", "", http.StatusMethodNotAllowed},
		{http.MethodGet, "/api/1.0/openapi.yaml", "", http.StatusOK},
		{http.MethodGet, "/forgot", "", http.StatusOK},
		{http.MethodGet, "/nowhere", "", http.StatusNotFound},
		{http.MethodGet, "/readyz", "", http.StatusOK},
	} {
		resp := ask(tt.method, "https://"+address+tt.path, tt.body)
		if hsts := resp.header.Get("Strict-Transport-Security"); hsts != "max-age=31536000" || resp.http != 2 || resp.status != tt.status {
			t.Errorf("%s %s: %d by HTTP/%d with HSTS %q, want %d", tt.method, tt.path, resp.status, resp.http, hsts, tt.status)
		}
	}

	plain := "http://" + redirecting(t, p)
	if resp := ask(http.MethodGet, plain+"/forgot", ""); resp.header.Get("Location") != testBaseURL+"/forgot" {
		t.Errorf("without TLS: %d, to %q", resp.status, resp.header.Get("Location"))
	}
	if resp := ask(http.MethodPost, plain+api+"request", `{"email":["ada@example.test"]}`); resp.status != http.StatusBadRequest {
		t.Errorf("the API without TLS: %d", resp.status)
	}
	client.CloseIdleConnections()
	if code := p.end(t); code != exitOK {
		t.Errorf("serve ended with %d", code)
	}
}

// TestServeRefusesABadCertificate: it does not start with a pair that does not fit, and says what to do.
func TestServeRefusesABadCertificate(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	dir := t.TempDir()
	certificate, key := authority.Good(t, "reset.example.com").Write(t, dir)
	other, _ := authority.Good(t, "reset.example.com").Write(t, t.TempDir())
	env := environ(freshDatabase(t), "SPAREKEY_LISTEN=127.0.0.1:0", "SPAREKEY_BASE_URL="+testBaseURL,
		"SPAREKEY_MAIL_SMTP=smtp://127.0.0.1:1", "SPAREKEY_MAIL_FROM=noreply@example.com")
	for name, pair := range map[string][2]string{
		"another's": {other, key}, "missing": {certificate, filepath.Join(dir, "nowhere.pem")},
	} {
		c := console{args: []string{"serve"}, environ: append(env, "SPAREKEY_TLS_CERTIFICATE="+pair[0], "SPAREKEY_TLS_KEY="+pair[1])}
		if _, stderr, code := sparekey(t, c); code != exitFailed || !strings.Contains(stderr, "hint: put PEM files at tls.certificate and tls.key") {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
}

// TestDoctorLooksAtTheCertificate: what people would be warned of, the doctor tells before.
func TestDoctorLooksAtTheCertificate(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	now := time.Now()
	good := authority.Good(t, "reset.example.com")
	for _, tt := range []struct {
		name     string
		pair     certtest.Pair
		mode     os.FileMode
		settings []string
		want     string
	}{
		{"good", good, 0o600, nil, "ok   certificate: that in "},
		{"for a group", good, 0o640, nil, "ok   certificate: that in "},
		{"for everybody", good, 0o644, nil, "FAIL certificate: "},
		{"expired", authority.Issue(t, now.AddDate(0, -3, 0), now.Add(-time.Hour), "reset.example.com"), 0o600, nil, "FAIL certificate: the certificate has expired on "},
		{"soon", authority.Issue(t, now.AddDate(0, -3, 0), now.Add(time.Hour), "reset.example.com"), 0o600, nil, "FAIL certificate: the certificate expires on "},
		{"another name", authority.Good(t, "www.example.com"), 0o600, nil, "FAIL certificate: the certificate is not for reset.example.com"},
		{"the proxy's name", authority.Good(t, "inside.example.com"), 0o600, []string{"SPAREKEY_HTTP_TRUSTED_PROXIES=10.0.0.1"}, "(note: it is not for the host of base_url"},
		{"no pair", certtest.Pair{Certificate: good.Certificate}, 0o600, nil, "FAIL certificate: the certificate and its key do not fit"},
	} {
		certificate, key := tt.pair.Write(t, t.TempDir())
		if err := os.Chmod(key, tt.mode); err != nil {
			t.Fatal(err)
		}
		env := environ(append(tt.settings, freshDatabase(t), "SPAREKEY_BASE_URL="+testBaseURL,
			"SPAREKEY_TLS_CERTIFICATE="+certificate, "SPAREKEY_TLS_KEY="+key)...)
		out, _, _ := sparekey(t, console{args: []string{"doctor"}, environ: env})
		if !strings.Contains(out, tt.want) || strings.Contains(out, "FAIL certificate") != strings.HasPrefix(tt.want, "FAIL") {
			t.Errorf("%s: got\n%s\nwant %s", tt.name, out, tt.want)
		}
	}
}
