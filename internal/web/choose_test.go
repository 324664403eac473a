package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// TestThePasswordsField: managers and phones find what they look for (OWASP ASVS 6.2.6, 6.2.7).
func TestThePasswordsField(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	doc, err := html.Parse(strings.NewReader(p.get("/reset/" + s.MailedID(t, ada)).body))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	walk(doc, func(n *html.Node) {
		switch {
		case attr(n, "name") == "username":
			order = append(order, "username")
			if attr(n, "value") != ada || attr(n, "autocomplete") != "username" || !has(n, "hidden") {
				t.Errorf("the field for managers is %v", n.Attr)
			}
		case attr(n, "id") == "password-rules":
			order = append(order, "rules")
		case attr(n, "name") == "password":
			order = append(order, "password")
			if attr(n, "type") != "password" || attr(n, "autocomplete") != "new-password" || attr(n, "passwordrules") != "minlength: 15; maxlength: 1024; allowed: unicode;" || has(n, "value") {
				t.Errorf("the field is %v", n.Attr)
			}
		case n.Data == "input":
			t.Errorf("another field: %v", n.Attr)
		}
	})
	if got := strings.Join(order, " "); got != "username rules password" {
		t.Errorf("the form has %s", got)
	}
}

// TestOneAccountIsNotNamed: only who has several need know where a password will hold.
func TestOneAccountIsNotNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.AddUser(t, "bob@example.test", "Bob", "Initech")
	got := s.person(t).get("/reset/" + s.MailedID(t, "bob@example.test"))
	got.want(t, http.StatusOK, "/reset", "bob@example.test")
	if strings.Contains(got.body, "Initech") || strings.Contains(got.body, "all of your accounts") {
		t.Errorf("the page names the account:\n%s", got.body)
	}
}

// TestTheUsernameIsNotBelieved: the hidden field is for managers; the link says whose password it is (LTB #24).
func TestTheUsernameIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.AddUser(t, "bob@example.test", "Bob")
	p := s.person(t)
	p.get("/reset/" + s.MailedID(t, ada))
	p.post("/reset", "username", "bob@example.test", "password", good).want(t, http.StatusOK, "/done")
	if !s.VerifyPassword(t, ada, good) || s.VerifyPassword(t, "bob@example.test", good) {
		t.Error("the field decided whose password was changed")
	}
}

// TestWhatWasTypedIsNotSentBack: a page never holds a password; the script keeps it in the field.
func TestWhatWasTypedIsNotSentBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	p.get("/reset/" + s.MailedID(t, ada))
	const typed = "zufallsgenerator" + "ada@example.test"
	for _, password := range []string{"kurzundknapp", "qwertyuiopasdfghjkl"} {
		got := p.post("/reset", "password", password)
		if got.status != http.StatusBadRequest || strings.Contains(got.body, password) {
			t.Errorf("%d\n%s", got.status, got.body)
		}
	}
	if got := p.post("/reset/hint", "password", typed); strings.Contains(got.body, typed) {
		t.Errorf("the hint holds the password: %s", got.body)
	}
}

// TestChangedElsewhere: where the password lives elsewhere, a person is told plainly what became of it, and no browser keeps a link
// that is used up; a link that was given back stays where it is.
func TestChangedElsewhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		says   []string
		next   int // what /reset answers then
	}{
		"unsure": {errors.New("row 17"), http.StatusServiceUnavailable, []string{"may have been changed", "Try to log in with the new password", `href="/forgot"`}, http.StatusNotFound},
		"partly": {
			&reset.Partly{Done: []string{"Acme", "<b>"}, Failed: []string{"Globex"}, DoneID: "a.1", RestID: "b.1", Cause: errors.New("row 17")},
			http.StatusServiceUnavailable,
			[]string{"changed in some places", "holds here: ", "Acme", "&lt;b&gt;", "not hold here yet: ", "Globex", "link for the rest"},
			http.StatusNotFound,
		},
		"refused": {&reset.Unchanged{Cause: reset.Refused([]reset.Refusal{{Code: "history", Message: "Not one of your last ones."}})}, http.StatusBadRequest, []string{"Not one of your last ones."}, http.StatusOK},
		"away":    {&reset.Unchanged{Cause: reset.Busy("away", 5*time.Second, errors.New("row 17"))}, http.StatusServiceUnavailable, []string{"Your link still works", "5 seconds"}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "", servicetest.WithDirectory(func(d reset.Directory) reset.Directory { return farDirectory{d, c.err} }))
			p := s.person(t)
			p.get("/reset/" + s.MailedID(t, ada))
			got := p.post("/reset", "password", good)
			got.want(t, c.status, "/reset", c.says...)
			if strings.Contains(got.body, "row 17") || c.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "" {
				t.Errorf("%v\n%s", got.header, got.body)
			}
			if next := p.get("/reset"); next.status != c.next {
				t.Errorf("then the link is answered %d, want %d", next.status, c.next)
			}
		})
	}
}

