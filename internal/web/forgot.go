package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// forgotForm is what the page /forgot shows.
type forgotForm struct {
	Email   string
	Problem string // with the address
	Trouble string // with the puzzle
	// Challenge is a puzzle for the browser to solve; empty if none are demanded.
	Challenge string
	Script    string
}

func (p *Pages) showForgot(w http.ResponseWriter, r *http.Request) {
	p.forgotPage(w, r, http.StatusOK, forgotForm{})
}

// forgotPage shows the form, with a puzzle that nobody has solved yet.
func (p *Pages) forgotPage(w http.ResponseWriter, r *http.Request, status int, form forgotForm) {
	if p.Challenge != nil {
		made, err := p.Challenge()
		if err != nil {
			p.WriteError(w, r, err)
			return
		}
		form.Challenge, form.Script = string(made), p.asset(solver)
		w.Header().Set("Content-Security-Policy", solvingPolicy)
	}
	p.show(w, r, status, "forgot", form)
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
		p.seeOther(w, r, "/sent")
		return
	}
	e := reset.AsError(err)
	fault, unsolved := e.Details["puzzle"].(reset.Fault)
	switch {
	case unsolved && e.Kind == reset.Throttled:
		setRetryAfter(w.Header(), e.RetryAfter)
		p.forgotPage(w, r, http.StatusTooManyRequests, forgotForm{Email: typed, Trouble: msgManyWithoutScript})
	case unsolved && fault == reset.FaultMissing:
		p.forgotPage(w, r, http.StatusBadRequest, forgotForm{Email: typed, Trouble: msgNeedsScript})
	case unsolved:
		p.forgotPage(w, r, http.StatusBadRequest, forgotForm{Email: typed, Trouble: msgSendAgain})
	case e.Kind == reset.Invalid:
		p.forgotPage(w, r, http.StatusBadRequest, forgotForm{Email: typed, Problem: msgBadAddress})
	default:
		p.WriteError(w, r, err)
	}
}

// challenge makes another puzzle, for a page that was open for longer than one is good.
func (p *Pages) challenge(w http.ResponseWriter, r *http.Request) {
	if p.Challenge == nil {
		p.show(w, r, http.StatusNotFound, "missing", nil)
		return
	}
	made, err := p.Challenge()
	if err != nil {
		p.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(made)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(made) // a browser that is gone needs no answer
	}
}
