package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// get is a raw GET.
func get(target string, headers ...string) string {
	return strings.Join(append([]string{"GET " + target + " HTTP/1.1", "Connection: close"}, headers...), "\r\n") + "\r\n\r\n"
}

// brandedWorld serves for two accounts: Acme with a host of its own, in which are all people, and Globex without one.
func brandedWorld(t *testing.T, n int, env ...string) *world {
	t.Helper()
	w := newWorld(t, n)
	w.env = append(w.env, env...)
	must(t, w.env, "", "user", "add", "both@example.test", "--account", "Acme", "--account", "Globex")
	must(t, w.env, "", "user", "add", "none@example.test")
	w.start(t)
	// The service learns it from another process.
	must(t, w.env, "", "account", "set", "Acme", "--display-name", "Acme & Sons", "--sender", "Acme <noreply@acme.test>", "--host", "reset.acme.test")
	must(t, w.env, "", "account", "set", "Globex", "--display-name", "Globex Corporation")
	until(t, "the brands", patience, func() bool {
		return strings.Contains(w.raw(t, get("/forgot?account=2", "Host: reset.example.com")), "Globex Corporation")
	})
	return w
}

// TestBrands: by whatever host and page somebody asks, the mail wears the brand
// of an account of its user's, and nothing that the request said of itself.
func TestBrands(t *testing.T) {
	t.Parallel()
	const (
		plain  = "Example <noreply@example.com> " + baseURL + "/reset/ID"
		acme   = "Acme <noreply@acme.test> https://reset.acme.test/reset/ID"
		globex = "Globex Corporation <noreply@example.com> " + baseURL + "/reset/ID?account=2"
	)
	evil := []string{
		"X-Forwarded-Host: reset.acme.test", "X-Original-Host: reset.acme.test", "Forwarded: host=reset.acme.test", "X-Forwarded-Proto: http",
		"Referer: https://reset.acme.test/", "X-Forwarded-Host: evil.test",
	}
	cases := []struct {
		name, user string
		page       string // empty: the API
		host       string
		headers    []string
		want       string
	}{
		{"a member at the account's host", "", "", "reset.acme.test", nil, acme},
		{"a member at the default host", "", "", "reset.example.com", nil, acme},
		{"a member at a forged host", "", "", "evil.test", nil, acme},
		{"a member on another account's page", "", "/forgot?account=2", "reset.example.com", nil, acme},
		{"of both, at the account's host", "both@example.test", "", "RESET.acme.test.:8443", nil, acme},
		{"of both, on its page", "both@example.test", "/forgot", "reset.acme.test", nil, acme},
		{"of both, on the other's page", "both@example.test", "/forgot?account=2", "reset.example.com", nil, globex},
		{"of both, on the other's page at the first's host", "both@example.test", "/forgot?account=2", "reset.acme.test", nil, acme},
		{"of both, at the default host", "both@example.test", "/forgot", "reset.example.com", nil, plain},
		{"of both, at a forged host", "both@example.test", "/forgot", "evil.test", nil, plain},
		{"of both, by forged headers", "both@example.test", "/forgot", "reset.example.com", evil, plain},
		{"of both, by forged headers at the API", "both@example.test", "", "reset.example.com", evil, plain},
		{"of both, at a host that only begins so", "both@example.test", "", "reset.acme.test.evil.test", nil, plain},
		{"of both, with a user name before", "both@example.test", "", "reset.acme.test@evil.test", nil, plain},
		{"of both, an account by the API's query", "both@example.test", requestPath + "?account=2", "reset.example.com", nil, plain},
		{"of both, a malformed account", "both@example.test", "/forgot?account=02", "reset.example.com", nil, plain},
		{"of none, at the account's host", "none@example.test", "/forgot", "reset.acme.test", nil, plain},
	}
	w := brandedWorld(t, 4, "SPAREKEY_HTTP_TRUSTED_PROXIES=127.0.0.0/8")
	people := 0
	for i, c := range cases {
		if c.user == "" {
			c.user = person(people)
			people++
		}
		headers := append([]string{"Host: " + c.host}, c.headers...)
		target, kind, body, status := c.page, "application/x-www-form-urlencoded", url.Values{"email": {c.user}}.Encode(), "303 See Other"
		if c.page == "" || strings.HasPrefix(c.page, "/api/") {
			target, kind, body, status = requestPath, "application/json", asking(c.user), "200 OK"
			if c.page != "" {
				target = c.page
			}
		}
		answer := w.raw(t, post(target, kind, body, headers...))
		if strings.HasPrefix(answer, "HTTP/1.1 400 ") && strings.Contains(c.host, "@") {
			answer = w.raw(t, post(target, kind, body, "Host: evil.test")) // net/http refuses such a Host by itself
		}
		if !strings.HasPrefix(answer, "HTTP/1.1 "+status+"\r\n") || strings.Contains(answer, "evil") || strings.Contains(answer, "acme.test/") {
			t.Errorf("%s: answered %q, want %s", c.name, answer, status)
		}
		w.settled(t)
		mails := w.smtp.Messages()
		if len(mails) != i+1 {
			t.Fatalf("%s: %d mails, want %d", c.name, len(mails), i+1)
		}
		if got := mailWears(t, mails[i]); got != c.want {
			t.Errorf("%s: the mail is %s, want %s", c.name, got, c.want)
		}
		if strings.Contains(string(mails[i].Raw), "evil") {
			t.Errorf("%s: the mail repeats what was forged:\n%s", c.name, mails[i].Raw)
		}
	}
	w.stop(t)
}

