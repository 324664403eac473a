package webhook

import (
	"context"

	"github.com/sparekey/sparekey/internal/callout"
)

// Fault is why a target could not be told.
type Fault struct {
	problem, hint string
	cause         error
}

// Error says what went wrong. It names neither the target's path nor what it has written.
func (f *Fault) Error() string { return f.problem }

// Hint says what an operator can do.
func (f *Fault) Hint() string { return f.hint }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.cause }

// hints say what an operator can do about each kind of failure.
var hints = map[callout.Kind]string{
	callout.Forbidden:   "if it is meant to be there, add the address or its network to events.allow_private",
	callout.UnknownHost: "check the host in events.targets, and the name server of this machine",
	callout.TimedOut:    "the application should answer at once and do its work afterwards; is a firewall between?",
	callout.Certificate: "it must be valid for the host, and by an authority that this machine trusts",
	callout.Connection:  "does the application listen there, and does the firewall let this machine through?",
	callout.Broken:      "see the application's log",
}

// failed says what it means that there was no answer.
func (s *Sender) failed(ctx context.Context, err error) error {
	f := callout.Explain(ctx, err, "the target", s.timeout)
	if f.Kind == callout.Canceled {
		return ctx.Err()
	}
	return &Fault{f.Error(), hints[f.Kind], f.Unwrap()}
}
