package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/web"
)

// TestOddPathsAreNotRedirected: what http.ServeMux would redirect to a path of
// the request's own making, outside of the prefix, has no page.
func TestOddPathsAreNotRedirected(t *testing.T) {
	t.Parallel()
	s := newSite(t, "/auth")
	p := s.person(t)
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	id := s.MailedID(t, ada)
	for _, path := range []string{"//forgot", "/reset//" + id, "/x/../forgot", "/./forgot", "//evil.test/x/..", "/forgot/", "/reset/" + id + "/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			got := p.send(method, "/auth"+path, nil)
			if got.status != http.StatusNotFound || got.header.Get("Location") != "" || !strings.Contains(got.body, "page does not exist") {
				t.Errorf("%s %s: %d to %q", method, path, got.status, got.header.Get("Location"))
			}
		}
	}
	if got := p.get("/auth"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/auth/forgot" {
		t.Errorf("the base URL itself: %d to %q", got.status, got.header.Get("Location"))
	}
	if got := p.send(http.MethodPost, "/auth", nil); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST to the base URL: %d, Allow %q", got.status, got.header.Get("Allow"))
	}
}

// TestThrottledReset: who is slowed down with a link in hand is shown the form
// again, not the way to a new link.
func TestThrottledReset(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", servicetest.WithThrottle())
	p := s.person(t)
	p.get("/reset/" + s.MailedID(t, ada))
	for range 101 {
		s.person(t).get("/reset/" + reset.NewID().Reveal())
	}
	got := p.post("/reset", "password", good)
	got.want(t, http.StatusTooManyRequests, "/reset", `type="password"`, `action="/reset"`, "try again", `aria-invalid="true"`)
	if got.header.Get("Retry-After") == "" || got.header.Get("Set-Cookie") != "" || strings.Contains(got.body, good) || strings.Contains(got.body, "The link works once") {
		t.Errorf("answered %v\n%s", got.header, got.body)
	}
	for _, path := range []string{"/reset", "/reset/" + reset.NewID().Reveal()} {
		got := p.get(path)
		got.want(t, http.StatusTooManyRequests, path, "open the link in the email again")
		if strings.Contains(got.body, "/forgot") || got.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v\n%s", path, got.header, got.body)
		}
	}
	if s.VerifyPassword(t, ada, good) {
		t.Error("a throttled reset changed the password")
	}
	s.Clock.Advance(30 * time.Minute)
	p.post("/reset", "password", good).want(t, http.StatusOK, "/done")
}

// faulty is a directory that cannot look anybody up by id.
type faulty struct {
	reset.Directory
	fault func(context.Context) error
}

func (f faulty) UserByID(ctx context.Context, id string) (reset.User, error) {
	if err := f.fault(ctx); err != nil {
		return reset.User{}, err
	}
	return f.Directory.UserByID(ctx, id)
}

// TestFaultsTellNothing: what went wrong inside is in the log, and nowhere in the page (OWASP ASVS 16.5).
func TestFaultsTellNothing(t *testing.T) {
	t.Parallel()
	const detail = "pq: relation users at /srv/secret"
	for _, c := range []struct {
		name   string
		fault  error
		status int
		text   string
		wait   string
	}{
		{"unforeseen", errors.New(detail), http.StatusInternalServerError, "Something went wrong", ""},
		{"not now", reset.Busy("busy", 1500*time.Millisecond, errors.New(detail)), http.StatusServiceUnavailable, "open the link in the email again", "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			broken := false
			w := servicetest.New(t, servicetest.WithDirectory(func(d reset.Directory) reset.Directory {
				return faulty{d, func(context.Context) error {
					if broken {
						return c.fault
					}
					return nil
				}}
			}))
			w.AddUser(t, ada, "Ada")
			id := w.MailedID(t, ada)
			broken = true
			var log strings.Builder
			pages := newPages(t, w, "Example", nil, &log)
			got := httptest.NewRecorder()
			pages.ServeHTTP(got, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reset/"+id, nil))
			if got.Code != c.status || !strings.Contains(got.Body.String(), c.text) || got.Header().Get("Retry-After") != c.wait {
				t.Errorf("%d %v\n%s", got.Code, got.Header(), got.Body)
			}
			if strings.Contains(got.Body.String(), "srv") || got.Header().Get("Set-Cookie") != "" {
				t.Errorf("the page tells %v\n%s", got.Header(), got.Body)
			}
			if form := postPassword(t, pages, id); form.Code != c.status || strings.Contains(form.Body.String(), "srv") ||
				strings.Contains(form.Body.String(), `type="password"`) != (c.wait != "") || form.Header().Get("Retry-After") != c.wait {
				t.Errorf("the form: %d %v\n%s", form.Code, form.Header(), form.Body)
			}
			if !strings.Contains(log.String(), detail) || strings.Contains(log.String(), id) {
				t.Errorf("the log has %q", log.String())
			}
		})
	}
}

