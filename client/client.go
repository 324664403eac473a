package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// basePath is where the API is below the server's base URL.
const basePath = "/api/1.0"

const (
	defaultTimeout = 30 * time.Second
	defaultRetries = 2
	maxRetries     = 10
)

// Client calls one server. It is safe for concurrent use. New makes one.
type Client struct {
	base    string // with basePath, without a slash at the end
	key     string // as it is sent: with the prefix, if there is one
	prefix  string
	http    *http.Client
	timeout time.Duration
	retries int
	pause   func(ctx context.Context, d time.Duration) error
}

// Option changes how a Client works.
type Option func(*Client) error

// WithKey sends an API key (X-Auth-Token) with the calls that take one: all but Request.
func WithKey(key string) Option {
	return func(c *Client) error {
		if err := checkToken("the key", key); err != nil {
			return err
		}
		c.key = key
		return nil
	}
}

// WithKeyPrefix puts one word in front of the key, as in "Token KEY". Servers
// take keys with and without one; by default there is none.
func WithKeyPrefix(prefix string) Option {
	return func(c *Client) error {
		if err := checkToken("the prefix of the key", prefix); err != nil {
			return err
		}
		c.prefix = prefix
		return nil
	}
}

// WithHTTPClient sends the calls through hc, for its transport (a proxy, own
// certificate authorities). Its redirect policy is not used: redirects are never followed.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *Client) error {
		if hc == nil {
			return badArgument("the HTTP client is nil")
		}
		c.http = hc
		return nil
	}
}

// WithTimeout bounds each attempt, reading the answer included. The default is
// 30 seconds. The context of a call bounds it with all its retries and pauses.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) error {
		if d <= 0 {
			return badArgument("the timeout must be above 0")
		}
		c.timeout = d
		return nil
	}
}

// WithRetries sets how often a call is tried again where that is safe: 0 to 10, by default 2.
func WithRetries(n int) Option {
	return func(c *Client) error {
		if n < 0 || n > maxRetries {
			return badArgument("the number of retries must be from 0 to %d", maxRetries)
		}
		c.retries = n
		return nil
	}
}

// New makes a client of the server at baseURL: the server's base_url, such as
// https://reset.example.com or https://example.com/sparekey, with or without
// the API's own /api/1.0 at its end. The error is an ErrBadArgument.
func New(baseURL string, options ...Option) (*Client, error) {
	base, err := parseBase(baseURL)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, http: &http.Client{}, timeout: defaultTimeout, retries: defaultRetries, pause: pause}
	for _, o := range options {
		if err := o(c); err != nil {
			return nil, err
		}
	}
	if c.prefix != "" && c.key != "" {
		c.key = c.prefix + " " + c.key
	}
	// A redirect could lead the key, and the id in the path, to another host. The API has none.
	own := *c.http
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil // there are no cookies in this API
	c.http = &own
	return c, nil
}

func parseBase(baseURL string) (string, error) {
	u, err := url.Parse(baseURL)
	switch {
	case err != nil: // its text would repeat the URL, and with it a password
		return "", badArgument("the base URL is not a URL; write https://reset.example.com")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		return "", badArgument("the base URL must begin with https:// or http:// and a host")
	case u.User != nil:
		return "", badArgument("the base URL must not hold a user or a password; the key goes into WithKey")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(baseURL, "#"):
		return "", badArgument("the base URL must end with its path, without ? and #")
	}
	base := u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/")
	return strings.TrimSuffix(base, basePath) + basePath, nil
}

// maxToken is far longer than any key, and far shorter than what servers take as a header.
const maxToken = 4096

// checkToken refuses what cannot be sent in a header, without repeating it.
func checkToken(what, s string) error {
	if s == "" {
		return badArgument("%s is empty", what)
	}
	if len(s) > maxToken {
		return badArgument("%s is longer than %d bytes", what, maxToken)
	}
	for _, b := range []byte(s) {
		if b <= ' ' || b > '~' {
			return badArgument("%s has a character that cannot be sent in a header, such as a line break or a space", what)
		}
	}
	return nil
}

// ErrBadArgument says that a call was not sent, or a client not made, because of what it was given.
var ErrBadArgument = errors.New("sparekey: bad argument")

func badArgument(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadArgument, fmt.Sprintf(format, args...))
}
