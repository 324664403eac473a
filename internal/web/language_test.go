package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func prefers(languages string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Accept-Language", languages) }
}

// TestLanguages: the browser says which, unless somebody chose; and then the choice stays.
func TestLanguages(t *testing.T) {
	t.Parallel()
	s := newSite(t, "/auth")
	for _, l := range i18n.Languages() {
		p := s.person(t)
		got := p.send(http.MethodGet, "/auth/forgot", nil, prefers(l.Tag+"-XX,zh;q=0.9"))
		got.want(t, http.StatusOK, "/auth/forgot", `<html lang="`+l.Tag+`" dir="`+l.Dir+`">`)
		if h := got.header; h.Get("Content-Language") != l.Tag || !strings.Contains(h.Get("Vary"), "Accept-Language") || !strings.Contains(h.Get("Vary"), "Cookie") {
			t.Errorf("%s: %v", l.Tag, h)
		}
		if c := got.header.Get("Set-Cookie"); c != "" {
			t.Errorf("%s: nobody chose, and there is a cookie: %s", l.Tag, c)
		}

		chosen := p.get("/auth/forgot?lang=" + l.Tag)
		cookie, err := http.ParseSetCookie(chosen.header.Get("Set-Cookie"))
		if err != nil || cookie.Value != l.Tag || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/auth/" {
			t.Errorf("%s: the choice is kept as %q (%v)", l.Tag, chosen.header.Get("Set-Cookie"), err)
		}
		stays := p.send(http.MethodGet, "/auth/sent", nil, prefers("fr"))
		if !strings.Contains(stays.body, `lang="`+l.Tag+`" dir=`) || stays.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: the choice did not stay, or was made again: %v", l.Tag, stays.header)
		}
	}
	p := s.person(t)
	for _, odd := range []string{"xx", "DE", "de-AT", "", "%0d%0aSet-Cookie:x"} {
		got := p.send(http.MethodGet, "/auth/forgot?lang="+odd, nil, prefers("zh"))
		if !strings.Contains(got.body, `<html lang="en"`) || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %v", odd, got.header)
		}
	}
	got := p.send(http.MethodGet, "/auth/forgot", nil, func(r *http.Request) {
		prefers("ja")(r)
		r.Header.Set("Cookie", "sparekey_lang=nonsense")
	})
	got.want(t, http.StatusOK, "/auth/forgot", `<html lang="ja"`)
}

// TestEveryAnswerIsInTheLanguage: forms that were not taken, dead links and failures too; and the reasons
// of the policy and the answers to the script.
func TestEveryAnswerIsInTheLanguage(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	german := prefers("de-AT,de;q=0.9,en;q=0.5")
	id := s.MailedID(t, ada)
	for path, text := range map[string]string{
		"/forgot": "Passwort vergessen?", "/sent": "Sehen Sie in Ihr Postfach", "/done": "Ihr Passwort ist geändert", "/nowhere": "Diese Seite gibt es nicht",
		"/reset/" + reset.NewID().Reveal(): "Diesen Link kennen wir nicht", "/reset": "öffnen Sie den Link noch einmal",
		"/reset/" + id: "Es gilt dann in allen Ihren Konten: Acme und Globex.",
	} {
		p := s.person(t) // a new one each time, who has opened no other link
		if got := p.send(http.MethodGet, path, nil, german); !strings.Contains(got.body, text) || !strings.Contains(got.body, `<html lang="de" dir="ltr">`) {
			t.Errorf("%s does not say %q:\n%s", path, text, got.body)
		}
	}
	p := s.person(t)
	p.get("/reset/" + id)
	got := p.send(http.MethodPost, "/reset", url.Values{"password": {"kurz"}}, german)
	got.want(t, http.StatusBadRequest, "/reset", "<title>Fehler: Neues Passwort wählen – Example</title>", "Verwenden Sie mindestens 15 Zeichen; dieses hat 4.")
	got = p.send(http.MethodPost, "/reset/hint", url.Values{"password": {"kurz"}}, german)
	got.want(t, http.StatusOK, "/reset/hint", `{"problems":["Verwenden Sie mindestens 15 Zeichen; dieses hat 4."]}`)
	got = p.send(http.MethodPost, "/forgot", url.Values{"email": {"x"}}, german)
	got.want(t, http.StatusBadRequest, "/forgot", `value="x"`, "Bitte geben Sie eine einzelne E-Mail-Adresse ein")
}

// TestTheSameInEveryLanguage: the language makes known and unknown addresses no more different.
func TestTheSameInEveryLanguage(t *testing.T) {
	t.Parallel()
	s := newSite(t, "", servicetest.WithThrottle())
	p := s.person(t)
	known := p.send(http.MethodPost, "/forgot", url.Values{"email": {ada}}, prefers("ar"))
	unknown := p.send(http.MethodPost, "/forgot", url.Values{"email": {"nobody@example.test"}}, prefers("ar"))
	if known.body != unknown.body || known.status != unknown.status || known.path != unknown.path {
		t.Error("known and unknown addresses are answered differently")
	}
}
