// Package webhook tells targets of events by HTTP, signed after the Standard
// Webhooks specification (standardwebhooks.com).
//
// Targets are configured, yet their names are resolved by others, and what they
// answer is theirs. So every connection is checked by the address that it is made
// to, after the name was resolved (guard.go); redirects are not followed; and of
// an answer the status and Retry-After count.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sparekey/sparekey/internal/reset"
)

const (
	// timeout is for all of one attempt: name, connection, TLS, request, status.
	timeout = 10 * time.Second
	// maxAnswerHeader bounds what is read of an answer, in bytes; its body is not read.
	maxAnswerHeader = 16 << 10
)

// Target is who is told of events.
type Target struct {
	URL string
	// Keys sign, all of them, the newest first; a receiver needs to know one. See ParseSecret.
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
	signers  map[string][]*standardwebhooks.Webhook // by URL
	clients  map[string]*http.Client                // by scheme
	guard    *guard
	resolver *net.Resolver
	timeout  time.Duration
	now      reset.Clock
}

// New makes a sender.
func New(o Options) (*Sender, error) {
	s := &Sender{
		signers: map[string][]*standardwebhooks.Webhook{}, guard: newGuard(o.AllowPrivate),
		resolver: o.Resolver, timeout: o.Timeout, now: o.Now,
	}
	if s.resolver == nil {
		s.resolver = net.DefaultResolver
	}
	if s.timeout == 0 {
		s.timeout = timeout
	}
	s.clients = map[string]*http.Client{
		"https": newClient(s.resolver, s.guard.check, o.Roots),
		"http":  newClient(s.resolver, s.guard.checkLoopback, nil),
	}
	for _, t := range o.Targets {
		if len(t.Keys) == 0 {
			return nil, errors.New("a target of events has no key")
		}
		for _, key := range t.Keys {
			signer, err := standardwebhooks.NewWebhookRaw(key)
			if err != nil {
				return nil, err
			}
			s.signers[t.URL] = append(s.signers[t.URL], signer)
		}
	}
	return s, nil
}

// newClient makes what calls targets. Each call has a connection of its own, so that each is checked.
func newClient(resolver *net.Resolver, check control, roots *x509.CertPool) *http.Client {
	dialer := &net.Dialer{Resolver: resolver, Control: check}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // nor one from the environment: it would make the connections instead
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxAnswerHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// SendEvent implements reset.EventSender. Its errors name neither the target's
// path nor anything that the target has written.
func (s *Sender) SendEvent(ctx context.Context, target string, e reset.Event) error {
	_, err := s.Send(ctx, target, e)
	return err
}

// Send is SendEvent that answers the status, or 0 if there was none.
func (s *Sender) Send(ctx context.Context, target string, e reset.Event) (status int, err error) {
	signers, known := s.signers[target]
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
	signatures := make([]string, len(signers))
	for i, signer := range signers {
		if signatures[i], err = signer.Sign(e.ID, at, body); err != nil {
			return 0, err
		}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Sparekey")
	req.Header.Set(standardwebhooks.HeaderWebhookID, e.ID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
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
		if after := pause(retryAfter, now); after > 0 {
			return &reset.Postponed{After: after, Cause: fault}
		}
	}
	return fault
}

// pause reads Retry-After (RFC 9110, 10.2.3): seconds or a date; 0 if it is neither.
func pause(retryAfter string, now time.Time) time.Duration {
	const most = 365 * 24 * 60 * 60 // beyond that it could overflow
	if seconds, err := strconv.ParseUint(retryAfter, 10, 32); err == nil {
		return time.Duration(min(seconds, most)) * time.Second
	}
	if at, err := http.ParseTime(retryAfter); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
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
	allowed := s.guard.allowed
	if u.Scheme == "http" {
		allowed = s.guard.allowedLoopback
	}
	var fine []netip.Addr
	for _, addr := range found {
		if e := allowed(addr.Unmap()); e != nil {
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
