package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keys presses keys, as somebody does who has no mouse.
func (b *tab) keys(keys string) {
	b.t.Helper()
	b.do("press keys", chromedp.KeyEvent(keys))
}

// follow presses Enter on a link, as a keyboard does: what the key does to the link it does not also do to the field
// that gets the focus by it, which KeyEvent would.
func (b *tab) follow() {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		call(b, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: "Enter", Code: "Enter", WindowsVirtualKeyCode: 13})
	}
}

// tabTo goes on with the Tab key until the element has the focus, which has to be seen.
func (b *tab) tabTo(selector string) {
	b.t.Helper()
	for range 12 {
		b.keys(kb.Tab)
		if eval[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			if outline := eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`); outline == "none" {
				b.t.Errorf("nobody sees that %s has the focus", selector)
			}
			return
		}
	}
	b.t.Fatalf("the Tab key does not lead to %s at %s", selector, eval[string](b, `location.href`))
}

// TestTheWayInABrowser: a person resets a password in their language, on what they have, with the keyboard alone, with
// JavaScript and without.
func TestTheWayInABrowser(t *testing.T) {
	t.Parallel()
	for i, c := range []struct {
		language, dir string
		device        device
	}{
		{"en", "ltr", phone},
		{"de", "ltr", desktop},
		{"ar", "rtl", phone},
	} {
		for _, withoutScript := range []bool{false, true} {
			d := c.device
			d.languages, d.withoutScript, d.dark = c.language, withoutScript, (i%2 == 0) == withoutScript
			t.Run(fmt.Sprintf("%s without script %v", c.language, withoutScript), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, "")
				b := open(t, s.server.URL, d)
				look := func(what string) {
					t.Helper()
					if withoutScript {
						return // axe is one
					}
					b.wantAccessible(what)
					if got := eval[string](b, `document.documentElement.lang + " " + getComputedStyle(document.body).direction`); got != c.language+" "+c.dir {
						t.Errorf("%s: is in %s", what, got)
					}
				}
				b.goTo("/forgot")
				look("asking")
				b.tabTo("#email")
				b.keys("ada" + kb.Enter)
				b.until(`document.querySelector("#email-problem") && document.activeElement.id === "summary"`) // the focus moved there
				look("asking with half an address")
				if typed := eval[string](b, `document.getElementById("email").value`); typed != "ada" {
					t.Errorf("what was typed is lost: %q", typed)
				}
				b.tabTo(".summary a")
				b.follow()
				b.until(`document.activeElement.id === "email"`)
				b.keys(kb.End + "@example.test" + kb.Enter)
				b.at("/sent")
				look("sent")

				s.WorkOutbox(t)
				links := s.Links()
				id := links[len(links)-1].Link
				id = id[strings.LastIndexByte(id, '/')+1:]
				for range 10 { // a scanner comes first
					s.person(t).get("/reset/" + id)
				}
				b.goTo("/reset/" + id)
				b.at("/reset")
				look("choosing")
				b.wantNoTrace(id)
				b.tabTo("#password")
				b.keys("ada@example" + kb.Enter)
				b.until(`document.querySelector("#password-problem") && document.activeElement.id === "summary"`)
				look("a refused password")
				typed := eval[string](b, `document.getElementById("password").value`)
				if want := map[bool]string{false: "ada@example", true: ""}[withoutScript]; typed != want {
					t.Errorf("in the field is %q, want %q", typed, want)
				}
				b.tabTo("#password")
				b.keys(kb.End)
				for range typed {
					b.keys(kb.Backspace)
				}
				b.keys(good)
				if !withoutScript {
					b.until(`document.querySelector(".verdict.good")`)
					look("a good password")
					b.tabTo("#show")
					b.keys(kb.Enter)
					b.until(`document.getElementById("password").type === "text" && document.activeElement.id === "password"`)
				}
				b.keys(kb.Enter)
				b.at("/done")
				look("done")
				b.wantNoTrace(id)
				if !s.VerifyPassword(t, ada, good) {
					t.Error("the password is not changed")
				}
				for _, cookie := range b.cookies() {
					t.Errorf("a cookie is left: %s", cookie.Name)
				}
				b.goTo("/reset/" + id)
				look("a used link")
			})
		}
	}
}

// wantNoTrace fails if the id is in the address bar, the history, a title or the page.
func (b *tab) wantNoTrace(id string) {
	b.t.Helper()
	history := call(b, cdppage.GetNavigationHistory, cdp.Empty{})
	for _, entry := range history.Entries {
		if strings.Contains(entry.URL, id) || strings.Contains(entry.Title, id) {
			b.t.Errorf("the history has the id: %s %q", entry.URL, entry.Title)
		}
	}
	if eval[bool](b, fmt.Sprintf(`document.documentElement.outerHTML.includes(%q) || document.referrer.includes(%q)`, id, id)) {
		b.t.Error("the page has the id")
	}
}

// TestCookiesInABrowser: what the browser keeps, it keeps from scripts, from other sites and from plain HTTP.
func TestCookiesInABrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	b := open(t, s.server.URL, phone)
	b.goTo("/forgot")
	if got := b.cookies(); len(got) != 0 {
		t.Errorf("%d cookies of somebody who chose nothing", len(got))
	}
	b.do("open the chooser", chromedp.Click("summary"))
	b.do("choose Hebrew", chromedp.Click(`a[hreflang="he"]`))
	b.at("/forgot?lang=he")
	b.goTo("/reset/" + s.MailedID(t, ada))
	b.at("/reset")
	if got := eval[string](b, `document.documentElement.dir + document.cookie`); got != "rtl" {
		t.Errorf("the choice did not stay, or scripts see a cookie: %s", got)
	}
	var names []string
	for _, c := range b.cookies() {
		names = append(names, c.Name)
		if !c.HTTPOnly || !c.Secure || c.SameSite != network.CookieSameSiteLax {
			t.Errorf("the cookie %s: %+v", c.Name, c)
		}
	}
	slices.Sort(names)
	if got := strings.Join(names, " "); got != "sparekey_lang sparekey_link" {
		t.Errorf("the browser keeps %s", got)
	}
}

// TestHintsInABrowser: while somebody types they are told how far they are and what the policy says, in a place where screen readers
// hear it, and pasting works.
func TestHintsInABrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	d := desktop
	d.languages = "uk"
	b := open(t, s.server.URL, d)
	b.goTo("/reset/" + s.MailedID(t, ada))
	b.at("/reset")
	verdict := func(text string) {
		t.Helper()
		b.until(fmt.Sprintf(`document.querySelector("#password-hint[role=status]").textContent.includes(%q)`, text))
	}
	b.tabTo("#password")
	b.keys("коротко")
	verdict("7 зі щонайменше 15 символів")
	for range "коротко" {
		b.keys(kb.Backspace)
	}
	b.keys("passwordpassword")
	verdict("Це загальновідомий пароль")
	b.wantAccessible("a hint")
	paste := eval[string](b, `(() => {
		const field = document.getElementById("password");
		field.select();
		return String(document.execCommand("insertText", false, "`+good+`"));
	})()`)
	verdict("Це добрий пароль.")
	if paste != "true" || eval[string](b, `document.getElementById("password").value`) != good {
		t.Error("pasting does not work")
	}
	b.wantAccessible("a good password")
}

// TestNothingIsLostWhenItIsBusy: who has to wait still has in the field what was typed.
func TestNothingIsLostWhenItIsBusy(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	b := open(t, g.server.URL, phone)
	b.goTo("/reset/" + g.site.MailedID(t, ada))
	b.at("/reset")
	b.tabTo("#password")
	b.keys(good + kb.Enter)
	b.until(`document.getElementById("summary")`)
	if got := eval[string](b, `document.getElementById("password").value + " " + document.activeElement.id + " " + location.pathname`); got != good+" summary /reset" {
		t.Errorf("in the field is, and the focus at: %s", got)
	}
}

// TestPagesAreLight: each page with all that it asks for is at most 30 KB (logo apart), and two requests besides (and the
// icon, which a browser asks for once); what it asked for it keeps.
func TestPagesAreLight(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	for room := range g.rooms {
		p := &person{t: t, client: g.server.Client(), base: g.server.URL}
		for _, l := range languagesOf(room) {
			body := p.get("/gallery/" + room + "/" + l).body
			size, assets := len(body), 0
			for rest := body; ; assets++ {
				_, after, found := strings.Cut(rest, `="/assets/`)
				if !found {
					break
				}
				name, _, _ := strings.Cut(after, `"`)
				got := p.get("/assets/" + name)
				if got.status != http.StatusOK || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
					t.Errorf("%s: %d %v", name, got.status, got.header)
				}
				size += len(got.body)
				rest = after
			}
			if size > 30_000 || assets > 3 {
				t.Errorf("%s in %s: %d bytes and %d requests", room, l, size, assets)
			}
		}
	}
	b := open(t, g.server.URL, phone)
	b.goTo("/gallery/choose/en")
	if n := len(b.requests(0)); n > 4 {
		t.Errorf("a page is %d requests: %v", n, b.requests(0))
	}
	b.goTo("/gallery/choose-refused/de")
	again := eval[[]float64](b, `performance.getEntriesByType("resource").map(e => e.transferSize)`)
	if len(again) == 0 || slices.Max(again) > 0 {
		t.Errorf("what was kept is asked for again: %v", again)
	}
}