// mailWears is whom a mail is from, and its link without the id.
func mailWears(t *testing.T, m smtptest.Message) string {
	t.Helper()
	from := m.Header().Get("From")
	link := regexp.MustCompile(`https://\S+/reset/[0-9a-f-]{36}\S*`).FindString(m.Text())
	if n := strings.Count(m.HTML(), strings.ReplaceAll(link, "&", "&amp;")); link == "" || n == 0 {
		t.Errorf("the link %q stands %d times in the HTML:\n%s", link, n, m.Text())
	}
	return strings.ReplaceAll(from, `"`, "") + " " + regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(link, "ID")
}

// TestBrandsTellNothing: at every host and on every page a known and an unknown
// address are answered byte for byte alike, and so are accounts that are not there or suspended.
func TestBrandsTellNothing(t *testing.T) {
	t.Parallel()
	w := brandedWorld(t, 1)
	for _, host := range []string{"reset.example.com", "reset.acme.test", "evil.test"} {
		for _, page := range []string{"/forgot", "/forgot?account=2", "/forgot?account=77"} {
			known := w.raw(t, post(page, "application/x-www-form-urlencoded", url.Values{"email": {person(0)}}.Encode(), "Host: "+host))
			unknown := w.raw(t, post(page, "application/x-www-form-urlencoded", url.Values{"email": {"person999@example.test"}}.Encode(), "Host: "+host))
			if known != unknown || !strings.HasPrefix(known, "HTTP/1.1 303 ") {
				t.Errorf("%s%s: known %q, unknown %q", host, page, known, unknown)
			}
		}
	}
	must(t, w.env, "", "account", "suspend", "Globex")
	until(t, "the suspension", patience, func() bool {
		return !strings.Contains(w.raw(t, get("/forgot?account=2", "Host: reset.example.com")), "Globex")
	})
	want := w.raw(t, get("/forgot?account=77", "Host: reset.example.com"))
	for _, account := range []string{"2", "3", "99999999999999999999", "-1", "", "x"} {
		if got := w.raw(t, get("/forgot?account="+account, "Host: reset.example.com")); got != want {
			t.Errorf("account %q is answered %q, and one that is not there %q", account, got, want)
		}
	}
	w.stop(t)
}

