package web_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/web"
)

const (
	ada  = "ada@example.test"
	good = "correct horse battery staple"
)

// site is the pages on a whole service, over TLS like in production.
type site struct {
	*servicetest.World
	pages  *web.Pages
	server *httptest.Server
}

func newSite(t testing.TB, prefix string, opts ...servicetest.Option) *site {
	t.Helper()
	s := &site{World: servicetest.New(t, opts...)}
	var err error
	var challenge func() ([]byte, error)
	if s.Puzzle != nil {
		challenge = func() ([]byte, error) { return s.Puzzle.Challenge(s.Clock.Now()) }
	}
	s.pages, err = web.New(web.Options{
		Service: s.Service, BaseURL: servicetest.BaseURL + prefix, ServiceName: "Example", MinLength: 15, MaxLength: 1024, Challenge: challenge,
		ClientOf: func(*http.Request) string { return "192.0.2.1" }, Now: s.Clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.server = httptest.NewTLSServer(http.StripPrefix(prefix, s.pages))
	t.Cleanup(s.server.Close)
	s.AddUser(t, ada, "Ada", "Acme", "Globex")
	return s
}

// person is somebody with a browser: it keeps cookies and follows redirects, and runs no JavaScript.
type person struct {
	t      *testing.T
	client *http.Client
	base   string
}

func (s *site) person(t *testing.T) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *s.server.Client()
	client.Jar = jar
	return &person{t: t, client: &client, base: s.server.URL}
}

// page is what a person sees in the end.
type page struct {
	status int
	path   string // in the address bar
	header http.Header
	body   string
}

func (p *person) send(method, path string, form url.Values, change ...func(*http.Request)) page {
	p.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range change {
		c(req)
	}
	res, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return page{res.StatusCode, res.Request.URL.Path, res.Header, string(text)}
}

func (p *person) get(path string) page { p.t.Helper(); return p.send(http.MethodGet, path, nil) }

func (p *person) post(path string, fields ...string) page {
	p.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return p.send(http.MethodPost, path, form)
}

func (p page) want(t *testing.T, status int, path string, texts ...string) {
	t.Helper()
	if p.status != status || p.path != path {
		t.Errorf("at %s with %d, want %s with %d:\n%s", p.path, p.status, path, status, p.body)
	}
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("%s does not say %q:\n%s", p.path, text, p.body)
		}
	}
}

func TestTheWholeWay(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "/auth"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, prefix)
			p := s.person(t)
			p.get(prefix+"/").want(t, http.StatusOK, prefix+"/forgot", `action="`+prefix+`/forgot"`)
			p.get(prefix+"/.well-known/change-password").want(t, http.StatusOK, prefix+"/forgot")
			p.post(prefix+"/forgot", "email", " "+ada+" ").want(t, http.StatusOK, prefix+"/sent", "Check your email")
			s.WorkOutbox(t)
			links := s.Links()
			if len(links) != 1 {
				t.Fatalf("%d mails were sent, want 1", len(links))
			}
			id := servicetest.ID(links[0])
			opened := p.get(prefix + "/reset/" + id)
			opened.want(t, http.StatusOK, prefix+"/reset", "all of your accounts", "23 November 2026, 13:00 UTC</time>", "Acme and Globex", `action="`+prefix+`/reset"`)
			if strings.Contains(opened.body, id) {
				t.Error("the page with the form holds the id")
			}
			p.post(prefix+"/reset", "password", "too short").want(t, http.StatusBadRequest, prefix+"/reset", `aria-invalid="true"`, "at least 15")
			p.post(prefix+"/reset", "password", good).want(t, http.StatusOK, prefix+"/done", "Your password is changed")
			if !s.VerifyPassword(t, ada, good) {
				t.Error("the password is not changed")
			}
			p.get(prefix+"/reset").want(t, http.StatusNotFound, prefix+"/reset", "open the link again") // the cookie is gone
			p.get(prefix+"/reset/"+id).want(t, http.StatusGone, prefix+"/reset/"+id, "has already been used", prefix+"/forgot")
		})
	}
}

