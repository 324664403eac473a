// Package callout has what calls to applications have in common, whoever makes
// them: signatures after the Standard Webhooks specification
// (standardwebhooks.com), where connections may go, and what it means that no
// answer came.
//
// Targets are configured, yet their names are resolved by others, and what they
// answer is theirs. So every connection is checked by the address that it is made
// to, after the name was resolved (guard.go); no proxy of the environment is
// heeded, since that would make the connections instead, and no redirect is followed.
package callout

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxAnswerHeader bounds what is read of an answer before its body, in bytes.
const maxAnswerHeader = 16 << 10

// Bounds of a key in bytes, after the specification.
const (
	leastKey = 24
	mostKey  = 64

	secretPrefix = "whsec_"
)

// FormatSecret writes a key as applications' libraries take it.
func FormatSecret(key []byte) string { return secretPrefix + base64.StdEncoding.EncodeToString(key) }

// ParseSecret reads what FormatSecret writes. Its error does not repeat it.
func ParseSecret(s string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, errors.New("does not begin with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil:
		return nil, errors.New("is not base64 after whsec_")
	case len(key) < leastKey || len(key) > mostKey:
		return nil, errors.New("is not of 24 to 64 bytes")
	}
	return key, nil
}

// Signer signs calls with one key or several: a receiver needs to know one of them.
type Signer struct{ hooks []*standardwebhooks.Webhook }

// NewSigner makes a signer. There must be a key.
func NewSigner(keys ...[]byte) (*Signer, error) {
	if len(keys) == 0 {
		return nil, errors.New("there is no key to sign with")
	}
	s := &Signer{}
	for _, key := range keys {
		hook, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, err
		}
		s.hooks = append(s.hooks, hook)
	}
	return s, nil
}

// Sign puts the three headers of the specification into h: the call's id, when it was signed, and the signatures.
func (s *Signer) Sign(h http.Header, id string, at time.Time, body []byte) error {
	signatures := make([]string, len(s.hooks))
	for i, hook := range s.hooks {
		var err error
		if signatures[i], err = hook.Sign(id, at, body); err != nil {
			return err
		}
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// Transport makes what connects to targets of a scheme, "https" or "http", where
// the guard allows. Each call has a connection of its own unless the caller changes that.
func Transport(resolver *net.Resolver, guard *Guard, scheme string, roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Resolver: resolver, Control: guard.control(scheme)}
	return &http.Transport{
		Proxy:                  nil, // nor one from the environment
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxAnswerHeader,
	}
}

// Client makes a client that follows no redirect.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Pause reads Retry-After (RFC 9110, 10.2.3): seconds or a date; 0 if it is neither.
func Pause(retryAfter string, now time.Time) time.Duration {
	const most = 365 * 24 * 60 * 60 // beyond that it could overflow
	if seconds, err := strconv.ParseUint(retryAfter, 10, 32); err == nil {
		return time.Duration(min(seconds, most)) * time.Second
	}
	if at, err := http.ParseTime(retryAfter); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
