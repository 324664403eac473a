package devbox

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	nethtml "golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const base = "http://127.0.0.1:8080"

func newBox(t *testing.T) *Box {
	t.Helper()
	composer, err := mail.NewComposer(mail.Sender{From: "Demo <no-reply@example.com>", BaseURL: base}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return New(composer, time.Now)
}

func user(t *testing.T, address string) reset.User {
	t.Helper()
	a, err := reset.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return reset.User{ID: "1", Email: a, Name: "Ada"}
}

// sendLink puts a mail with a link into the box and returns the id in it.
func sendLink(t *testing.T, b *Box, u reset.User) string {
	t.Helper()
	id := reset.NewID().Reveal()
	if err := b.SendLink(t.Context(), reset.LinkMail{User: u, Link: base + "/reset/" + id, ExpiresAt: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	return id
}

func sendNotice(t *testing.T, b *Box, u reset.User) {
	t.Helper()
	if err := b.SendNotice(t.Context(), reset.NoticeMail{User: u, ChangedAt: time.Now(), ForgotURL: base + "/forgot"}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, b *Box, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	b.Handler(t.Context()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	return w
}

func next(t *testing.T, b *Box, address string) (status int, body string) {
	t.Helper()
	w := get(t, b, "/dev/mail/next?to="+url.QueryEscape(address))
	return w.Code, w.Body.String()
}

func TestTheListShowsTheNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	if body := get(t, b, "/dev/mail").Body.String(); !strings.Contains(body, "No mail yet") {
		t.Errorf("an empty box shows\n%s", body)
	}
	sendLink(t, b, user(t, "ada@example.com"))
	sendNotice(t, b, user(t, "bob@example.com"))
	w := get(t, b, "/dev/mail")
	body := w.Body.String()
	second, first := strings.Index(body, `<td>bob@example.com</td>`), strings.Index(body, `<td>ada@example.com</td>`)
	if second < 0 || first < second {
		t.Errorf("the order is wrong in\n%s", body)
	}
	for _, want := range []string{`<noscript><meta http-equiv="refresh"`, `data-newest="2"`, "choose a new password for ada@example.com", "was changed", `href="/dev/mail/2"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the list lacks %q", want)
		}
	}
	if strings.Contains(body, "/reset/") {
		t.Error("the list shows a link")
	}
}

func TestAMailIsShownWhole(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	id := sendLink(t, b, user(t, "ada@example.com"))
	w := get(t, b, "/dev/mail/1")
	body := w.Body.String()
	if w.Code != http.StatusOK {
		t.Fatalf("got %d: %s", w.Code, body)
	}
	link := base + "/reset/" + id
	for _, want := range []string{`<a href="` + link + `">` + link + `</a>`, "Auto-Submitted", "auto-generated", "&lt;ada@example.com&gt;", "Hello Ada,", "Content-Transfer-Encoding: quoted-printable"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q in\n%s", want, body)
		}
	}
	l, _ := b.find(1)
	html := strings.ReplaceAll(l.message.HTML, "color-scheme: light dark", "color-scheme: SCHEME")
	html = strings.ReplaceAll(html, `content="light dark"`, `content="SCHEME"`)
	for i, scheme := range []struct{ name, asked string }{{"light", "(max-width: 0)"}, {"dark", "(min-width: 0)"}} {
		want := strings.ReplaceAll(strings.ReplaceAll(html, "SCHEME", scheme.name), "(prefers-color-scheme: dark)", scheme.asked)
		if got := frames(t, body)[i]; got != want || got == l.message.HTML {
			t.Errorf("the %s frame shows\n%s\nwant\n%s", scheme.name, got, want)
		}
	}
}

// frames are the documents inside the page's two iframes, which must be sandboxed.
func frames(t *testing.T, page string) (documents []string) {
	t.Helper()
	for tokens := nethtml.NewTokenizer(strings.NewReader(page)); tokens.Next() != nethtml.ErrorToken; {
		token := tokens.Token()
		if token.Data != "iframe" || token.Type != nethtml.StartTagToken {
			continue
		}
		attrs := map[string]string{}
		for _, a := range token.Attr {
			attrs[a.Key] = a.Val
		}
		if sandbox, there := attrs["sandbox"]; !there || sandbox != "" {
			t.Errorf("the frame's sandbox is %q (%v), want the strictest", sandbox, there)
		}
		documents = append(documents, attrs["srcdoc"])
	}
	if len(documents) != 2 {
		t.Fatalf("the page has %d frames, want a light and a dark one", len(documents))
	}
	return documents
}

func TestNothingInAMailEscapesIntoThePages(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	u := user(t, "ada@example.com")
	for _, name := range []string{`"><img src=x onerror=alert(1)>`, `</pre><script>alert(1)</script>`, `{{.}}`, `" onload="alert(1)`} {
		u.Name = name
		u.Accounts = []reset.Account{{ID: 1, Name: name}}
		sendLink(t, b, u)
	}
	for _, target := range []string{"/dev/mail", "/dev/mail/1", "/dev/mail/2", "/dev/mail/3", "/dev/mail/4"} {
		w := get(t, b, target)
		for tokens := nethtml.NewTokenizer(strings.NewReader(w.Body.String())); tokens.Next() != nethtml.ErrorToken; {
			token := tokens.Token()
			if own := token.Type == nethtml.EndTagToken || token.String() == `<script src="/dev/mail/box.js" defer="">`; token.Data == "img" || token.Data == "script" && !own {
				t.Errorf("%s has a %v", target, token)
			}
			for _, a := range token.Attr {
				if strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s has the attribute %s", target, a.Key)
				}
			}
		}
	}
	if page := get(t, b, "/dev/mail/3").Body.String(); !strings.Contains(html.UnescapeString(page), "Hello {{.}},") {
		t.Error("a name with braces is not shown as it is")
	}
}

func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	sendLink(t, b, user(t, "ada@example.com"))
	for _, target := range []string{"/dev/mail", "/dev/mail/1", "/dev/mail/99", "/dev/mail/next?to=x", "/dev/mail/next?to=ada@example.com", "/dev/mail/box.js"} {
		h := get(t, b, target).Header()
		csp := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || !strings.Contains(csp, "script-src 'self';") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: the policy is %q", target, csp)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the headers are %v", target, h)
		}
	}
}

