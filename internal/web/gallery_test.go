package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdppage "github.com/chromedp/cdproto/page"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// gallery has every page in every state hang side by side: each is what the pages answered to a request that
// led there, headers and all, to be looked at again and again.
type gallery struct {
	site   *site
	server *httptest.Server
	rooms  map[string]func(language string) *httptest.ResponseRecorder
}

// The main rooms are looked at in all languages, the others in three.
var mainRooms = []string{"forgot", "sent", "choose", "choose-refused", "done", "unsure", "partly", "expired"}

// busyDirectory has no time to make passwords ready.
type busyDirectory struct{ reset.Directory }

func (busyDirectory) Prepare(context.Context, reset.User, string, func(context.Context) error) (reset.Change, error) {
	return nil, reset.Busy("busy", 5*time.Second, nil)
}

func newGallery(t *testing.T) *gallery {
	t.Helper()
	// No password is ever made ready here, so all links stay as they are.
	s := newSite(t, "", servicetest.WithDirectory(func(d reset.Directory) reset.Directory { return busyDirectory{d} }))
	riddles := newSite(t, "", servicetest.WithPuzzle(puzzle.Options{Difficulty: 20}))
	used := newSite(t, "")
	g := &gallery{site: s}

	ask := func(s *site, method, path, id string, form url.Values) func(string) *httptest.ResponseRecorder {
		return func(language string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), method, path, strings.NewReader(form.Encode()))
			r.Header.Set("Accept-Language", language)
			if form != nil {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if id != "" {
				r.Header.Set("Cookie", "sparekey_link="+id)
			}
			w := httptest.NewRecorder()
			s.pages.ServeHTTP(w, r)
			return w
		}
	}
	fail := func(path string, err error) func(string) *httptest.ResponseRecorder {
		return func(language string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, path, nil)
			r.Header.Set("Accept-Language", language)
			w := httptest.NewRecorder()
			s.pages.WriteError(w, r, err)
			return w
		}
	}
	often := &reset.Error{Kind: reset.Throttled, RetryAfter: 90 * time.Second}
	busy := reset.Busy("busy", 5*time.Second, nil)

	s.AddUser(t, "off@example.test", "Off")
	off := s.MailedID(t, "off@example.test")
	if err := s.Users.Disable(t.Context(), "off@example.test"); err != nil {
		t.Fatal(err)
	}
	s.AddUser(t, "late@example.test", "Late")
	late := s.MailedID(t, "late@example.test")
	s.Clock.Advance(time.Hour)
	replaced := s.MailedID(t, ada)
	s.Clock.Advance(4 * time.Minute)
	id := s.MailedID(t, ada)
	spent := used.MailedID(t, ada)
	if _, err := used.Service.Reset(t.Context(), reset.Caller{}, spent, good); err != nil {
		t.Fatal(err)
	}

	unsure := &reset.Error{Kind: reset.Unavailable, RetryAfter: time.Minute, Cause: &reset.Unsure{Cause: errors.New("lost")}}
	partly := &reset.Error{Kind: reset.Unavailable, RetryAfter: time.Minute, Cause: &reset.Partly{
		Done: []string{"Acme", "Globex"}, Failed: []string{"Initech"}, Cause: errors.New("down"),
	}}

	const get, post = http.MethodGet, http.MethodPost
	g.rooms = map[string]func(string) *httptest.ResponseRecorder{
		"forgot":           ask(s, get, "/forgot", "", nil),
		"forgot-refused":   ask(s, post, "/forgot", "", url.Values{"email": {"ada@example"}}),
		"puzzle":           ask(riddles, get, "/forgot", "", nil),
		"puzzle-refused":   ask(riddles, post, "/forgot", "", url.Values{"email": {ada}}),
		"sent":             ask(s, get, "/sent", "", nil),
		"choose":           ask(s, get, "/reset", id, nil),
		"choose-refused":   ask(s, post, "/reset", id, url.Values{"password": {"ada\texample"}}),
		"choose-busy":      ask(s, post, "/reset", id, url.Values{"password": {good}}),
		"done":             ask(s, get, "/done", "", nil),
		"used":             ask(used, get, "/reset/"+spent, "", nil),
		"replaced":         ask(s, get, "/reset/"+replaced, "", nil),
		"gone":             ask(s, get, "/reset/"+off, "", nil),
		"expired":          ask(s, get, "/reset/"+late, "", nil),
		"unknown":          ask(s, get, "/reset/x", "", nil),
		"nolink":           ask(s, get, "/reset", "", nil),
		"throttled":        fail("/forgot", often),
		"throttled-link":   fail("/reset", often),
		"unavailable":      fail("/forgot", busy),
		"unavailable-link": fail("/reset", busy),
		"unsure":           fail("/reset", unsure),
		"partly":           fail("/reset", partly),
		"broken":           fail("/forgot", errors.New("broken")),
		"missing":          ask(s, get, "/nowhere", "", nil),
		"method":           ask(s, http.MethodDelete, "/forgot", "", nil),
		"badform":          ask(s, post, "/forgot", "", url.Values{}),
		"toolarge":         ask(s, post, "/forgot", "", url.Values{"email": {strings.Repeat("a", 65<<10)}}),
	}
	worn, _ := branded(t, s.World, "")
	for name, path := range map[string]string{"forgot-branded": "/forgot?account=7", "done-branded": "/done?account=7"} {
		g.rooms[name] = ask(&site{pages: worn}, get, path, "", nil)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/gallery/{room}/{language}", func(w http.ResponseWriter, r *http.Request) {
		got := g.rooms[r.PathValue("room")](r.PathValue("language"))
		for name, values := range got.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(got.Code)
		_, _ = w.Write(got.Body.Bytes())
	})
	mux.Handle("/assets/", worn) // which has what all have, and the logo
	mux.Handle("/", s.pages)
	g.server = httptest.NewTLSServer(mux)
	t.Cleanup(g.server.Close)
	return g
}

