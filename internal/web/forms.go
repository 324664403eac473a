package web

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/reset"
)

// maxForm is how long a form's body may be, in bytes: the longest password
// (4,096 characters), percent-encoded, and room to spare.
const maxForm = 64 << 10

var (
	errFormType  = &pageError{status: http.StatusUnsupportedMediaType, page: "formtype"}
	errFormSize  = &pageError{status: http.StatusRequestEntityTooLarge, page: "toolarge"}
	errFormShape = &pageError{status: http.StatusBadRequest, page: "badform"}
)

// field reads one field of a form, as typed. The field must be there exactly
// once; what else the form holds is ignored, and so is the query.
func field(w http.ResponseWriter, r *http.Request, name string) (string, error) {
	values, err := form(w, r)
	if err != nil {
		return "", err
	}
	return only(values, name)
}

// only is the value of the field of that name, which must be there exactly once.
func only(values url.Values, name string) (string, error) {
	if len(values[name]) != 1 || !utf8.ValidString(values[name][0]) {
		return "", errFormShape
	}
	return values[name][0], nil
}

// form reads the fields of a form.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errFormType
	}
	// As in the API: one buffer, cleared once its fields were copied out.
	buffer := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), maxForm)+bytes.MinRead))
	_, err = buffer.ReadFrom(http.MaxBytesReader(w, r.Body, maxForm))
	body := buffer.Bytes()
	defer clear(body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errFormSize
	}
	if err != nil {
		return nil, errFormShape
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errFormShape
	}
	return values, nil
}

// resetForm is what the page /reset shows.
type resetForm struct {
	MinLength        int
	MultipleAccounts bool
	Until            string // empty: not known just now
	Problems         []string
}

func (p *Pages) showReset(w http.ResponseWriter, r *http.Request) {
	p.resetPage(w, r, linkID(r), http.StatusOK, nil)
}

// resetPage shows the form, or why the link opens nothing.
func (p *Pages) resetPage(w http.ResponseWriter, r *http.Request, id string, status int, problems []string) {
	if id == "" {
		p.show(w, r, http.StatusNotFound, "nolink", nil)
		return
	}
	look, err := p.Service.Look(r.Context(), p.caller(r), id)
	if err != nil {
		p.failLink(w, r, err)
		return
	}
	p.show(w, r, status, "reset", resetForm{
		MinLength: p.MinLength, MultipleAccounts: look.MultipleAccounts, Until: until(look.ExpiresAt), Problems: problems,
	})
}

// postReset changes the password. It logs nobody in (OWASP ASVS 6.4.3).
func (p *Pages) postReset(w http.ResponseWriter, r *http.Request) {
	id := linkID(r)
	if id == "" {
		p.show(w, r, http.StatusNotFound, "nolink", nil)
		return
	}
	password, err := field(w, r, "password")
	if err != nil {
		p.WriteError(w, r, err)
		return
	}
	_, err = p.Service.Reset(r.Context(), p.caller(r), id, password)
	if err == nil {
		p.clearLink(w)
		p.seeOther(w, r, "/done")
		return
	}
	e := reset.AsError(err)
	switch e.Kind {
	case reset.Invalid:
		p.resetPage(w, r, id, http.StatusBadRequest, reasons(e))
	case reset.Unavailable:
		p.logFault(r, e)
		p.waitPage(w, r, id, http.StatusServiceUnavailable, e, msgBusy)
	case reset.Throttled:
		p.waitPage(w, r, id, http.StatusTooManyRequests, e, msgTooOften)
	default:
		p.failLink(w, r, err)
	}
}

// waitPage shows the form again to somebody who has to wait, since the link is
// not spent. Looking may be refused as well; then the form does without what it would tell.
func (p *Pages) waitPage(w http.ResponseWriter, r *http.Request, id string, status int, e *reset.Error, problem string) {
	form := resetForm{MinLength: p.MinLength, Problems: []string{problem}}
	look, err := p.Service.Look(r.Context(), p.caller(r), id)
	switch {
	case err == nil:
		form.MultipleAccounts, form.Until = look.MultipleAccounts, until(look.ExpiresAt)
	case reset.AsError(err).Kind == reset.Unauthorized:
		p.failLink(w, r, err)
		return
	}
	setRetryAfter(w.Header(), e.RetryAfter)
	p.show(w, r, status, "reset", form)
}

// failLink shows why the link in the cookie opens nothing, and forgets it.
func (p *Pages) failLink(w http.ResponseWriter, r *http.Request, err error) {
	if reset.AsError(err).Kind == reset.Unauthorized {
		p.clearLink(w)
	}
	p.WriteError(w, r, err)
}

// reasons are the policy's, one each.
func reasons(e *reset.Error) []string {
	refusals, ok := e.Details["password"].([]reset.Refusal)
	if !ok {
		return []string{e.Message}
	}
	list := make([]string, len(refusals))
	for i, refusal := range refusals {
		list[i] = sentence(refusal.Message)
	}
	return list
}
