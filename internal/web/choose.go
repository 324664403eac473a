package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

// chooseForm is the form that changes a password.
type chooseForm struct {
	Action   string
	Hint     string // where to ask what the policy says
	Min, Max int    // lengths
	Length   string // says Min
	Typed    string // says how many characters there are, "#" in place of the number
	Problems []string
	// What follows is empty where it is not known just now.
	For      []piece // whose password it is
	Address  string  // the same for password managers
	Accounts []piece // where it will hold, if in more than one
	Until    []piece
}

// mostAccounts is how many accounts are named, as in mails.
const mostAccounts = 20

func (p *Pages) showReset(w http.ResponseWriter, r *http.Request) {
	p.resetPage(w, r, http.StatusOK, nil)
}

// resetPage shows the form, or why the link opens nothing. What kept the form
// from being taken is said with the field and above.
func (p *Pages) resetPage(w http.ResponseWriter, r *http.Request, status int, e *reset.Error) {
	id := linkID(r)
	if id == "" {
		p.note(w, r, http.StatusNotFound, "nolink", nil)
		return
	}
	v := p.newView(r, "choose", "choose.title")
	form := &chooseForm{
		Action: p.prefix + "/reset" + p.keep(r), Hint: p.prefix + "/reset/hint", Min: p.MinLength, Max: p.MaxLength,
		Length: v.say.Text("choose.length", i18n.Data{"Count": p.MinLength}),
		Typed:  v.say.Text("choose.typed", i18n.Data{"Count": p.MinLength, "Length": "#"}),
	}
	v.Choose, v.Script = form, p.asset(script)
	look, err := p.Service.LookCloser(r.Context(), p.caller(r), id)
	switch {
	case err == nil:
		form.show(v, look)
	// Who has to wait keeps the form, since the link is not spent: it does without what the look would tell.
	case e == nil || e.Kind == reset.Invalid || reset.AsError(err).Kind == reset.Unauthorized:
		p.failLink(w, r, err)
		return
	}
	if e != nil {
		for _, text := range p.reasons(v.say, e) {
			v.problem("password", text)
			form.Problems = append(form.Problems, text)
		}
	}
	w.Header().Set("Content-Security-Policy", askingPolicy)
	p.show(w, r, status, v)
}

// show fills in what is known of the link.
func (f *chooseForm) show(v *view, look reset.Closer) {
	f.Address = look.Address.Raw()
	f.For = v.line("choose.for", i18n.Data{"Address": f.Address})
	f.Until = v.line("choose.until", i18n.Data{"Until": look.ExpiresAt})
	if len(look.Accounts) > 1 { // several directories may have no names
		f.Accounts = v.line("choose.accounts", i18n.Data{"Accounts": v.say.List(look.Accounts, mostAccounts)})
	}
}

// postReset changes the password. It logs nobody in (OWASP ASVS 6.4.3). What
// was typed is never sent back: the page's script keeps it where it is.
func (p *Pages) postReset(w http.ResponseWriter, r *http.Request) {
	id := linkID(r)
	if id == "" {
		p.note(w, r, http.StatusNotFound, "nolink", nil)
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
		p.seeOther(w, "/done"+p.keep(r))
		return
	}
	e := reset.AsError(err)
	if page, _ := p.outcome(r, e); page != "" {
		p.clearLink(w)
		p.WriteError(w, r, e)
		return
	}
	switch e.Kind {
	case reset.Invalid:
		p.resetPage(w, r, http.StatusBadRequest, e)
	case reset.Unavailable:
		p.logFault(r, e)
		setRetryAfter(w.Header(), e.RetryAfter)
		p.resetPage(w, r, http.StatusServiceUnavailable, e)
	case reset.Throttled:
		setRetryAfter(w.Header(), e.RetryAfter)
		p.resetPage(w, r, http.StatusTooManyRequests, e)
	default:
		p.failLink(w, r, err)
	}
}

// failLink shows why the link in the cookie opens nothing, and forgets it.
func (p *Pages) failLink(w http.ResponseWriter, r *http.Request, err error) {
	if reset.AsError(err).Kind == reset.Unauthorized {
		p.clearLink(w)
	}
	p.WriteError(w, r, err)
}

// reasons are why a password was not taken: the policy's, one each, or why to wait.
func (p *Pages) reasons(say i18n.Localizer, e *reset.Error) []string {
	switch e.Kind {
	case reset.Unavailable:
		return []string{say.Text("choose.busy", i18n.Data{"Wait": say.Wait(e.RetryAfter)})}
	case reset.Throttled:
		return []string{say.Text("choose.often", i18n.Data{"Wait": say.Wait(e.RetryAfter)})}
	}
	refusals, _ := e.Details["password"].([]reset.Refusal)
	if len(refusals) == 0 {
		return []string{e.Message}
	}
	return refusalTexts(say, refusals)
}

func refusalTexts(say i18n.Localizer, refusals []reset.Refusal) []string {
	list := make([]string, len(refusals))
	for i, refusal := range refusals {
		text, ok := say.Refusal(refusal.Code, refusal.Params)
		if !ok {
			text = refusal.Message
		}
		list[i] = text
	}
	return list
}

// hint answers the page's script what the policy has against what is typed so far, in the language of the page. It asks the same policy as
// the reset will, so that it never says anything else; whoever has no link that is open learns nothing.
func (p *Pages) hint(w http.ResponseWriter, r *http.Request) {
	password, err := field(w, r, "password")
	if err != nil {
		p.refuseHint(w, r, err)
		return
	}
	refusals, err := p.Service.Hint(r.Context(), p.caller(r), linkID(r), password)
	if err != nil {
		p.refuseHint(w, r, err)
		return
	}
	body, err := json.Marshal(map[string][]string{"problems": refusalTexts(p.texts.In(languageOf(r)), refusals)})
	if err != nil {
		p.refuseHint(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, body)
}

// refuseHint answers a script that shows nothing then: the form says why, when it is sent.
func (p *Pages) refuseHint(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	if e, ok := errors.AsType[*pageError](err); ok {
		status = e.status
	} else {
		e := reset.AsError(err)
		p.logFault(r, e)
		switch e.Kind {
		case reset.Throttled:
			setRetryAfter(w.Header(), e.RetryAfter)
			status = http.StatusTooManyRequests
		case reset.Unavailable:
			setRetryAfter(w.Header(), e.RetryAfter)
			status = http.StatusServiceUnavailable
		case reset.Unauthorized:
			status = http.StatusNotFound
		}
	}
	writeJSON(w, r, status, []byte("{}"))
}
