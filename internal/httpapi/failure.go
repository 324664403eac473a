package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sparekey/sparekey/internal/reset"
)

// failure is an error as HTTP sees it: what is answered, and the cause that
// is not. HTTP has failures of its own that the domain knows nothing of (a path
// that is not there, a body too long); those are made here.
type failure struct {
	status     int
	code       reset.Code
	message    string
	details    map[string]any
	retryAfter time.Duration
	limit      *reset.Limit
	closes     bool // the rest of the body will not be read, so the connection ends
	cause      error
}

// Error returns the message that is answered.
func (f *failure) Error() string { return f.message }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.cause }

var (
	errNoPath      = &failure{status: http.StatusNotFound, code: reset.CodeNotFound, message: "there is no such path; see " + BasePath + "/openapi.yaml"}
	errNoChallenge = &reset.Error{Kind: reset.NotFound, Code: reset.CodeNotFound, Message: "no puzzles are demanded here; ask without one"}
	errNoMethod    = &failure{status: http.StatusMethodNotAllowed, code: reset.CodeNotSupported, message: "this path has no such method; the header Allow lists those it has"}
	errNoKey       = &reset.Error{Kind: reset.Unauthorized, Code: reset.CodeNotAuthorized, Message: "this call needs a key; send it in the header X-Auth-Token"}
	errTwoKeys     = &reset.Error{Kind: reset.Unauthorized, Code: reset.CodeNotAuthorized, Message: "the header X-Auth-Token was sent more than once"}
)

// statuses are what the domain's kinds of failure are on the wire.
var statuses = map[reset.Kind]int{
	reset.Internal:     http.StatusInternalServerError,
	reset.Invalid:      http.StatusBadRequest,
	reset.Unauthorized: http.StatusUnauthorized,
	reset.NotFound:     http.StatusNotFound,
	reset.Conflict:     http.StatusConflict,
	reset.Throttled:    http.StatusTooManyRequests,
	reset.Unavailable:  http.StatusServiceUnavailable,
}

// classify tells what an error is on the wire. An error that nobody classified
// is a 500 that tells nothing.
func classify(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if _, known := errors.AsType[*reset.Error](err); !known && errors.Is(err, context.DeadlineExceeded) {
		err = reset.Busy("this took too long; please try again", time.Second, err)
	}
	e := reset.AsError(err)
	status, ok := statuses[e.Kind]
	if !ok {
		status = http.StatusInternalServerError
	}
	return &failure{status: status, code: e.Code, message: e.Message, details: e.Details, retryAfter: e.RetryAfter, limit: e.Limit, cause: e.Cause}
}

// errorModel is the body of every failure.
type errorModel struct {
	Message string         `json:"msg"`
	Code    reset.Code     `json:"code"`
	Details map[string]any `json:"details,omitempty"`
}

// WriteError answers err: the one place where an error of the domain becomes a
// status. What is answered is the error's Code, Message and Details; its Cause is
// not, and logging that is left to the caller. 429 and 503 carry Retry-After
// (RFC 6585, 4; RFC 9110, 10.2.3), 401 carries WWW-Authenticate (RFC 9110, 15.5.2).
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	f := classify(err)
	header := w.Header()
	switch f.status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", wholeSeconds(f.retryAfter))
		if f.limit != nil {
			setRateLimit(header, f)
		}
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `ApiKey realm="api", header="X-Auth-Token"`)
	}
	if f.closes {
		header.Set("Connection", "close")
	}
	model := errorModel{Message: f.message, Code: f.code, Details: f.details}
	if writeJSON(w, r, f.status, model) != nil {
		// Only details can be of a type that JSON cannot say; the rest still can.
		model.Details = nil
		_ = writeJSON(w, r, f.status, model)
	}
}

// setRateLimit says which limit was reached and when it has room again
// (draft-ietf-httpapi-ratelimit-headers-10). An answer that is not refused has no
// such headers: all of those are the same to the byte.
func setRateLimit(header http.Header, f *failure) {
	header.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", f.limit.Name, f.limit.Rate.Count, int(f.limit.Rate.Per.Seconds())))
	header.Set("RateLimit", fmt.Sprintf("%q;r=0;t=%s", f.limit.Name, wholeSeconds(f.retryAfter)))
}

// wholeSeconds rounds up, so that a caller who obeys is not refused again.
func wholeSeconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(d.Seconds()))))
}

// writeJSON answers v whole. It returns an error only before anything was
// written; a caller who goes away while it writes is no error.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) error {
	body, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	writeBody(w, r, status, "application/json", body)
	return nil
}

// Values that every answer carries, made once.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

func writeBody(w http.ResponseWriter, r *http.Request, status int, contentType string, body []byte) {
	header := w.Header()
	header["Content-Type"] = []string{contentType}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