func TestUnknownMailsAndMethods(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, target := range []string{"/dev/mail/1", "/dev/mail/0", "/dev/mail/-1", "/dev/mail/x", "/dev/mail/999999999999999999999"} {
		if w := get(t, b, target); w.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", target, w.Code)
		}
	}
	if w := get(t, b, "/dev/mail/"); w.Header().Get("Location") != "/dev/mail" {
		t.Errorf("/dev/mail/ leads to %q", w.Header().Get("Location"))
	}
	w := httptest.NewRecorder()
	b.Handler(t.Context()).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/dev/mail", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST answers %d", w.Code)
	}
}

func TestNextHandsEveryIDOutOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		ada, bob := user(t, "ada@example.com"), user(t, "bob@example.com")
		sendLink(t, b, ada)
		newest := sendLink(t, b, ada)
		bobs := sendLink(t, b, bob)
		sendNotice(t, b, ada)
		// Of two the newest, and under any spelling of the same address.
		if status, body := next(t, b, "ADA@Example.COM"); status != http.StatusOK || body != newest+"\n" {
			t.Errorf("got %d, %q", status, body)
		}
		// The older one died with it.
		start := time.Now()
		if status, body := next(t, b, "ada@example.com"); status != http.StatusNotFound || !strings.Contains(body, "no new mail") {
			t.Errorf("got %d, %q", status, body)
		}
		if waited := time.Since(start); waited != patience {
			t.Errorf("it waited %v, want %v", waited, patience)
		}
		if status, body := next(t, b, "bob@example.com"); status != http.StatusOK || body != bobs+"\n" {
			t.Errorf("got %d, %q", status, body)
		}
	})
}

func TestLatestHandsOutTheNewestAgainAndAgain(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	const target = "/dev/mail/latest?to=ada@example.com"
	if w := get(t, b, target); w.Code != http.StatusNotFound {
		t.Errorf("without a mail it answers %d, want 404", w.Code)
	}
	sendLink(t, b, user(t, "ada@example.com"))
	want := sendLink(t, b, user(t, "Ada@Example.com"))
	sendLink(t, b, user(t, "bob@example.com"))
	sendNotice(t, b, user(t, "ada@example.com"))
	for range 2 {
		if w := get(t, b, target); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("got %d %q, want %q", w.Code, w.Body, want)
		}
	}
	if w := get(t, b, "/dev/mail/latest?to=nobody"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "/dev/mail/latest?to=") {
		t.Errorf("no address: %d %q", w.Code, w.Body)
	}
}

func TestNextWaitsForAMail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		var waiting sync.WaitGroup
		var status int
		var body string
		waiting.Go(func() { status, body = next(t, b, "ada@example.com") })
		time.Sleep(patience / 2) //nolint:forbidigo // synctest's time passes at once
		sendLink(t, b, user(t, "bob@example.com"))
		sendNotice(t, b, user(t, "ada@example.com"))
		time.Sleep(patience / 4) //nolint:forbidigo // likewise
		id := sendLink(t, b, user(t, "ada@example.com"))
		waiting.Wait()
		if status != http.StatusOK || body != id+"\n" {
			t.Errorf("got %d, %q, want %s", status, body, id)
		}
	})
}

func TestNextEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		b.Handler(t.Context()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/dev/mail/next?to=ada@example.com", nil))
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("it waited %v", waited)
		}
	})
}

func TestNextNeedsAnAddress(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, to := range []string{"", "ada", "a@b@c", "<script>"} {
		if status, body := next(t, b, to); status != http.StatusBadRequest || !strings.Contains(body, "/dev/mail/next?to=") {
			t.Errorf("to=%s answers %d, %q", to, status, body)
		}
	}
}

func TestTheBoxIsBounded(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for i := range Capacity + 5 {
		sendLink(t, b, user(t, fmt.Sprintf("user%d@example.com", i+1)))
	}
	if n := len(b.newestFirst()); n != Capacity {
		t.Errorf("it holds %d mails, want %d", n, Capacity)
	}
	if _, there := b.find(5); there {
		t.Error("the oldest mails are still there")
	}
	if l, there := b.find(Capacity + 5); !there || l.message.To.Raw() != fmt.Sprintf("user%d@example.com", Capacity+5) {
		t.Error("the newest mail is not there")
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	var running sync.WaitGroup
	got := make(chan string, 20)
	for range 20 {
		running.Go(func() {
			if status, body := next(t, b, "ada@example.com"); status == http.StatusOK {
				got <- body
			}
		})
	}
	for range 20 {
		sendLink(t, b, user(t, "ada@example.com"))
		id := <-got // each mail frees exactly one caller
		if id == "" {
			t.Error("an empty id")
		}
	}
	running.Wait()
}
