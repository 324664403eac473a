package web

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/sparekey/sparekey/internal/i18n"
)

// languageCookie keeps the language that somebody chose with ?lang=. Nobody
// who chose none gets one: then the browser says what it prefers.
const languageCookie = "sparekey_lang"

// languageLife is how long a choice is kept, in seconds: a year.
const languageLife = 365 * 24 * 60 * 60

// languageOf is the language for a request: what its query asks for, what was chosen before, what the
// browser prefers, in this order; the first of these that is spoken here.
func languageOf(r *http.Request) i18n.Language {
	if l, ok := chosen(r); ok {
		return l
	}
	if c, err := r.Cookie(languageCookie); err == nil {
		if l, ok := i18n.Lookup(c.Value); ok {
			return l
		}
	}
	return i18n.Match(r.Header.Get("Accept-Language"))
}

// chosen is what ?lang= asks for, if that is spoken here.
func chosen(r *http.Request) (i18n.Language, bool) {
	if r.URL.RawQuery == "" {
		return i18n.Language{}, false
	}
	return i18n.Lookup(r.URL.Query().Get("lang"))
}

// speak sets what an answer in a language carries, and keeps a choice.
func (p *Pages) speak(w http.ResponseWriter, r *http.Request, l i18n.Language) {
	h := w.Header()
	h.Set("Content-Language", l.Tag)
	h.Add("Vary", "Accept-Language, Cookie")
	if _, ok := chosen(r); ok {
		http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure follows the base URL, which is http on loopback alone
			Name: languageCookie, Value: l.Tag, Path: p.prefix + "/", MaxAge: languageLife,
			HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
		})
	}
}

// languageLink is a language in the chooser.
type languageLink struct {
	i18n.Language
	Link    string
	Current bool
}

// chooser are links to the same page in each language. They are relative, so
// that no page has to hold its own path, in which the id of a link may be.
func (p *Pages) chooser(r *http.Request, current i18n.Language) []languageLink {
	kept := p.keep(r)
	list := make([]languageLink, 0, len(p.languages))
	for _, l := range p.languages {
		link := "?lang=" + l.Tag
		if kept != "" {
			link = kept + "&lang=" + l.Tag
		}
		list = append(list, languageLink{Language: l, Link: link, Current: l.Tag == current.Tag})
	}
	return list
}

// keep is what of a request's query our own links carry on: the account whose
// brand was asked for, if there is one, such as "?account=7".
func (p *Pages) keep(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	account := p.brand(r).Account
	if account == 0 || r.URL.Query().Get("account") != strconv.FormatInt(account, 10) {
		return ""
	}
	return "?" + url.Values{"account": {strconv.FormatInt(account, 10)}}.Encode()
}