// farDirectory has its passwords set elsewhere, with an error.
type farDirectory struct {
	reset.Directory
	err error
}

func (f farDirectory) Prepare(context.Context, reset.User, string, func(context.Context) error) (reset.Change, error) {
	return farChange{err: f.err}, nil
}

type farChange struct {
	reset.NoApply
	err error
}

func (f farChange) Set(context.Context) error { return f.err }

// TestTheEndOfALink: each says what became of it, when, and what to do.
func TestTheEndOfALink(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	s.AddUser(t, "off@example.test", "Off")
	p := s.person(t)
	first := s.MailedID(t, ada)
	s.Clock.Advance(4 * time.Minute)
	second := s.MailedID(t, ada)
	p.get("/reset/"+first).want(t, http.StatusGone, "/reset/"+first, "There is a newer link", "23 November 2026, 12:04 UTC</time>", "/assets/page-")
	opened := s.person(t)
	opened.get("/reset/" + second)
	s.Clock.Advance(time.Minute)
	third := s.MailedID(t, ada)
	opened.post("/reset", "password", good).want(t, http.StatusGone, "/reset", "There is a newer link", "12:05 UTC")
	p.get("/reset/" + third)
	p.post("/reset", "password", good).want(t, http.StatusOK, "/done")
	used := p.get("/reset/" + third)
	used.want(t, http.StatusGone, "/reset/"+third, "has already been used", "12:05 UTC", "If it was not you", `href="/forgot"`)
	p.get("/reset/"+second).want(t, http.StatusGone, "/reset/"+second, "no longer works", `href="/forgot"`)

	off := s.MailedID(t, "off@example.test")
	if err := s.Users.Disable(t.Context(), "off@example.test"); err != nil {
		t.Fatal(err)
	}
	p.get("/reset/"+off).want(t, http.StatusGone, "/reset/"+off, "no longer works")

	late := s.MailedID(t, ada)
	s.Clock.Advance(time.Hour)
	expired := p.get("/reset/" + late)
	expired.want(t, http.StatusGone, "/reset/"+late, "has expired", `<form method="post" action="/forgot"`, `name="email"`)
	for _, got := range []page{used, expired} {
		if strings.Contains(got.body, third) || strings.Contains(got.body, late) {
			t.Error("the page holds an id")
		}
	}
}

// TestHints: the script is told what the reset would say, and nobody else anything.
func TestHints(t *testing.T) {
	t.Parallel()
	s := newSite(t, "/auth", servicetest.WithThrottle())
	p := s.person(t)
	hint := func(p *person, password string, change ...func(*http.Request)) page {
		t.Helper()
		return p.send(http.MethodPost, "/auth/reset/hint", url.Values{"password": {password}}, change...)
	}
	nobody := hint(p, good)
	nobody.want(t, http.StatusNotFound, "/auth/reset/hint", "{}")
	p.get("/auth/reset/" + s.MailedID(t, ada))
	before := s.Dump(t)
	for password, want := range map[string]string{
		"short": "Use at least 15 characters; this one has 5.", "passwordpassword": "This is a well-known password", ada + "2": "not mostly your email address", good: `{"problems":[]}`,
	} {
		got := hint(p, password)
		got.want(t, http.StatusOK, "/auth/reset/hint", want)
		if h := got.header; h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Set-Cookie") != "" {
			t.Errorf("%v", h)
		}
	}
	if s.Dump(t) != before {
		t.Error("a hint changed the database")
	}
	hint(p, good, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }).want(t, http.StatusForbidden, "/auth/reset/hint")
	p.get("/auth/reset/hint").want(t, http.StatusMethodNotAllowed, "/auth/reset/hint")
	p.post("/auth/reset/hint", "pass", good).want(t, http.StatusBadRequest, "/auth/reset/hint", "{}")
	var last page
	for range 60 {
		last = hint(p, "short")
	}
	last.want(t, http.StatusTooManyRequests, "/auth/reset/hint", "{}")
	if last.header.Get("Retry-After") == "" {
		t.Errorf("%v", last.header)
	}
	stranger := s.person(t)
	stranger.client.Jar.SetCookies(mustURL(t, stranger.base+"/auth/reset"), []*http.Cookie{{Name: "sparekey_link", Value: reset.NewID().Reveal(), Path: "/auth/reset"}})
	hint(stranger, good).want(t, http.StatusNotFound, "/auth/reset/hint", "{}")
	p.post("/auth/reset", "password", good).want(t, http.StatusOK, "/auth/done")
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
