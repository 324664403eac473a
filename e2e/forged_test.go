package e2e

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
)

// TestForgedHost: whatever a request says of where it was sent to, even through
// a trusted proxy, the mailed link begins with the configured base URL.
func TestForgedHost(t *testing.T) {
	t.Parallel()
	const form = "application/x-www-form-urlencoded"
	forwarded := []string{
		"X-Forwarded-Host: evil.test", "X-Forwarded-Proto: http", "X-Forwarded-Port: 81", "X-Forwarded-Prefix: /evil.test",
		"X-Forwarded-Server: evil.test", "X-Original-Host: evil.test", "X-Host: evil.test",
		"Forwarded: for=192.0.2.1;host=evil.test;proto=http", "X-Forwarded-For: 192.0.2.1",
	}
	host := func(name string, more ...string) []string { return append([]string{"Host: " + name}, more...) }
	forms := []struct {
		name    string
		target  string
		headers []string
		status  string
	}{
		{"Host", requestPath, host("evil.test"), "200 OK"},
		{"Host with a port", requestPath, host("reset.example.com:81"), "200 OK"},
		{"forwarded", requestPath, host("reset.example.com", forwarded...), "200 OK"},
		{"Host and forwarded", requestPath, host("evil.test", forwarded...), "200 OK"},
		{"absolute-form", "http://evil.test" + requestPath, host("reset.example.com"), "200 OK"},
		{"absolute-form and all the others", "http://evil.test" + requestPath, host("evil.test", forwarded...), "200 OK"},
		{"the page", "/forgot", host("evil.test", forwarded...), "303 See Other"},
		{"the page, absolute-form", "http://evil.test/forgot", host("evil.test", forwarded...), "303 See Other"},
	}
	w := newWorld(t, len(forms))
	w.env = append(w.env, "SPAREKEY_HTTP_TRUSTED_PROXIES=127.0.0.0/8")
	w.start(t)
	for i, c := range forms {
		request := post(c.target, "application/json", asking(person(i)), c.headers...)
		if strings.HasSuffix(c.target, "/forgot") {
			request = post(c.target, form, url.Values{"email": {person(i)}}.Encode(), c.headers...)
		}
		answer := w.raw(t, request)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+c.status+"\r\n") || strings.Contains(answer, "evil") {
			t.Errorf("%s: answered %q, want %s", c.name, answer, c.status)
		}
	}
	w.exactly(t, len(forms))
	link := regexp.MustCompile(`https?://[^\s"'<>]+`)
	mails := map[string]smtptest.Message{}
	for _, m := range w.smtp.Messages() {
		mails[m.To[0]] = m
	}
	for i, c := range forms {
		m := mails[person(i)]
		for part, text := range map[string]string{"text": m.Text(), "HTML": m.HTML()} {
			if !strings.Contains(text, baseURL+"/reset/") {
				t.Errorf("%s: the %s part has no link at the base URL:\n%s", c.name, part, text)
			}
			for _, l := range link.FindAllString(text, -1) {
				if !strings.HasPrefix(l, baseURL+"/") {
					t.Errorf("%s: the %s part leads to %s", c.name, part, l)
				}
			}
			if strings.Contains(text, "evil") {
				t.Errorf("%s: the %s part repeats what was forged:\n%s", c.name, part, text)
			}
		}
		if strings.Contains(string(m.Raw), "evil") {
			t.Errorf("%s: the mail repeats what was forged:\n%s", c.name, m.Raw)
		}
	}
	w.stop(t)
}
