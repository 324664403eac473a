package hookdir

import (
	"context"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
)

// Watch puts something between the directory and the network.
func Watch(d *Directory, between func(http.RoundTripper) http.RoundTripper) {
	d.asking.Transport, d.setting.Transport = between(d.asking.Transport), between(d.setting.Transport)
}

// SetTimeout changes how long the application has, while nobody calls.
func SetTimeout(d *Directory, timeout time.Duration) { d.timeout = timeout }

// Spellings is spellings.
func Spellings(a reset.Address) []string { return spellings(a) }

// ParseUsers reads an answer to find.
func ParseUsers(body []byte) ([]reset.User, error) {
	return parseUsers(answer{media: "application/json", body: body})
}

// ParseHealth reads an answer to health.
func ParseHealth(body []byte) (idempotent bool, application string, err error) {
	h, err := parseHealth(answer{media: "application/json", body: body})
	return h.Idempotent, h.Application, err
}

// Outcome says what an answer to set means.
func Outcome(status int, body []byte, password string) error {
	c := &change{directory: &Directory{}, password: password}
	return c.meaning(answer{status: status, media: "application/json", body: body}, nil)
}

// RefuseConnections refuses those of set as a machine does where nobody listens, as long as refuse says so.
func RefuseConnections(d *Directory, refuse func() bool) {
	transport := callout.Transport(d.resolver, d.guard, d.url.Scheme, nil)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if refuse() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return dial(ctx, network, address)
	}
	d.setting.Transport = transport
}
