package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

// forgotForm is the form that asks for a link.
type forgotForm struct {
	Action  string
	Email   string
	Problem string // with the address
	// Challenge is a puzzle for the browser to solve; empty if none are demanded. Renew is where another is.
	Challenge string
	Renew     string
}

func (p *Pages) showForgot(w http.ResponseWriter, r *http.Request) {
	p.forgotPage(w, r, http.StatusOK, p.forgotView(r), "")
}

func (p *Pages) forgotView(r *http.Request) *view {
	v := p.newView(r, "forgot", "forgot.title")
	v.Lines = [][]piece{v.line("forgot.text", nil)}
	return v
}

// forgotPage shows the form, with a puzzle that nobody has solved yet.
func (p *Pages) forgotPage(w http.ResponseWriter, r *http.Request, status int, v *view, typed string) {
	form := &forgotForm{Action: p.prefix + "/forgot" + p.keep(r), Email: typed}
	v.Forgot = form
	if v.Problems != nil {
		for _, problem := range v.Problems.List {
			if problem.Field == "email" {
				form.Problem = problem.Text
			}
		}
	}
	if p.Challenge != nil {
		made, err := p.Challenge()
		if err != nil {
			p.WriteError(w, r, err)
			return
		}
		form.Challenge, form.Renew, v.Script = string(made), p.prefix+"/forgot/challenge", p.asset(solver)
		w.Header().Set("Content-Security-Policy", solvingPolicy)
	}
	p.show(w, r, status, v)
}

// postForgot asks for a link. Its answer is the same whether or not anybody has the address.
func (p *Pages) postForgot(w http.ResponseWriter, r *http.Request) {
	values, err := form(w, r)
	if err != nil {
		p.WriteError(w, r, err)
		return
	}
	typed, err := only(values, "email")
	if err != nil {
		p.WriteError(w, r, err)
		return
	}
	caller := p.caller(r)
	// A form without the field, or with an empty one, comes from a browser that solves nothing.
	caller.Proof = reset.Proof{Page: true, Solution: strings.Join(values["altcha"], " ")}
	// Phones add a space after a completed word.
	err = p.Service.Ask(r.Context(), caller, []string{strings.TrimSpace(typed)})
	if err == nil {
		p.seeOther(w, "/sent"+p.keep(r))
		return
	}
	e := reset.AsError(err)
	v := p.forgotView(r)
	status := http.StatusBadRequest
	fault, unsolved := e.Details["puzzle"].(reset.Fault)
	switch {
	case unsolved && e.Kind == reset.Throttled:
		setRetryAfter(w.Header(), e.RetryAfter)
		status = http.StatusTooManyRequests
		v.problem("", v.T("puzzle.too_many"))
	case unsolved && fault == reset.FaultMissing:
		v.problem("", v.T("puzzle.needs_script"))
	case unsolved:
		v.problem("", v.T("puzzle.again"))
	case e.Kind == reset.Invalid:
		v.problem("email", v.T("forgot.bad_address"))
	default:
		p.WriteError(w, r, err)
		return
	}
	p.forgotPage(w, r, status, v, typed)
}

// challenge makes another puzzle, for a page that was open for longer than one is good.
func (p *Pages) challenge(w http.ResponseWriter, r *http.Request) {
	if p.Challenge == nil {
		p.note(w, r, http.StatusNotFound, "missing", nil)
		return
	}
	made, err := p.Challenge()
	if err != nil {
		p.WriteError(w, r, err)
		return
	}
	writeJSON(w, r, http.StatusOK, made)
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a browser that is gone needs no answer
	}
}

// deadLink says honestly what became of a link. That tells nobody anything who
// does not hold the secret: to others every id is unknown.
func (p *Pages) deadLink(w http.ResponseWriter, r *http.Request, code reset.Code) {
	switch code {
	case reset.CodeExpired:
		// Whoever came late has the form for a new one before them.
		v := p.newView(r, "forgot", "expired.title")
		v.Lines = [][]piece{v.line("expired.text", nil)}
		p.forgotPage(w, r, http.StatusGone, v, "")
	case reset.CodeInactive:
		name, data := p.ending(r)
		p.note(w, r, http.StatusGone, name, data)
	default:
		p.note(w, r, http.StatusNotFound, "unknown", nil)
	}
}

// ending picks the page that says how the link of the request ended. If that cannot be found out, one that fits all.
func (p *Pages) ending(r *http.Request) (name string, data i18n.Data) {
	id := r.PathValue("id")
	if id == "" {
		id = linkID(r)
	}
	ending, err := p.Service.Ending(r.Context(), id)
	if err != nil {
		p.logFault(r, reset.AsError(err))
	}
	switch ending.How {
	case reset.EndedUsed:
		return "used", i18n.Data{"At": ending.At}
	case reset.EndedReplaced:
		return "replaced", i18n.Data{"At": ending.At}
	case reset.EndedOther:
	}
	return "gone", nil
}
