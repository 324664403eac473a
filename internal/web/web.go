// Package web serves the pages: asking for a link, opening it, choosing a new
// password. They work without JavaScript, in any browser with cookies.
//
// Whatever a page says stands in texts/, in each language; how it is put together in templates/ and notes.go; whatever an answer
// carries in its headers is decided in headers.go. The package keeps no state:
// the only thing it remembers about anybody is the id of an opened link, in a
// cookie of that person's own browser (link.go).
package web

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

// Options are what the pages need from their surroundings.
type Options struct {
	Service *reset.Service // required
	// BaseURL is where people reach the pages, without a trailing slash. Links
	// and redirects are built from its path, never from what a request says of itself.
	BaseURL string
	// ServiceName is whose pages these are, where BrandOf does not say it.
	ServiceName string
	// BrandOf is what the pages wear for a request; nil: all of them are ServiceName's. Nothing of it may come from the request.
	BrandOf func(*http.Request) reset.Brand
	// LogoOf returns the logo of that digest, with its data, or an error of kind NotFound; nil: pages show none.
	LogoOf func(context.Context, reset.Digest) (reset.Logo, error)
	// MinLength and MaxLength are the fewest and the most characters of a password, as the policy has it.
	MinLength, MaxLength int
	// Challenge makes a puzzle for the page /forgot, in JSON; nil if none are demanded.
	Challenge func() ([]byte, error)
	// ClientOf names the network client behind a request, for limits. Required.
	ClientOf func(*http.Request) string
	Now      reset.Clock  // required
	Log      *slog.Logger // required
}

// Pages serves the pages.
type Pages struct {
	Options
	prefix string // the path of BaseURL, such as "/auth", or empty
	secure bool   // BaseURL is https
	pages  *template.Template
	texts  *i18n.Texts
	// languages are those of the chooser.
	languages []i18n.Language
	handler   http.Handler
}

// New makes the pages. The caller strips the path of BaseURL from requests.
func New(o Options) (*Pages, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, err
	}
	p := &Pages{Options: o, prefix: strings.TrimSuffix(base.Path, "/"), secure: base.Scheme == "https", languages: i18n.Languages()}
	if p.texts, err = i18n.Load(textFiles, "pages"); err != nil {
		return nil, err
	}
	if p.pages, err = parsePages(); err != nil {
		return nil, err
	}
	p.handler = p.routes()
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// routes puts every path behind the headers, the guard against panics and the
// guard against forms of other sites.
func (p *Pages) routes() http.Handler {
	mux := http.NewServeMux()
	for path, methods := range map[string]map[string]http.HandlerFunc{
		"/.well-known/change-password": {http.MethodGet: p.redirect("/forgot")},
		"/forgot":                      {http.MethodGet: p.showForgot, http.MethodPost: p.postForgot},
		"/forgot/challenge":            {http.MethodGet: p.challenge},
		"/sent":                        {http.MethodGet: p.static("sent", http.StatusOK)},
		"/reset/{id}":                  {http.MethodGet: p.openLink},
		"/reset":                       {http.MethodGet: p.showReset, http.MethodPost: p.postReset},
		"/reset/hint":                  {http.MethodPost: p.hint},
		"/done":                        {http.MethodGet: p.static("done", http.StatusOK)},
	} {
		mux.Handle(path, p.methods(methods))
	}
	for name, asset := range assets {
		mux.Handle("/assets/"+name, p.methods(map[string]http.HandlerFunc{http.MethodGet: asset.serve}))
	}
	mux.Handle("/assets/{name}", p.methods(map[string]http.HandlerFunc{http.MethodGet: p.serveAsset}))
	missing := p.static("missing", http.StatusNotFound)
	mux.HandleFunc("/", missing)
	home := p.methods(map[string]http.HandlerFunc{http.MethodGet: p.redirect("/forgot")})

	// A form is taken from our own pages only (CSRF). Requests without
	// Sec-Fetch-Site and Origin come from no browser that could be tricked.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.note(w, r, http.StatusForbidden, "foreign", nil)
	}))
	return p.protected(guard.Handler(cleanPaths(mux, home, missing)))
}

// cleanPaths lets only clean paths through to the mux, which would redirect the
// others to a path that it takes from the request and that lacks our prefix:
// under /auth it would send a link with a doubled slash, id included, to
// whatever else is on the host. Home is the base URL itself, with a slash or without.
func cleanPaths(mux, home, missing http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch escaped := r.URL.EscapedPath(); escaped {
		case "", "/":
			home.ServeHTTP(w, r)
		case path.Clean(escaped):
			mux.ServeHTTP(w, r)
		default:
			missing.ServeHTTP(w, r)
		}
	})
}

// methods picks the handler for the method; GET answers HEAD too.
func (p *Pages) methods(handlers map[string]http.HandlerFunc) http.Handler {
	var allowed []string
	if handlers[http.MethodGet] != nil {
		allowed = append(allowed, "GET", "HEAD")
	}
	if handlers[http.MethodPost] != nil {
		allowed = append(allowed, "POST")
	}
	allow := strings.Join(allowed, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		if h := handlers[method]; h != nil {
			h(w, r)
			return
		}
		w.Header().Set("Allow", allow)
		p.note(w, r, http.StatusMethodNotAllowed, "method", nil)
	})
}

func (p *Pages) redirect(path string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { p.seeOther(w, path+p.keep(r)) }
}

// seeOther redirects to a page of ours. http.Redirect is not used, because it
// makes a relative target absolute with the request's own path.
func (p *Pages) seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", p.prefix+path)
	w.WriteHeader(http.StatusSeeOther)
}

func (p *Pages) static(page string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { p.note(w, r, status, page, nil) }
}

func (p *Pages) caller(r *http.Request) reset.Caller {
	return reset.Caller{Client: p.ClientOf(r), Brand: p.brand(r).Account}
}
