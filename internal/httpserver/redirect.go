package httpserver

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// Redirect is a second server, without TLS, that only sends people to the
// first. Where to is configured: what a request says of its host is at most
// looked up among the hosts that are.
type Redirect struct{ http *http.Server }

// NewRedirect makes one that sends people to what baseOf answers, an https URL. Calls of the
// API are refused by refuse instead: whoever wrote a program that sends a key
// or a password in the clear has to see it fail (OWASP ASVS 4.1.2).
func NewRedirect(baseOf func(*http.Request) *url.URL, refuse func(http.ResponseWriter, *http.Request, error), log *slog.Logger) *Redirect {
	return &Redirect{http: newHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := baseOf(r)
		origin := "https://" + base.Host
		prefix := strings.TrimSuffix(base.EscapedPath(), "/")
		path := r.URL.EscapedPath()
		inside := path
		if prefix != "" && (path == prefix || strings.HasPrefix(path, prefix+"/")) {
			inside = path[len(prefix):]
		}
		if !strings.HasPrefix(inside, "/") {
			inside = "" // or what follows could become part of the host
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store") // the path may hold the id of a link
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Connection", "close")
		if inside == "/api" || strings.HasPrefix(inside, "/api/") || r.Method != http.MethodGet && r.Method != http.MethodHead {
			refuse(w, r, reset.Invalidf("this address does not speak TLS, and what was sent could be read on the way; use %s", origin+prefix))
			return
		}
		target := origin + prefix + inside
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		h.Set("Location", target)
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusMovedPermanently)
	}), log)}
}

// Serve serves until ctx ends, then ends what is under way until grace ends.
func (s *Redirect) Serve(ctx, grace context.Context, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return shutDown(grace, s.http, failed)
	}
}
