package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
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

// failed says what it means that there was no answer. url.Error is taken apart,
// since it repeats the whole URL.
func (s *Sender) failed(ctx context.Context, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if f, ok := errors.AsType[*errForbidden](err); ok {
		return &Fault{"its address " + f.Error(), "if it is meant to be there, add the address or its network to events.allow_private", f}
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok && !d.IsTimeout {
		return &Fault{"the name server does not know the target's host", "check the host in events.targets, and the name server of this machine", err}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || ctx.Err() != nil {
		return &Fault{fmt.Sprintf("the target did not answer within %v", s.timeout), "the application should answer at once and do its work afterwards; is a firewall between?", context.DeadlineExceeded}
	}
	if c, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &Fault{"the target's certificate is not good: " + c.Err.Error(), "it must be valid for the host, and by an authority that this machine trusts", err}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return &Fault{op.Error(), "does the application listen there, and does the firewall let this machine through?", err}
	}
	// What is left comes from reading the answer, and may repeat some of it.
	return &Fault{"the target's answer is no HTTP, too long, or broke off", "see the application's log", nil}
}
