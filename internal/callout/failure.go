package callout

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Kind is why no answer came.
type Kind int

// The kinds.
const (
	Broken      Kind = iota // what came is no HTTP, is too long, or broke off
	Forbidden               // the guard does not allow the address
	UnknownHost             // there is no such name
	Canceled                // whoever called wants no answer any more
	TimedOut                // it took too long
	Certificate             // it is not good
	Connection              // it could not be made, or was ended
)

// Failure is why no answer came. Its text names neither the target's path nor
// anything that the target has written.
type Failure struct {
	Kind    Kind
	problem string
	cause   error
}

// Error says what went wrong.
func (f *Failure) Error() string { return f.problem }

// Unwrap returns the cause, or nil if that could repeat what the target has written.
func (f *Failure) Unwrap() error { return f.cause }

// Explain says what it means that a call ended with err. who is whom was called,
// as in "the target"; timeout is how long ctx had.
func Explain(ctx context.Context, err error, who string, timeout time.Duration) *Failure {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // which does not repeat the whole URL
	}
	if f, ok := errors.AsType[*errForbidden](err); ok {
		return &Failure{Forbidden, "its address " + f.Error(), f}
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok && !d.IsTimeout {
		return &Failure{UnknownHost, "the name server does not know " + who + "'s host", err}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return &Failure{Canceled, "whoever called has gone", context.Canceled}
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() || ctx.Err() != nil {
		return &Failure{TimedOut, fmt.Sprintf("%s did not answer within %v", who, timeout), context.DeadlineExceeded}
	}
	if c, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &Failure{Certificate, who + "'s certificate is not good: " + c.Err.Error(), err}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return &Failure{Connection, op.Error(), err}
	}
	// What is left comes from reading the answer, and may repeat some of it.
	return &Failure{Broken, who + "'s answer is no HTTP, too long, or broke off", nil}
}
