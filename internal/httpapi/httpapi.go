// Package httpapi serves the Password Reset API: JSON over HTTP, as
// api/openapi.yaml describes it, on top of the domain in internal/reset.
//
// A call passes, from the outside in: CORS, the guard against panics, the
// routes, the check of the key, the operation. An operation returns an error or
// writes its answer, never both; WriteError is the one place where an error
// becomes a status.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// defaultBodyTimeout lets a phone on a poor line send its few bytes and frees
// the connection of whoever sends one byte a second.
const defaultBodyTimeout = 10 * time.Second

// Options are what the API needs from its surroundings.
type Options struct {
	Service *reset.Service // required
	Keys    *reset.Keys    // required
	// RequireKey makes metadata and reset need a key. The clients of 2018 and
	// 2019 send one, the later ones do not; for those it is false, and the id
	// in the mailed link is the only credential.
	RequireKey bool
	// CORSOrigins are the origins, such as https://app.example.com, whose pages
	// may call the API from a browser. Each is compared whole. Empty means none;
	// "*", any other pattern and "null" match nothing.
	CORSOrigins []string
	// ClientOf names the network client behind a request, for limits
	// (reset.Caller.Client). Required: who may be believed about
	// X-Forwarded-For is known to the wiring alone.
	ClientOf func(*http.Request) string
	// BrandOf tells whose brand the host wears that is called; nil: the default one's.
	BrandOf func(*http.Request) reset.Brand
	// Challenge makes a puzzle for callers without a key, in JSON; nil if none are demanded.
	Challenge func() ([]byte, error)
	// BodyTimeout is how long a body may take to arrive; 0 means 10 seconds.
	BodyTimeout time.Duration
	Log         *slog.Logger // required
}

type handler struct {
	Options
	mux *http.ServeMux
}

// New returns the handler of everything under BasePath. It answers any other
// path with an ErrorModel and 404, so it may be mounted on /api/ as well. A path
// in front of BasePath must be stripped by the caller (http.StripPrefix).
func New(o Options) http.Handler {
	if o.BodyTimeout == 0 {
		o.BodyTimeout = defaultBodyTimeout
	}
	h := &handler{Options: o, mux: http.NewServeMux()}
	for path, methods := range byPath(routes) {
		h.mux.Handle(BasePath+path, &endpoint{h: h, methods: methods, allow: allow(methods)})
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { h.fail(w, r, errNoPath) })
	return withCORS(h, o.CORSOrigins)
}

// ServeHTTP keeps what net/http's ServeMux would answer in its own words away
// from it: it redirects paths that are not clean, and a redirected POST loses its body.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.catch(w, r)
	if r.ContentLength != 0 {
		// Also for calls that are refused before their body is read: net/http
		// reads on for a while to keep the connection. It lifts the deadline itself
		// once the body is there. This is about a socket, hence the real clock;
		// a writer that has no socket says so and is let be.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.BodyTimeout))
	}
	if !clean(r.URL.Path) {
		h.fail(w, r, errNoPath)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// catch turns a panic into an answer. Operations write their answer whole or
// not at all, so none has been begun by the time that one of them panics.
func (h *handler) catch(w http.ResponseWriter, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		h.Log.ErrorContext(r.Context(), "panic in an API call",
			"event", "api.panic", "operation", r.Pattern, "panic", p, "stack", string(debug.Stack()))
		WriteError(w, r, errors.New("panic"))
	}
}

// fail answers an error and logs what the answer must not say. The path is not
// logged, since it holds the id.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := classify(err)
	switch {
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		h.Log.InfoContext(r.Context(), "the caller went away", "event", "api.canceled", "operation", r.Pattern)
	case e.cause != nil:
		level := slog.LevelDebug
		switch e.status {
		case http.StatusInternalServerError:
			level = slog.LevelError
		case http.StatusServiceUnavailable:
			level = slog.LevelWarn
		}
		h.Log.Log(r.Context(), level, "an API call failed",
			"event", "api.failed", "operation", r.Pattern, "status", e.status, "cause", e.cause)
	}
	WriteError(w, r, err)
}
