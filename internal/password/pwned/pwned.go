// Package pwned asks a service on the network whether a password was leaked, by
// the protocol of the range search of Have I Been Pwned
// (https://haveibeenpwned.com/API/v3#PwnedPasswords): what is sent is the first
// five hexadecimal digits of the password's SHA-1, which a thousand others share;
// what comes back is the rest of each.
package pwned

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/password"
)

const (
	prefixDigits = 5
	// mostBytes is how much of an answer is read. Some 2,000 lines of at most 50 bytes are usual.
	mostBytes = 1 << 20
	// mostAtOnce is how many questions are under way at once; further ones wait within their time.
	mostAtOnce = 16
)

// Service is a service on the network. It implements password.List. It is safe for concurrent use.
type Service struct {
	url     string
	timeout time.Duration
	client  *http.Client
	turns   chan struct{}
}

var _ password.List = (*Service)(nil)

// New returns the service at a URL, to which a slash and five digits are added.
// The time-out is for all of one question.
//
// It goes where it is configured to and nowhere else: it follows no redirect and
// heeds no proxy of the environment.
func New(url string, timeout time.Duration) *Service {
	return &Service{
		url: strings.TrimRight(url, "/") + "/", timeout: timeout,
		turns: make(chan struct{}, mostAtOnce),
		client: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:            (&net.Dialer{}).DialContext,
				ForceAttemptHTTP2:      true,
				MaxConnsPerHost:        mostAtOnce,
				MaxIdleConnsPerHost:    2,
				IdleConnTimeout:        time.Minute,
				MaxResponseHeaderBytes: 16 << 10,
			},
		},
	}
}

// Close closes idle connections.
func (s *Service) Close() { s.client.CloseIdleConnections() }

// errBadAnswer is the service's answer if it is none.
var errBadAnswer = errors.New("the service answered with something else than a list of hashes")

// Has implements password.List. Its errors have nothing of the digest, and
// neither has what they wrap.
func (s *Service) Has(ctx context.Context, d password.Digest) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return false, fmt.Errorf("too many look-ups are under way: %w", ctx.Err())
	}
	digits := strings.ToUpper(hex.EncodeToString(d[:]))
	found, err := s.ask(ctx, digits[:prefixDigits], digits[prefixDigits:])
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // its text has the URL, and with it the digits
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("the service did not answer within %v: %w", s.timeout, context.DeadlineExceeded)
	}
	return found, err
}

func (s *Service) ask(ctx context.Context, prefix, rest string) (found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+prefix, http.NoBody)
	if err != nil {
		return false, err
	}
	req.Header.Set("User-Agent", "Sparekey") // the service refuses whoever names none
	req.Header.Set("Add-Padding", "true")    // so that the length of the answer tells nobody on the way which it is
	res, err := s.client.Do(req)
	if err != nil {
		return false, err
	}
	defer func() {
		if e := res.Body.Close(); err == nil {
			err = e
		}
	}()
	if res.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the service answered with status %d", res.StatusCode)
	}
	return search(res.Body, rest)
}

// search looks for a hash in an answer, all of which it reads, so that it takes as long whether or not it is there.
func search(body io.Reader, rest string) (found bool, err error) {
	limited := &io.LimitedReader{R: body, N: mostBytes + 1}
	lines := bufio.NewScanner(limited)
	for lines.Scan() {
		hash, count, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if !ok || len(hash) != len(rest) {
			err = errBadAnswer
			break
		}
		if strings.EqualFold(hash, rest) && strings.Trim(count, "0") != "" { // padding has the count 0
			found = true
		}
	}
	switch {
	case limited.N == 0: // whatever was cut off there
		return false, fmt.Errorf("the service answered with more than %d bytes", mostBytes)
	case errors.Is(lines.Err(), bufio.ErrTooLong):
		return false, errBadAnswer
	case err == nil:
		err = lines.Err()
	}
	return found && err == nil, err
}
