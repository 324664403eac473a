package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"html/template"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed texts/pages.*.toml
var textFiles embed.FS

// piece is a part of a text as the templates show it.
type piece struct {
	i18n.Part
	Time string // if it is a moment: for programs, such as the page's script, which says it in the person's own zone
	// Foreign says that it may be written in any direction, as a whole. Lists are not: they are in the page's language, with each name kept apart.
	Foreign bool
}

// problem is one thing that kept a form from being taken.
type problem struct {
	Field string // the id of the field that it is with; empty: none
	Text  string
}

// problems are all of them, for the summary.
type problems struct {
	Heading string
	List    []problem
}

// way is a link that a note offers.
type way struct {
	Path, Offer string
	Later       bool
}

// view is what the templates show.
type view struct {
	say        i18n.Localizer
	Page       string // forgot, choose or note
	Lang, Dir  string
	Title      string // of the window
	Heading    string
	Problems   *problems
	Lines      [][]piece
	Way        *way
	Forgot     *forgotForm
	Choose     *chooseForm
	Brand      brandView
	Support    *supportView
	Language   string // the current one's name
	Languages  []languageLink
	Stylesheet string
	Script     string
	Icon       string
}

// T is a text without values.
func (v *view) T(key string) string { return v.say.Text(key, nil) }

// newView begins a page with a heading, which is a key.
func (p *Pages) newView(r *http.Request, page, heading string) *view {
	l := languageOf(r)
	return &view{say: p.texts.In(l), Page: page, Lang: l.Tag, Dir: l.Dir, Language: l.Name, Heading: p.texts.In(l).Text(heading, nil)}
}

// line is a text in pieces. Moments among its values are said, and told to programs.
func (v *view) line(key string, data i18n.Data) []piece {
	said := i18n.Data{}
	times := map[string]string{}
	for name, value := range data {
		if at, ok := value.(time.Time); ok {
			value, times[name] = v.say.Moment(at), at.UTC().Format(time.RFC3339)
		}
		said[name] = value
	}
	parts := v.say.Parts(key, said)
	line := make([]piece, len(parts))
	for i, part := range parts {
		line[i] = piece{Part: part, Time: times[part.Name], Foreign: part.Name == "Address" || part.Name == "Support"}
	}
	return line
}

// problem adds what kept the form from being taken.
func (v *view) problem(field, text string) {
	if v.Problems == nil {
		v.Problems = &problems{Heading: v.T("frame.summary")}
	}
	v.Problems.List = append(v.Problems.List, problem{Field: field, Text: text})
}

// note shows one of notes. A text takes from the data what it needs.
func (p *Pages) note(w http.ResponseWriter, r *http.Request, status int, name string, data i18n.Data) {
	n := notes[name]
	v := p.newView(r, "note", n.Title)
	for _, key := range n.Lines {
		v.Lines = append(v.Lines, v.line(key, data))
	}
	if n.Way != "" {
		v.Way = &way{Path: p.prefix + n.Way + p.keep(r), Offer: v.T(n.Offer), Later: n.Later}
	}
	for _, value := range data {
		if _, ok := value.(time.Time); ok {
			v.Script = p.asset(script) // which says times in the person's own zone
		}
	}
	p.show(w, r, status, v)
}

// show writes a page, whole or not at all.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, status int, v *view) {
	brand := p.brand(r)
	v.Brand = p.brandView(brand)
	v.Title = v.Heading
	if v.Problems != nil {
		v.Title = v.say.Text("frame.problem", i18n.Data{"Title": v.Title})
	}
	if brand.Name != "" {
		v.Title = v.say.Text("frame.title", i18n.Data{"Title": v.Title, "Service": brand.Name})
	}
	if url := brand.SupportURL(); url != "" {
		v.Support = &supportView{URL: url, Parts: v.line("frame.support", i18n.Data{"Support": brand.Support})}
	}
	v.Languages = p.chooser(r, v.say.Language)
	v.Stylesheet, v.Icon = p.asset(stylesheetOf(brand)), p.asset(icon)
	p.speak(w, r, v.say.Language)

	var out bytes.Buffer
	out.Grow(8 << 10)
	if err := p.pages.ExecuteTemplate(&out, "layout.html", v); err != nil {
		p.Log.ErrorContext(r.Context(), "a page cannot be written", "event", "page.failed", "page", v.Page, "error", err)
		http.Error(w, v.T("broken.text"), http.StatusInternalServerError)
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

func parsePages() (*template.Template, error) { return template.ParseFS(templates, "templates/*.html") }

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
		p.note(w, r, e.status, e.page, nil)
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
		p.note(w, r, http.StatusTooManyRequests, throttled, p.wait(r, e))
	case reset.Unavailable:
		setRetryAfter(w.Header(), e.RetryAfter)
		page, data := p.outcome(r, e)
		if page == "" {
			page, data = busy, p.wait(r, e)
		}
		p.note(w, r, http.StatusServiceUnavailable, page, data)
	case reset.Unauthorized:
		p.deadLink(w, r, e.Code)
	case reset.Invalid:
		page := "badform"
		if e.Code == reset.CodeBadHostname {
			page = "badhost"
		}
		p.note(w, r, http.StatusBadRequest, page, nil)
	default:
		p.note(w, r, http.StatusInternalServerError, "broken", nil)
	}
}

// outcome is the page that says what became of a password that was changed in part, or of which nobody knows whether it
// was; its link is used up. Of other errors it is empty.
func (p *Pages) outcome(r *http.Request, e *reset.Error) (page string, data i18n.Data) {
	if part, ok := errors.AsType[*reset.Partly](e.Cause); ok {
		say := p.texts.In(languageOf(r))
		return "partly", i18n.Data{"Done": say.List(part.Done, mostAccounts), "Failed": say.List(part.Failed, mostAccounts)}
	}
	if _, ok := errors.AsType[*reset.Unsure](e.Cause); ok {
		return "unsure", nil
	}
	return "", nil
}

// wait is how long an error asks to wait, in the language of the request.
func (p *Pages) wait(r *http.Request, e *reset.Error) i18n.Data {
	return i18n.Data{"Wait": p.texts.In(languageOf(r)).Wait(e.RetryAfter)}
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

// setRetryAfter rounds up, so that whoever obeys is not refused again (RFC 9110, 10.2.3).
func setRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))))
}
