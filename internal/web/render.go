package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/reset"
)

//go:embed templates/*.html
var templates embed.FS

// parsePages joins every page with the layout.
func parsePages() (map[string]*template.Template, error) {
	names, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]*template.Template)
	for _, name := range names {
		page := strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".html")
		if page == "layout" {
			continue
		}
		t, err := template.ParseFS(templates, "templates/layout.html", name)
		if err != nil {
			return nil, fmt.Errorf("read the page %s: %w", page, err)
		}
		pages[page] = t
	}
	for page, text := range notes {
		pages[page] = template.Must(template.Must(template.ParseFS(templates, "templates/layout.html")).Parse(text.template()))
	}
	return pages, nil
}

// view is what every template gets.
type view struct {
	Service    string
	Prefix     string
	Stylesheet string
	Script     string
	Icon       string
	Data       any
}

// show writes a page, whole or not at all.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, page string, data any) {
	var out bytes.Buffer
	err := p.pages[page].ExecuteTemplate(&out, "layout.html", view{
		Service: p.ServiceName, Prefix: p.prefix, Data: data,
		Stylesheet: p.asset(stylesheet), Script: p.asset(script), Icon: p.asset(icon),
	})
	if err != nil {
		p.Log.ErrorContext(r.Context(), "a page cannot be written", "event", "page.failed", "page", page, "error", err)
		http.Error(w, msgBroken, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(out.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.Bytes()) // a browser that is gone needs no answer
	}
}

func (p *Pages) asset(name string) string { return p.prefix + "/assets/" + name }

// pageError is a failure that pages alone know.
type pageError struct {
	status int
	page   string
}

func (e *pageError) Error() string { return e.page }

// WriteError shows the page that fits an error: the one place where an error
// becomes a page. What an error must not tell is logged.
func (p *Pages) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	p.setHeaders(w.Header()) // the caller may be somebody outside of our handler
	if e, ok := errors.AsType[*pageError](err); ok {
		p.show(w, r, e.status, e.page, nil)
		return
	}
	e := reset.AsError(err)
	p.logFault(r, e)
	throttled, busy := "throttled", "busy"
	if r.URL.Path == "/reset" || strings.HasPrefix(r.URL.Path, "/reset/") {
		throttled, busy = "throttledlink", "busylink"
	}
	switch e.Kind {
	case reset.Throttled:
		setRetryAfter(w.Header(), e.RetryAfter)
		p.show(w, r, http.StatusTooManyRequests, throttled, nil)
	case reset.Unavailable:
		setRetryAfter(w.Header(), e.RetryAfter)
		p.show(w, r, http.StatusServiceUnavailable, busy, nil)
	case reset.Unauthorized:
		p.deadLink(w, r, e.Code)
	case reset.Invalid:
		p.show(w, r, http.StatusBadRequest, "badform", nil)
	default:
		p.show(w, r, http.StatusInternalServerError, "broken", nil)
	}
}

// logFault logs what a page must not tell.
func (p *Pages) logFault(r *http.Request, e *reset.Error) {
	switch {
	case e.Cause == nil:
	case errors.Is(e.Cause, context.Canceled) && r.Context().Err() != nil:
		p.Log.InfoContext(r.Context(), "the caller went away", "event", "page.canceled")
	case e.Kind == reset.Internal:
		p.Log.ErrorContext(r.Context(), "a page failed", "event", "page.failed", "error", e.Cause)
	case e.Kind == reset.Unavailable:
		p.Log.WarnContext(r.Context(), "a page had to refuse", "event", "page.refused", "error", e.Cause)
	}
}

// deadLink says honestly what became of a link. That tells nobody anything who
// does not hold the secret: to others every id is unknown.
func (p *Pages) deadLink(w http.ResponseWriter, r *http.Request, code reset.Code) {
	switch code {
	case reset.CodeExpired:
		p.show(w, r, http.StatusGone, "expired", nil)
	case reset.CodeInactive:
		p.show(w, r, http.StatusGone, "used", nil)
	default:
		p.show(w, r, http.StatusNotFound, "unknown", nil)
	}
}

// setRetryAfter rounds up, so that whoever obeys is not refused again (RFC 9110, 10.2.3).
func setRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}

// sentence makes a message that begins small into one that stands alone.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(s[size:], ".") + "."
}