func TestPasswordsAreTakenAsTyped(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	p.get("/reset/" + s.MailedID(t, ada))
	const typed = "  über + 100% &amp; 🔑 späße  "
	p.post("/reset", "password", typed).want(t, http.StatusOK, "/done")
	if !s.VerifyPassword(t, ada, typed) || s.VerifyPassword(t, ada, strings.TrimSpace(typed)) {
		t.Error("the password that holds is not the one that was typed")
	}
}

func TestDeadLinks(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	first := s.MailedID(t, ada)
	second := s.MailedID(t, ada)
	p.get("/reset/"+first).want(t, http.StatusGone, "/reset/"+first, "There is a newer link", `datetime="2026-11-23T12:00:00Z"`)

	unknown := reset.NewID().Reveal()
	for _, id := range []string{unknown, strings.ToUpper(second), "%7B" + second + "%7D", second + "%00", "x", "..%2f" + second} {
		got := p.get("/reset/" + id)
		if got.status != http.StatusNotFound || !strings.Contains(got.body, "We do not know this link") || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d, cookie %q\n%s", id, got.status, got.header.Get("Set-Cookie"), got.body)
		}
	}
	// A dead link opened in another tab does not close the one that is open.
	p.get("/reset/"+second).want(t, http.StatusOK, "/reset")
	p.get("/reset/"+first).want(t, http.StatusGone, "/reset/"+first)
	p.get("/reset").want(t, http.StatusOK, "/reset")

	s.Clock.Advance(time.Hour)
	p.post("/reset", "password", good).want(t, http.StatusGone, "/reset", "has expired", `action="/forgot"`)
	p.get("/reset").want(t, http.StatusNotFound, "/reset", "open the link again")
	if s.VerifyPassword(t, ada, good) {
		t.Error("an expired link changed the password")
	}
}

func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	id := s.MailedID(t, ada)
	before := s.Dump(t)
	for range 10 {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			scanner := s.person(t)
			if got := scanner.send(method, "/reset/"+id, nil); got.status != http.StatusOK {
				t.Fatalf("%s answers %d", method, got.status)
			}
		}
	}
	if after := s.Dump(t); after != before {
		t.Error("opening the link changed the database")
	}
	p := s.person(t)
	p.get("/reset/" + id)
	p.post("/reset", "password", good).want(t, http.StatusOK, "/done")
}

func TestCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, "/auth")
	p := s.person(t)
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	id := s.MailedID(t, ada)
	s.Clock.Advance(20 * time.Minute)
	got := p.get("/auth/reset/" + id)
	cookies, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil || got.status != http.StatusSeeOther || got.header.Get("Location") != "/auth/reset" {
		t.Fatalf("%d to %q, cookie %v, %v", got.status, got.header.Get("Location"), cookies, err)
	}
	if c := cookies; !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/auth/reset" || c.MaxAge != 40*60 || c.Value != id {
		t.Errorf("the cookie is %s", got.header.Get("Set-Cookie"))
	}
	if h := got.header; h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Security-Policy") == "" {
		t.Errorf("the redirect has the headers %v", h)
	}
	done := p.post("/auth/reset", "password", good)
	if c := done.header.Get("Set-Cookie"); done.status != http.StatusSeeOther || !strings.Contains(c, "Max-Age=0") || strings.Contains(c, id) {
		t.Errorf("after the reset: %d, cookie %q", done.status, c)
	}
	// Nobody is logged in, ever: no page sets any other cookie.
	for _, path := range []string{"/auth/done", "/auth/forgot", "/auth/sent", "/auth/nowhere"} {
		if c := p.get(path).header.Get("Set-Cookie"); c != "" {
			t.Errorf("%s sets %q", path, c)
		}
	}
}

func TestTwoCookiesAreNotBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	id := s.MailedID(t, ada)
	got := s.person(t).send(http.MethodGet, "/reset", nil, func(r *http.Request) {
		r.Header.Set("Cookie", "sparekey_link="+reset.NewID().Reveal()+"; sparekey_link="+id)
	})
	got.want(t, http.StatusNotFound, "/reset", "open the link again")
}

