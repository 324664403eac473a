package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	// maxAnswer bounds what is read of an answer. The longest of the API has some kilobytes.
	maxAnswer = 1 << 20
	// maxPause is the longest pause that is kept to by itself.
	maxPause = 10 * time.Second
	// firstPause is the pause before the second attempt when the server names none; it doubles.
	firstPause = 200 * time.Millisecond
)

// call is one call of the API.
type call struct {
	name, method, path string
	body               any // nil: none
	want               int // the one status that is a success
	anonymous          bool
}

// do makes a call, again where that is safe, and reads its answer into answer.
func (c *Client) do(ctx context.Context, k call, answer any) error {
	var body []byte
	if k.body != nil {
		var err error
		if body, err = json.Marshal(k.body); err != nil {
			return badArgument("the arguments of %s cannot be sent", k.name)
		}
	}
	for attempt := 0; ; attempt++ {
		err := c.attempt(ctx, k, body, answer)
		if err == nil {
			return nil
		}
		wait, again := k.again(err, attempt)
		if !again || attempt >= c.retries || ctx.Err() != nil {
			return last(err)
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return last(err)
		}
		if c.pause(ctx, wait) != nil {
			return last(err)
		}
	}
}

// failure is an error together with what decides whether the call may be repeated.
type failure struct {
	err     error
	nothing bool // nothing was done: the server was not reached, or says so
	passing bool // it may go by
}

func (f *failure) Error() string { return f.err.Error() }

// last is the error behind a failure.
func last(err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.err
	}
	return err
}

// again decides whether to repeat a call that failed, and after which pause.
func (k call) again(err error, attempt int) (wait time.Duration, ok bool) {
	f, isFailure := errors.AsType[*failure](err)
	reads := k.method == http.MethodGet
	if !isFailure || !f.nothing && (!f.passing || !reads) {
		return 0, false
	}
	wait = firstPause << attempt
	wait += rand.N(wait) //nolint:gosec // no secret: only so that many clients do not come back at once
	if e, isError := errors.AsType[*Error](f.err); isError && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return wait, wait <= maxPause
}

// attempt makes a call once.
func (c *Client) attempt(ctx context.Context, k call, body []byte, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, k.method, c.base+k.path, reader)
	if err != nil {
		return badArgument("the call %s cannot be sent to this base URL", k.name)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "sparekey-go/1")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" && !k.anonymous {
		r.Header.Set("X-Auth-Token", c.key)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return k.network(err)
	}
	defer func() { _ = res.Body.Close() }()
	return k.read(res, answer)
}

// network is a failure below HTTP. Its text leaves out the URL, which holds the
// id, and what the server sent, which may hold anything.
func (k call) network(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if quotes(err) {
		err = errMalformed
	}
	op, ok := errors.AsType[*net.OpError](err)
	return &failure{err: fmt.Errorf("sparekey: %s: %w", k.name, err), nothing: ok && op.Op == "dial", passing: true}
}

var errMalformed = errors.New("the answer is not well-formed HTTP; is this the base URL of the service?")

// quotes reports whether the text of an error of net/http may repeat bytes of an
// answer: all but those that are known not to.
func quotes(err error) bool {
	for _, plain := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, http.ErrSchemeMismatch} {
		if errors.Is(err, plain) {
			return false
		}
	}
	_, network := errors.AsType[net.Error](err) // among them *net.OpError
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	return !network && !certificate && !record && !alert
}

// read takes an answer: the success that the call wants, a refusal in the
// API's words, or something else.
func (k call) read(res *http.Response, answer any) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return k.network(err)
	}
	if len(body) > maxAnswer {
		return badAnswer(k.name, res.StatusCode, "it is longer than 1 MiB")
	}
	mediaType, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	isJSON := err == nil && mediaType == "application/json"
	switch {
	case res.StatusCode == k.want && isJSON:
		if err := json.Unmarshal(body, answer); err != nil {
			return badAnswer(k.name, res.StatusCode, "its JSON is not what the API describes")
		}
		return nil
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return badAnswer(k.name, res.StatusCode, "it leads elsewhere, where the key must not follow")
	case res.StatusCode >= 400 && isJSON:
		if refusal, ok := parseRefusal(res, body); ok {
			nothing := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable
			return &failure{err: refusal, nothing: nothing, passing: nothing}
		}
	}
	err = badAnswer(k.name, res.StatusCode, "it is not in the API's words")
	switch res.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &failure{err: err, passing: true} // a proxy's
	}
	return err
}

// parseRefusal reads an ErrorModel.
func parseRefusal(res *http.Response, body []byte) (*Error, bool) {
	var model struct {
		Msg     *string                    `json:"msg"`
		Code    *Code                      `json:"code"`
		Details map[string]json.RawMessage `json:"details"`
	}
	if ok := json.Unmarshal(body, &model) == nil; !ok || model.Msg == nil || model.Code == nil {
		return nil, false
	}
	return &Error{
		Status: res.StatusCode, Code: *model.Code, Msg: *model.Msg, Details: model.Details,
		RetryAfter: retryAfter(res), RequestID: res.Header.Get("X-Request-Id"),
	}, true
}

// retryAfter reads the header in either of its forms (RFC 9110, 10.2.3). A date
// counts from the server's own clock, which the header Date tells.
func retryAfter(res *http.Response) time.Duration {
	value := res.Header.Get("Retry-After")
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	until, noDate := http.ParseTime(value)
	sent, noClock := http.ParseTime(res.Header.Get("Date"))
	if noDate != nil || noClock != nil {
		return 0
	}
	return max(0, until.Sub(sent))
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
