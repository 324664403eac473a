package hookdir

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
)

// staleness is how old the call is that Check wants to see refused: older than the tolerance of the specification.
const staleness = time.Hour

// Check implements reset.Inspected. That the application refuses what is not signed, or was signed long
// ago, is part of it: one that does not lets anybody set passwords.
func (d *Directory) Check(ctx context.Context, step func(line string)) error {
	if err := d.resolve(ctx, step); err != nil {
		return err
	}
	h, a, err := d.health(ctx)
	if err != nil {
		return err
	}
	step(connected(a))
	step("the application is well" + inParentheses(h.Application) + ", and verifies with one of the secrets")
	if h.Idempotent {
		step("it honours the Idempotency-Key: a call whose answer is lost is sent again, once")
	} else {
		step("it does not honour the Idempotency-Key: a link is used up if the answer to its reset is lost")
	}
	stranger := make([]byte, 32)
	_, _ = rand.Read(stranger) // never fails
	signer, err := callout.NewSigner(stranger)
	if err != nil {
		return err
	}
	if err := d.mustRefuse(ctx, "that is signed with another secret", signer, time.Time{}); err != nil {
		return err
	}
	step("it refuses calls that are signed with another secret")
	if err := d.mustRefuse(ctx, "that was signed an hour ago", d.signer, d.now().Add(-staleness)); err != nil {
		return err
	}
	step("it refuses calls that were signed an hour ago")
	nobody, err := reset.ParseAddress("nobody-" + strings.ReplaceAll(uuid.NewString(), "-", "") + "@example.invalid")
	if err != nil {
		return err
	}
	if _, err := d.UserByAddress(ctx, nobody); !errors.Is(err, reset.ErrNoUser) {
		if err == nil {
			err = later(0, odd("find", errors.New("has a user for an address that nobody can have")))
		}
		return err
	}
	step("it finds nobody for an address that nobody has")
	return nil
}

// resolve says where the host's name leads.
func (d *Directory) resolve(ctx context.Context, step func(line string)) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	failed := func(err error) error { return d.away(&failure{Failure: callout.Explain(ctx, err, whom, d.timeout)}) }
	found, err := d.resolver.LookupNetIP(ctx, "ip", d.url.Hostname())
	if err != nil {
		return failed(err)
	}
	var fine []string
	for _, addr := range found {
		if e := d.guard.Allowed(d.url.Scheme, addr); e != nil {
			err = e
			continue
		}
		fine = append(fine, addr.Unmap().String())
	}
	if len(fine) == 0 {
		return failed(err)
	}
	step(d.url.Hostname() + " is " + strings.Join(fine, ", ") + ", which may be called")
	return nil
}

func connected(a answer) string {
	if a.tls == nil {
		return "connected without TLS, on this machine"
	}
	s := "connected over " + tls.VersionName(a.tls.Version)
	if len(a.tls.PeerCertificates) > 0 {
		s += "; the certificate is good until " + a.tls.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)
	}
	return s
}

func inParentheses(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// mustRefuse answers an error unless the application answers 401 or 403 to a call that is not to be trusted.
func (d *Directory) mustRefuse(ctx context.Context, what string, signer *callout.Signer, at time.Time) error {
	body, err := json.Marshal(healthCall{Type: "health"})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	a, f := d.send(ctx, d.asking, call{path: "health", id: uuid.NewString(), body: body, signer: signer, at: at})
	switch {
	case f != nil && a.status == 0:
		return d.away(f)
	case a.status != http.StatusUnauthorized && a.status != http.StatusForbidden:
		return later(0, misset("url", "the application has to verify each call and answer 401 to this one; until it does, anybody can change passwords there",
			"the application answered %d to a call %s", a.status, what))
	}
	return nil
}

// Plan implements reset.Inspected.
func (d *Directory) Plan(_ context.Context, u reset.User) ([]string, error) {
	way := "over TLS"
	if d.url.Scheme != "https" {
		way = "without TLS, to this machine"
	}
	return []string{
		fmt.Sprintf("POST %s, signed, %s: id %q, and the password as it was typed", d.url.JoinPath("set"), way, u.ID),
		fmt.Sprintf("the application hashes and stores it, ends the user's sessions, and answers 204 within %v", d.timeout),
	}, nil
}