func TestTheSameForEverybody(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", servicetest.WithThrottle())
	s.AddUser(t, "off@example.test", "Off")
	if err := s.Users.Disable(t.Context(), "off@example.test"); err != nil {
		t.Fatal(err)
	}
	p := s.person(t)
	var first page
	for i, email := range []string{ada, ada, "nobody@example.test", "off@example.test", ada} {
		got := p.post("/forgot", "email", email)
		got.header.Del("Date")
		if i == 0 {
			first = got
			continue
		}
		if got.status != first.status || got.path != first.path || got.body != first.body || fmt.Sprint(got.header) != fmt.Sprint(first.header) {
			t.Errorf("%s is answered differently: %d %s %v\n%s", email, got.status, got.path, got.header, got.body)
		}
	}
}

func TestBadAddresses(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	for _, email := range []string{"", "ada", "a@b", "ada@example.test,eve@example.test", "Ada <ada@example.test>", "ada@example.test\r\ncc: eve@example.test", `"><img src=x onerror=alert(1)>`} {
		got := p.post("/forgot", "email", email)
		got.want(t, http.StatusBadRequest, "/forgot", `aria-invalid="true"`, `aria-describedby="email-problem"`, `id="email-problem"`)
		if strings.Contains(got.body, "<img") {
			t.Errorf("what was typed is not escaped:\n%s", got.body)
		}
	}
	if n := len(s.Pending()); n != 0 {
		t.Errorf("%d mails are on their way", n)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	send := func(contentType, body string) page {
		return p.send(http.MethodPost, "/forgot?email=ada@example.test", nil, func(r *http.Request) {
			r.Header.Set("Content-Type", contentType)
			r.Body = io.NopCloser(strings.NewReader(body))
			r.ContentLength = int64(len(body))
		})
	}
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, kind, body string
		want             int
	}{
		{"json", "application/json", `{"email":"ada@example.test"}`, http.StatusUnsupportedMediaType},
		{"multipart", "multipart/form-data; boundary=x", "--x--", http.StatusUnsupportedMediaType},
		{"no type", "", "email=ada@example.test", http.StatusUnsupportedMediaType},
		{"the field is missing", form, "mail=ada@example.test", http.StatusBadRequest},
		{"only in the query", form, "", http.StatusBadRequest},
		{"twice", form, "email=ada@example.test&email=eve@example.test", http.StatusBadRequest},
		{"not UTF-8", form, "email=%ff", http.StatusBadRequest},
		{"broken encoding", form, "email=%zz", http.StatusBadRequest},
		{"too long", form, "email=" + strings.Repeat("a", 65<<10), http.StatusRequestEntityTooLarge},
		{"fine", form + "; charset=utf-8", "email=ada%40example.test", http.StatusOK},
	} {
		if got := send(c.kind, c.body); got.status != c.want {
			t.Errorf("%s: %d, want %d", c.name, got.status, c.want)
		}
	}
	if n := len(s.Pending()); n != 1 {
		t.Errorf("%d mails are on their way, want 1", n)
	}
}

func TestOtherSitesFormsAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	p.get("/reset/" + s.MailedID(t, ada))
	for name, set := range map[string]func(http.Header){
		"cross-site":                 func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
		"same-site, other origin":    func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
		"an old browser's Origin":    func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("Origin", "https://evil.test") },
		"an old browser's null":      func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("Origin", "null") },
		"cross-site, forged referer": func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site"); h.Set("Referer", p.base+"/reset") },
	} {
		for path, form := range map[string]url.Values{"/reset": {"password": {good}}, "/forgot": {"email": {ada}}} {
			got := p.send(http.MethodPost, path, form, func(r *http.Request) { set(r.Header) })
			if got.status != http.StatusForbidden || !strings.Contains(got.body, "another site") {
				t.Errorf("%s, %s: %d", name, path, got.status)
			}
		}
	}
	if s.VerifyPassword(t, ada, good) || len(s.Pending()) != 0 {
		t.Error("a form of another site was taken")
	}
	// curl and the like send neither header; there is no browser to be tricked.
	got := p.send(http.MethodPost, "/forgot", url.Values{"email": {ada}}, func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") })
	got.want(t, http.StatusOK, "/sent")
}

func TestForgedHostsAreNotBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got := p.send(http.MethodPost, "/forgot", url.Values{"email": {ada}}, func(r *http.Request) {
		r.Host = "evil.test"
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host"} {
			r.Header.Set(name, "evil.test")
		}
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("Forwarded", "host=evil.test;proto=http")
		r.Header.Set("X-Forwarded-Prefix", "/evil")
	})
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/sent" || strings.Contains(fmt.Sprint(got), "evil") {
		t.Errorf("answered %d %v", got.status, got.header)
	}
	s.WorkOutbox(t)
	if link := s.Links()[0].Link; !strings.HasPrefix(link, servicetest.BaseURL+"/reset/") {
		t.Errorf("the link is %q", link)
	}
}

func TestThrottled(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", servicetest.WithThrottle())
	p := s.person(t)
	for range 30 {
		p.post("/forgot", "email", ada).want(t, http.StatusOK, "/sent")
	}
	got := p.post("/forgot", "email", ada)
	got.want(t, http.StatusTooManyRequests, "/forgot", "Too many attempts")
	if got.header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After is %q, want 2", got.header.Get("Retry-After"))
	}
}

func TestLockedDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", servicetest.WithBusyTimeout(10*time.Millisecond))
	p := s.person(t)
	p.get("/reset/" + s.MailedID(t, ada))
	unlock := s.Lock(t)
	p.post("/forgot", "email", ada).want(t, http.StatusServiceUnavailable, "/forgot", "cannot answer right now")
	got := p.post("/reset", "password", good)
	got.want(t, http.StatusServiceUnavailable, "/reset", "Your link still works", `type="password"`, "The link works once", "all of your accounts")
	if got.header.Get("Retry-After") == "" || strings.Contains(got.body, "SQLITE") {
		t.Errorf("answered %v\n%s", got.header, got.body)
	}
	unlock()
	p.post("/reset", "password", good).want(t, http.StatusOK, "/done")
}

// everyPage asks for each page there is, and each failure.
func everyPage(t *testing.T) map[string]page {
	t.Helper()
	s := newSite(t, "")
	id := s.MailedID(t, ada)
	p := s.person(t)
	all := map[string]page{"a form": p.get("/reset/" + id)}
	for _, path := range []string{"/forgot", "/sent", "/done", "/nowhere", "/reset/unknown"} {
		all[path] = p.get(path)
	}
	all["a refused password"] = p.post("/reset", "password", "short")
	all["a bad address"] = p.post("/forgot", "email", "x")
	all["another method"] = p.send(http.MethodDelete, "/forgot", nil)
	all["another site"] = p.send(http.MethodPost, "/forgot", url.Values{}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	w := httptest.NewRecorder()
	s.pages.WriteError(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil), context.DeadlineExceeded)
	all["an error from outside"] = page{w.Code, "/x", w.Header(), w.Body.String()}
	puzzled := newSite(t, "", servicetest.WithPuzzle(puzzle.Options{Difficulty: 20})).person(t)
	all["a puzzle"] = puzzled.get("/forgot")
	all["a puzzle that nobody solved"] = puzzled.post("/forgot", "email", ada)
	return all
}

func TestHeadersOnEveryPage(t *testing.T) {
	t.Parallel()
	for name, p := range everyPage(t) {
		for header, want := range map[string]string{
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
			"X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
			"Content-Type": "text/html; charset=utf-8",
		} {
			if got := p.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		csp := p.header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s: the policy %q lacks %q", name, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: the policy is lax: %q", name, csp)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	for path, allow := range map[string]string{"/forgot": "GET, HEAD, POST", "/sent": "GET, HEAD", "/reset": "GET, HEAD, POST", "/done": "GET, HEAD"} {
		got := p.send(http.MethodPut, path, nil)
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != allow {
			t.Errorf("PUT %s: %d, Allow %q, want %q", path, got.status, got.header.Get("Allow"), allow)
		}
	}
	if got := p.send(http.MethodHead, "/forgot", nil); got.status != http.StatusOK || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
	p.send(http.MethodPost, "/reset/"+s.MailedID(t, ada), url.Values{"password": {good}}).want(t, http.StatusMethodNotAllowed, p.lastPath(s))
}

func (p *person) lastPath(s *site) string {
	links := s.Links()
	return "/reset/" + servicetest.ID(links[len(links)-1])
}