func postPassword(t *testing.T, pages http.Handler, id string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reset", strings.NewReader(url.Values{"password": {good}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Cookie", "sparekey_link="+id)
	w := httptest.NewRecorder()
	pages.ServeHTTP(w, r)
	return w
}

// TestCallerWentAway: a browser that was closed is no fault of ours.
func TestCallerWentAway(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithDirectory(func(d reset.Directory) reset.Directory {
		return faulty{d, context.Context.Err}
	}))
	w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	var log strings.Builder
	ctx, leave := context.WithCancel(t.Context())
	pages := newPages(t, w, "Example", func(*http.Request) string { leave(); return "" }, &log)
	pages.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/reset/"+id, nil))
	if strings.Contains(log.String(), "ERROR") || !strings.Contains(log.String(), "page.canceled") {
		t.Errorf("the log has %q", log.String())
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	var log strings.Builder
	var fault any = "a fault of ours"
	pages := newPages(t, w, "Example", func(*http.Request) string { panic(fault) }, &log)
	open := func() *httptest.ResponseRecorder {
		got := httptest.NewRecorder()
		pages.ServeHTTP(got, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/reset/"+reset.NewID().Reveal(), nil))
		return got
	}
	got := open()
	if got.Code != http.StatusInternalServerError || !strings.Contains(got.Body.String(), "Something went wrong") || strings.Contains(got.Body.String(), "fault of ours") {
		t.Errorf("%d\n%s", got.Code, got.Body)
	}
	if got.Header().Get("Content-Security-Policy") == "" || !strings.Contains(log.String(), "a fault of ours") {
		t.Errorf("headers %v, log %q", got.Header(), log.String())
	}
	// The server itself aborts with this one; it is not ours to answer.
	fault = http.ErrAbortHandler
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler", err)
		}
	}()
	open()
	t.Error("http.ErrAbortHandler was swallowed")
}

// TestFormFailuresArePages: what is wrong with a form as such is said in a page too.
func TestFormFailuresArePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	p.get("/reset/" + s.MailedID(t, ada))
	for status, change := range map[int]func(*http.Request){
		http.StatusUnsupportedMediaType: func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		http.StatusForbidden:            func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
	} {
		wantPage(t, p.send(http.MethodPost, "/reset", url.Values{"password": {good}}, change), status)
	}
	wantPage(t, p.post("/reset", "password", strings.Repeat("a", 65<<10)), http.StatusRequestEntityTooLarge)
	wantPage(t, p.post("/reset", "password", good, "password", good), http.StatusBadRequest)
	if s.VerifyPassword(t, ada, good) {
		t.Error("a refused form changed the password")
	}
}

func wantPage(t *testing.T, got page, status int) {
	t.Helper()
	if got.status != status || got.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(got.body, "<h1>") ||
		got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %v, want %d\n%s", got.status, got.header, status, got.body)
	}
}

// newPages makes pages on a World; clientOf may be nil.
func newPages(t *testing.T, w *servicetest.World, name string, clientOf func(*http.Request) string, log *strings.Builder) *web.Pages {
	t.Helper()
	if clientOf == nil {
		clientOf = func(*http.Request) string { return "192.0.2.1" }
	}
	pages, err := web.New(web.Options{
		Service: w.Service, BaseURL: servicetest.BaseURL, ServiceName: name, MinLength: 15, MaxLength: 1024,
		ClientOf: clientOf, Now: w.Clock.Now, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