// TestStrictHosts: requests for hosts that are nobody's are refused, with code 12
// by the API, and nothing comes of them.
func TestStrictHosts(t *testing.T) {
	t.Parallel()
	w := brandedWorld(t, 3, "SPAREKEY_HTTP_STRICT_HOSTS=true", "SPAREKEY_BRAND_HOSTS=sparekey.internal", "SPAREKEY_HTTP_TRUSTED_PROXIES=127.0.0.0/8")
	for i, host := range []string{"reset.example.com:8443", "reset.acme.test", "SPAREKEY.internal."} {
		if answer := w.raw(t, post(requestPath, "application/json", asking(person(i)), "Host: "+host)); !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%s: answered %q", host, answer)
		}
		if answer := w.raw(t, get("/forgot", "Host: "+host)); !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("the page at %s: answered %q", host, answer)
		}
	}
	w.exactly(t, 3)
	for _, headers := range [][]string{
		{"Host: evil.test"},
		{"Host: 127.0.0.1"},
		{"Host: acme.test"},
		{"Host: x.reset.acme.test"},
		{"Host: reset.acme.test.evil.test"},
		{"Host: "},
		{"Host: evil.test", "X-Forwarded-Host: reset.acme.test", "Forwarded: host=reset.acme.test"},
	} {
		answer := w.raw(t, post(requestPath, "application/json", asking(person(0)), headers...))
		if !strings.HasPrefix(answer, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(answer, `"code":12`) || strings.Contains(answer, "evil") {
			t.Errorf("%q: the API answered %q", headers, answer)
		}
		for _, request := range []string{
			get("/forgot", headers...), get("/", headers...), post("/forgot", "application/x-www-form-urlencoded", "email="+person(0), headers...),
		} {
			answer := w.raw(t, request)
			if !strings.HasPrefix(answer, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(answer, "\r\nContent-Type: text/html") ||
				strings.Contains(answer, "evil") || strings.Contains(answer, "Location:") || strings.Contains(answer, "Set-Cookie:") {
				t.Errorf("%q: the page answered %q", headers, answer)
			}
		}
		if answer := w.raw(t, get("/readyz", headers...)); !strings.HasPrefix(answer, "HTTP/1.1 200 OK\r\n") {
			t.Errorf("%q: /readyz answered %q", headers, answer)
		}
	}
	w.settled(t)
	w.exactly(t, 3)
	w.stop(t)
}

// TestLogoIsServed: with headers with which a browser takes it for nothing but a picture, at every host, and for ever.
func TestLogoIsServed(t *testing.T) {
	t.Parallel()
	w := brandedWorld(t, 1)
	logo := filepath.Join(t.TempDir(), "logo.png")
	picture := pngOf(t, 120, 32)
	if err := os.WriteFile(logo, picture, 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, w.env, "", "account", "set", "Acme", "--logo", logo)
	path := regexp.MustCompile(`/assets/logo-[0-9a-f]{64}\.png`)
	var at string
	until(t, "the logo on the page", patience, func() bool {
		at = path.FindString(w.raw(t, get("/forgot", "Host: reset.acme.test")))
		return at != ""
	})
	if page := w.raw(t, get("/forgot", "Host: reset.example.com")); path.MatchString(page) {
		t.Error("the default brand has the logo as well")
	}
	head, body, _ := strings.Cut(w.raw(t, get(at, "Host: reset.acme.test")), "\r\n\r\n")
	for _, want := range []string{
		"HTTP/1.1 200 OK", "Content-Type: image/png", "Cache-Control: public, max-age=31536000, immutable", "X-Content-Type-Options: nosniff",
		"Content-Security-Policy: default-src 'none'; sandbox", fmt.Sprintf("Content-Length: %d", len(picture)), "Cross-Origin-Resource-Policy: same-origin",
	} {
		if !strings.Contains(head+"\r\n", want+"\r\n") {
			t.Errorf("the logo lacks %q: %s", want, head)
		}
	}
	if body != string(picture) || strings.Contains(head, "Set-Cookie") {
		t.Errorf("the logo is not as it was: %s", head)
	}
	for _, other := range []string{strings.Replace(at, ".png", ".jpg", 1), strings.Replace(at, "logo-", "logo-0", 1), "/assets/logo-" + strings.Repeat("0", 64) + ".png"} {
		if answer := w.raw(t, get(other, "Host: reset.acme.test")); !strings.HasPrefix(answer, "HTTP/1.1 404 ") {
			t.Errorf("%s: answered %q", other, answer)
		}
	}
	// In mails it is part of the mail.
	w.ask(t, person(0))
	w.exactly(t, 1)
	if raw := string(w.smtp.Messages()[0].Raw); !strings.Contains(raw, "Content-Type: image/png") || !strings.Contains(strings.ToLower(raw), "content-id: <") {
		t.Errorf("the mail has no logo:\n%s", raw)
	}
	if status, _, err := w.call(http.MethodGet, at, ""); err != nil || status != http.StatusOK {
		t.Errorf("at the default host: %d, %v", status, err)
	}
	w.stop(t)
}
