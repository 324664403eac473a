package hookdir

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
)

// How long callers are asked to wait: as long as the application says, within bounds.
const (
	pauseUnsaid = 5 * time.Second
	pauseMost   = 10 * time.Minute
	// skewMost is how far clocks may be apart: the tolerance of the specification, less a call's time.
	skewMost = 4 * time.Minute
)

// later is what callers see of whatever an operator has to see to.
func later(after time.Duration, cause error) *reset.Error {
	if after <= 0 {
		after = pauseUnsaid
	}
	return reset.Busy("the directory cannot be reached just now; please try again in a moment", min(after, pauseMost), cause)
}

// fixes are what an operator looks at when no answer came.
var fixes = map[callout.Kind][2]string{
	callout.Forbidden:   {"allow_private", "if the application is meant to be there, add the address or its network"},
	callout.UnknownHost: {"url", "check the host, and the name server of this machine"},
	callout.TimedOut:    {"timeout", "the application has to answer sooner, or may have longer; is a firewall between?"},
	callout.Certificate: {"ca_file", "the certificate has to be valid for the host, and by an authority that this machine trusts or this file names"},
	callout.Connection:  {"url", "does the application listen there, and does the firewall let this machine through?"},
	callout.Broken:      {"url", "see the application's log"},
}

// cause says for operators why there was no answer.
func (f *failure) cause() error {
	switch {
	case f.busy:
		return misset("connections", "let more calls be under way at once, or find out why the application is slow", "%w", errBusy)
	case f.Kind == callout.Canceled:
		return f.Failure // there is nothing to mend
	case f.large:
		return misset("url", "see the application's log; does something else answer there?", "the application's answer has more than %d bytes", maxAnswer)
	}
	fix := fixes[f.Kind]
	return misset(fix[0], fix[1], "%w", f.Failure)
}

// away is what callers see when there was no answer.
func (d *Directory) away(f *failure) error { return later(0, f.cause()) }

// refused is what callers see of an answer that is none to the question.
func (d *Directory) refused(a answer) error { return later(a.retryAfter, d.status(a)) }

// status says for operators what an unwanted status means. What the application has written is not repeated: it may be anything.
func (d *Directory) status(a answer) error {
	problem := fmt.Errorf("the application answered %d", a.status)
	m := &reset.Misset{Setting: "url", Fix: "see the application's log", Cause: problem}
	switch {
	case a.status >= 300 && a.status < 400:
		m.Fix = "set it to where the application redirects; redirects are not followed"
	case a.status == http.StatusUnauthorized && (a.skew > skewMost || a.skew < -skewMost):
		m.Setting, m.Fix = "secrets", "set the clocks right first, of this machine and the application's"
		m.Cause = fmt.Errorf("%w, and its clock is %v away from ours", problem, a.skew.Abs().Round(10*time.Second)) // Date has whole seconds
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		m.Setting, m.Fix = "secrets", "does the application verify with one of these secrets, may that change passwords, and is its clock right?"
	case a.status == http.StatusNotFound, a.status == http.StatusMethodNotAllowed:
		m.Fix = "is its path right? The application has to take POST there, at /find, /set and /health"
	case a.status >= 200 && a.status < 300:
		m.Fix = "the application has to answer as docs/directory-webhook.yaml says; does something else answer there?"
	}
	return m
}

// unchanged is a Set that has changed nothing, for certain.
func unchanged(cause error) error { return &reset.Unchanged{Cause: cause} }

// unsure is a Set of which nobody knows whether it has changed anything.
func unsure(cause error) error {
	return fmt.Errorf("whether the directory has changed the password is not known: %w", cause)
}

var errBusy = errors.New("too many calls to the application are under way")
