package web

import (
	"net/http"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// linkCookie carries the id from the mailed link to the form, so that it
// leaves the address bar, the history and the Referer. It is no session: it
// opens what the link opens, and ends with it.
const linkCookie = "sparekey_link"

// setLink keeps the id in the browser for as long as the link is good.
//
// SameSite is Lax, not Strict: people come from a webmail page, and a browser
// would not send a Strict cookie along that navigation, redirect included.
func (p *Pages) setLink(w http.ResponseWriter, id reset.ID, lifetime time.Duration) {
	http.SetCookie(w, p.cookie(id.Reveal(), max(1, int(lifetime.Seconds()))))
}

// clearLink makes the browser forget the id.
func (p *Pages) clearLink(w http.ResponseWriter) { http.SetCookie(w, p.cookie("", -1)) }

func (p *Pages) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure follows the base URL, which is http on loopback alone
		Name: linkCookie, Value: value, Path: p.prefix + "/reset", MaxAge: maxAge,
		HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
	}
}

// openLink answers the mailed link. It changes nothing in the store, so link
// scanners may open it as often as they like (docs/adr/0004-link-cookie.md).
func (p *Pages) openLink(w http.ResponseWriter, r *http.Request) {
	look, err := p.Service.Look(r.Context(), p.caller(r), r.PathValue("id"))
	if err != nil {
		p.WriteError(w, r, err)
		return
	}
	p.setLink(w, look.ID, look.ExpiresAt.Sub(p.Now()))
	p.seeOther(w, "/reset"+p.keep(r))
}

// linkID is the id in the cookie, empty without one. Of several cookies of
// that name, which another application on the host may have set, none is believed.
func linkID(r *http.Request) string {
	cookies := r.CookiesNamed(linkCookie)
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}
