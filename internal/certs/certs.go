// Package certs holds the certificates that the listener shows: a pair of
// files, which may be replaced while it serves (Files), or certificates that an
// authority issues by ACME (ACME).
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"
)

// Version is the oldest version of TLS that is spoken (OWASP ASVS 12.1.1); the
// suites are Go's own choice, which is kept up to date.
const Version = tls.VersionTLS12

const (
	// remindEvery is how often the log is told of a certificate that is no good, or soon will be.
	remindEvery = 24 * time.Hour
	// soon is how long before its end a certificate is worth a warning, at most: authorities'
	// clients renew thirty days before, so with two weeks left something is broken.
	soon = 14 * 24 * time.Hour
)

// OtherName is the event of a certificate that is for another host.
const OtherName = "tls.other_name"

// Problem is what is wrong with a certificate, or soon will be.
type Problem struct {
	Event string // for the log
	Text  string
	Hint  string // what to do
}

// Problems looks at a certificate that is shown to those who ask for host,
// which may be empty if that is not known.
func Problems(leaf *x509.Certificate, host string, now time.Time) []Problem {
	var found []Problem
	left := leaf.NotAfter.Sub(now)
	const renew = "renew it, and see why that did not happen by itself"
	switch {
	case now.Before(leaf.NotBefore):
		found = append(found, Problem{
			"tls.not_yet_valid", "the certificate is not good before " + stamp(leaf.NotBefore), "check the clock, or put back the one before it",
		})
	case left <= 0:
		found = append(found, Problem{"tls.expired", "the certificate has expired on " + stamp(leaf.NotAfter), renew})
	case left < min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/5): // some live for days only
		found = append(found, Problem{"tls.expires_soon", "the certificate expires on " + stamp(leaf.NotAfter), renew})
	}
	if host != "" && leaf.VerifyHostname(host) != nil {
		found = append(found, Problem{
			OtherName, fmt.Sprintf("the certificate is not for %s, the host of base_url, but for %s", host, names(leaf)),
			"get one for that host; this one is right only if a proxy in front calls Sparekey by one of those names",
		})
	}
	return found
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// names says whom a certificate is for.
func names(leaf *x509.Certificate) string {
	list := fmt.Sprint(leaf.DNSNames)
	if len(leaf.IPAddresses) > 0 {
		list += fmt.Sprint(leaf.IPAddresses)
	}
	return list
}

// reminder tells the log of problems, of each once a day.
type reminder struct {
	log  *slog.Logger
	told map[string]time.Time // by the problem's event and text
}

func (r *reminder) tell(ctx context.Context, found []Problem, now time.Time) {
	if r.told == nil {
		r.told = map[string]time.Time{}
	}
	for _, p := range found {
		key := p.Event + p.Text
		if at, ok := r.told[key]; ok && now.Sub(at) < remindEvery {
			continue
		}
		r.told[key] = now
		r.log.WarnContext(ctx, p.Text, "event", p.Event, "hint", p.Hint)
	}
	for key, at := range r.told { // what is mended is forgotten
		if now.Sub(at) > 2*remindEvery {
			delete(r.told, key)
		}
	}
}
