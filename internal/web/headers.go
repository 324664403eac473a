package web

import (
	"net/http"
	"runtime/debug"
)

// policy allows what the pages are made of and nothing else: our stylesheet,
// our script, forms to ourselves (OWASP ASVS 3.4).
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'"

// solvingPolicy also lets the page that solves puzzles start the workers that do, which are our own
// script as well, and ask us for another puzzle.
const solvingPolicy = policy + "; worker-src 'self'; connect-src 'self'"

// askingPolicy also lets the page that chooses a password ask us what the policy says to it, and send its form.
const askingPolicy = policy + "; connect-src 'self'"

// logoPolicy lets a logo that is opened by itself do nothing at all.
const logoPolicy = "default-src 'none'; sandbox"

// protected sets the headers that every answer carries, and turns a panic into a page.
func (p *Pages) protected(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.setHeaders(w.Header())
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				p.Log.ErrorContext(r.Context(), "panic in a page", "event", "page.panic", "panic", v, "stack", string(debug.Stack()))
				// Pages are written whole or not at all, so nothing has been written yet.
				p.note(w, r, http.StatusInternalServerError, "broken", nil)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func (p *Pages) setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	// The address of a page may hold the secret; nobody else is told it.
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
}
