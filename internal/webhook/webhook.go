// Package webhook tells targets of events by HTTP, signed after the Standard
// Webhooks specification (standardwebhooks.com).
//
// Where connections may go is internal/callout's to say. Of an answer the status
// and Retry-After count.
package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
)

// timeout is for all of one attempt: name, connection, TLS, request, status.
const timeout = 10 * time.Second

// Target is who is told of events.
type Target struct {
	URL string
	// Keys sign, all of them, the newest first; a receiver needs to know one. See callout.ParseSecret.
	Keys [][]byte
}

// Options are how to tell.
type Options struct {
	Targets []Target
	// AllowPrivate are the networks that targets may be in, of those that are
	// otherwise refused: private, loopback and whatever else is not the Internet.
	AllowPrivate []netip.Prefix
	// Resolver is nil for the system's.
	Resolver *net.Resolver
	// Roots are whom certificates are believed; nil: the system's.
	Roots *x509.CertPool
	// Timeout is for one attempt; 0: ten seconds.
	Timeout time.Duration
	Now     reset.Clock
}

// Sender is a reset.EventSender.
type Sender struct {
	signers  map[string]*callout.Signer // by URL
	clients  map[string]*http.Client    // by scheme
	guard    *callout.Guard
	resolver *net.Resolver
	timeout  time.Duration
	now      reset.Clock
}

// New makes a sender.
func New(o Options) (*Sender, error) {
	s := &Sender{
		signers: map[string]*callout.Signer{}, guard: callout.NewGuard("events.allow_private", o.AllowPrivate),
		resolver: o.Resolver, timeout: o.Timeout, now: o.Now,
	}
	if s.resolver == nil {
		s.resolver = net.DefaultResolver
	}
	if s.timeout == 0 {
		s.timeout = timeout
	}
	s.clients = map[string]*http.Client{
		"https": callout.Client(callout.Transport(s.resolver, s.guard, "https", o.Roots)),
		"http":  callout.Client(callout.Transport(s.resolver, s.guard, "http", nil)),
	}
	for _, t := range o.Targets {
		signer, err := callout.NewSigner(t.Keys...)
		if err != nil {
			return nil, fmt.Errorf("a target of events: %w", err)
		}
		s.signers[t.URL] = signer
	}
	return s, nil
}

// SendEvent implements reset.EventSender. Its errors name neither the target's
// path nor anything that the target has written.
func (s *Sender) SendEvent(ctx context.Context, target string, e reset.Event) error {
	_, err := s.Send(ctx, target, e)
	return err
}

// Send is SendEvent that answers the status, or 0 if there was none.
func (s *Sender) Send(ctx context.Context, target string, e reset.Event) (status int, err error) {
	signer, known := s.signers[target]
	if !known {
		return 0, &reset.Unwanted{Cause: errors.New("its target is configured no more")}
	}
	body, err := encode(e)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("the target is no URL")
	}
	at := s.now()
	if err := signer.Sign(req.Header, e.ID, at, body); err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Sparekey")
	answer, err := s.clients[req.URL.Scheme].Do(req)
	if err != nil {
		return 0, s.failed(ctx, err)
	}
	_ = answer.Body.Close() // which ends the connection; nobody reads what the target says
	return answer.StatusCode, answered(answer.StatusCode, answer.Header.Get("Retry-After"), at)
}

// answered says what a status means.
func answered(status int, retryAfter string, now time.Time) error {
	fault := &Fault{problem: fmt.Sprintf("the target answered %d", status), hint: "see the application's log; it has to answer 2xx once it has taken the event"}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		fault.problem += ", and redirects are not followed"
		fault.hint = "set the target in events.targets to where it redirects"
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		fault.hint = "does the application verify with the secret that sparekey event secrets prints for this target, and is its clock right?"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		fault.hint = "is the path of the target right? The application has to take POST there"
	case status == http.StatusGone:
		fault.hint = "the application wants no more events; take the target out of events.targets"
		return &reset.Unwanted{Cause: fault}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		if after := callout.Pause(retryAfter, now); after > 0 {
			return &reset.Postponed{After: after, Cause: fault}
		}
	}
	return fault
}

// Check resolves a target's name and answers its addresses, or an error if events
// could not be sent to any of them. It sends nothing.
func (s *Sender) Check(ctx context.Context, target string) ([]netip.Addr, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("the target is no URL")
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.resolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	var fine []netip.Addr
	for _, addr := range found {
		if e := s.guard.Allowed(u.Scheme, addr); e != nil {
			err = e
			continue
		}
		fine = append(fine, addr.Unmap())
	}
	if len(fine) == 0 {
		return nil, s.failed(ctx, err)
	}
	return fine, nil
}
