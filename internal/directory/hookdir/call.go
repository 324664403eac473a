package hookdir

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/reset"
)

const (
	// maxAnswer bounds an answer's body, in bytes.
	maxAnswer = 64 << 10
	// beforeAgain is how long to wait before what has failed is tried again: a server may be about to start.
	beforeAgain = 50 * time.Millisecond

	whom = "the application"
)

// The bodies of the calls.
type (
	findCall struct {
		Type      string   `json:"type"`
		Addresses []string `json:"addresses,omitempty"`
		ID        string   `json:"id,omitempty"`
	}
	setCall struct {
		Type     string `json:"type"`
		ID       string `json:"id"`
		Password string `json:"password"`
	}
	healthCall struct {
		Type string `json:"type"`
	}
)

// call is one call, which may be sent twice.
type call struct {
	path   string // "find"
	id     string // names the call; the same is the same change
	body   []byte
	signer *callout.Signer
	at     time.Time // when it is signed; zero: now
}

// answer is what came.
type answer struct {
	status     int
	media      string // the media type, without parameters
	coded      bool   // with a content coding, so that the body is not what it says
	body       []byte
	retryAfter time.Duration
	skew       time.Duration // how far the application's clock is ahead of ours; 0 if it did not say
	tls        *tls.ConnectionState
}

// json says whether the answer claims to be JSON; problem, whether the type of errors will do as well.
func (a answer) json(problem bool) bool {
	return !a.coded && (a.media == "application/json" || problem && a.media == "application/problem+json")
}

// failure is why there is no answer, or no whole one.
type failure struct {
	*callout.Failure
	// sent says that there was a connection, so that the call may have arrived.
	sent bool
	// busy says that it ended while it waited for others to end.
	busy bool
	// large says that the answer is too long.
	large bool
}

// mayAgain reports whether the same call may succeed in a moment.
func (f *failure) mayAgain() bool {
	return f != nil && !f.busy && !f.large && (f.Kind == callout.Connection || f.Kind == callout.Broken)
}

// send sends a call once. With a failure the answer may have a status all the same: its body did not come whole.
func (d *Directory) send(ctx context.Context, client *http.Client, c call) (answer, *failure) {
	select {
	case d.turns <- struct{}{}:
		defer func() { <-d.turns }()
	case <-ctx.Done():
		return answer{}, &failure{Failure: callout.Explain(ctx, ctx.Err(), whom, d.timeout), busy: errors.Is(ctx.Err(), context.DeadlineExceeded)}
	}
	var connected atomic.Bool // the transport may still be at work when Do has returned
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	failed := func(err error) *failure {
		return &failure{Failure: callout.Explain(ctx, err, whom, d.timeout), sent: connected.Load()}
	}
	req, err := http.NewRequestWithContext(traced, http.MethodPost, d.url.JoinPath(c.path).String(), bytes.NewReader(c.body))
	if err != nil {
		return answer{}, failed(err)
	}
	// net/http would send a POST with an Idempotency-Key again by itself, on connections that were kept, unless it
	// cannot read the body twice. Connections of set are not kept; this holds if ever they are.
	req.GetBody = nil
	at := c.at
	if at.IsZero() {
		at = d.now()
	}
	if err := c.signer.Sign(req.Header, c.id, at, c.body); err != nil {
		return answer{}, failed(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, application/problem+json")
	req.Header.Set("User-Agent", "Sparekey")
	if c.path == "set" {
		req.Header.Set("Idempotency-Key", `"`+c.id+`"`)
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, failed(err)
	}
	defer func() { _ = res.Body.Close() }()
	a := d.head(res)
	// A byte more than may be shows that there is more; what is left unread ends the connection.
	a.body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		a.body = nil
		return a, failed(err)
	case len(a.body) > maxAnswer:
		a.body = nil
		return a, &failure{Failure: callout.Explain(ctx, io.ErrShortBuffer, whom, d.timeout), sent: true, large: true}
	}
	return a, nil
}

// head reads what an answer says in its status and headers.
func (d *Directory) head(res *http.Response) answer {
	now := d.now()
	a := answer{status: res.StatusCode, retryAfter: callout.Pause(res.Header.Get("Retry-After"), now), tls: res.TLS}
	if media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); err == nil {
		a.media = media
	}
	if coding := res.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		a.coded = true
	}
	if at, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		a.skew = at.Sub(now)
	}
	return a
}

// ask calls for something that changes nothing, and calls again, once, if it may succeed in a moment.
func (d *Directory) ask(ctx context.Context, path string, body any) (answer, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	for again := false; ; again = true {
		a, f := d.send(ctx, d.asking, call{path: path, id: uuid.NewString(), body: encoded, signer: d.signer})
		switch {
		case f == nil && a.status == http.StatusOK:
			return a, nil
		case f == nil:
			return a, d.refused(a)
		case again || !f.mayAgain() || !wait(ctx, beforeAgain):
			return a, d.away(f)
		}
	}
}

// wait waits, and reports whether there is still time.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// find asks for users, and leaves out those whose address is none.
func (d *Directory) find(ctx context.Context, c findCall) ([]reset.User, error) {
	a, err := d.ask(ctx, "find", c)
	if err != nil {
		return nil, err
	}
	users, err := parseUsers(a)
	if err != nil {
		return nil, later(0, odd("find", err))
	}
	return users, nil
}

// health asks whether all is well.
func (d *Directory) health(ctx context.Context) (health, answer, error) {
	a, err := d.ask(ctx, "health", healthCall{Type: "health"})
	if err != nil {
		return health{}, a, err
	}
	h, err := parseHealth(a)
	if err != nil {
		return health{}, a, later(0, odd("health", err))
	}
	return h, a, nil
}

// odd is an answer that docs/directory-webhook.yaml does not describe.
func odd(path string, cause error) *reset.Misset {
	return misset("url", "the application has to answer as docs/directory-webhook.yaml says; does something else answer there?", "its answer to %s %w", path, cause)
}