// languagesOf are those in which a room is looked at: all of them, with SPAREKEY_SCREENSHOTS.
func languagesOf(room string) (tags []string) {
	for _, l := range i18n.Languages() {
		main := false
		for _, m := range mainRooms {
			main = main || m == room
		}
		if main || os.Getenv("SPAREKEY_SCREENSHOTS") != "" || l.Tag == "en" || l.Tag == "de" || l.Tag == "ar" {
			tags = append(tags, l.Tag)
		}
	}
	return tags
}

// TestEveryPageIsForEverybody: no page, in no state, language and scheme, keeps anybody out as far as axe can
// see (WCAG 2.2 AA, contrast included); nothing overflows on the narrowest screens or with text twice as large; targets are large enough.
//
// With SPAREKEY_SCREENSHOTS it also leaves pictures of all it has seen there, for whoever changes the look.
func TestEveryPageIsForEverybody(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	folder := os.Getenv("SPAREKEY_SCREENSHOTS")
	b := open(t, g.server.URL, phone)
	for room := range g.rooms {
		for _, tag := range languagesOf(room) {
			what := room + "-" + tag
			b.hold(phone)
			b.goTo("/gallery/" + room + "/" + tag)
			// What appears later is there to be looked at, and so is what is folded away.
			eval[bool](b, `(document.getAnimations().forEach(a => a.finish()), document.querySelector("details").open = true)`)
			b.wantAccessible(what)
			b.wantTargets(what)
			b.hold(device{width: 390, height: 844, phone: true, dark: true})
			b.wantAccessible(what+" in the dark", "color-contrast", "link-in-text-block")
			b.hold(device{width: 320, height: 568, phone: true})
			b.wantFits(what + " at 320 px")
			b.hold(phone)
			eval[string](b, `document.documentElement.style.fontSize = "200%"`)
			b.wantFits(what + " with text twice as large")
			if folder != "" {
				eval[string](b, `document.documentElement.style.fontSize = ""`)
				eval[bool](b, `document.querySelector("details").open = false`)
				b.picture(filepath.Join(folder, "pages"), what)
				if room == "forgot" {
					eval[bool](b, `document.querySelector("details").open = true`)
					b.picture(filepath.Join(folder, "pages"), "languages-"+tag)
				}
			}
			if t.Failed() && folder == "" {
				return // one page's faults are enough to read
			}
		}
	}
}

// picture writes what a page looks like.
func (b *tab) picture(folder, name string) {
	b.t.Helper()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for on, d := range map[string]device{"phone": phone, "desktop": desktop} {
		for _, scheme := range []string{"light", "dark"} {
			d.dark = scheme == "dark"
			b.hold(d)
			// The size of the page is known once it was drawn.
			eval[bool](b, `new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
			shot := call(b, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{CaptureBeyondViewport: new(true)})
			if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s-%s-%s.png", name, on, scheme)), shot.Data, 0o644); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// TestPagesOnPaper: printed, a page is its text, black on white, without what only a screen can do.
func TestPagesOnPaper(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	b := open(t, g.server.URL, device{width: 800, height: 1000, dark: true})
	b.goTo("/gallery/choose/en")
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	got := eval[map[string]string](b, `(() => {
		const main = getComputedStyle(document.querySelector("main")), body = getComputedStyle(document.body);
		return { text: body.color, ground: main.backgroundColor, form: getComputedStyle(document.querySelector("form")).display, hint: getComputedStyle(document.querySelector("main > .hint")).color };
	})()`)
	if got["text"] != "rgb(0, 0, 0)" || got["ground"] != "rgba(0, 0, 0, 0)" || got["form"] != "none" || got["hint"] == "rgb(176, 183, 191)" {
		t.Errorf("on paper: %v", got)
	}
}
