// Package contracttest holds HTTP exchanges with the API against its OpenAPI
// document. A test sends its calls through Transport or Handler as usual, and
// fails when an answer is not one that the document promises.
//
// Requests are held against it too, in one direction: whatever the API has
// accepted (2xx) must have been a call that the document describes. What a test
// sends in order to be refused is its own business.
package contracttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-json-experiment/json"

	"github.com/sparekey/sparekey/api"
)

// Document returns the parsed and checked OpenAPI document. It is read-only.
func Document() (*openapi3.T, error) { return document() }

var document = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

// Transport sends calls through base and holds every exchange under /api/ against the document.
func Transport(t testing.TB, base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		t.Helper()
		answer, err := base.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return nil, err
		}
		answer.Body = io.NopCloser(bytes.NewReader(body))
		Check(t, r, sentBody(r), answer.StatusCode, answer.Header, body)
		return answer, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sentBody returns the body that a client sent, or nil if it cannot be had twice.
func sentBody(r *http.Request) []byte {
	if r.GetBody == nil {
		return nil
	}
	again, err := r.GetBody()
	if err != nil {
		return nil
	}
	body, err := io.ReadAll(again)
	if err != nil {
		return nil
	}
	return body
}

// Handler passes calls on to next and holds every exchange under /api/ against the document.
func Handler(t testing.TB, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Helper()
		var sent bytes.Buffer
		copied := r.Clone(r.Context())
		if r.Body != nil {
			copied.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, &sent), r.Body}
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, copied)
		body := answer.Body.Bytes()
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		if _, err := w.Write(body); err != nil {
			t.Logf("the caller did not take the whole answer: %v", err)
		}
		Check(t, r, sent.Bytes(), answer.Code, answer.Header(), body)
	})
}

// Check holds one exchange against the document and reports every fault to t.
// sent is the body of the request as far as it is known. Paths that have no
// /api/ in them are not the API's and pass; a prefix in front of it is allowed.
func Check(t testing.TB, r *http.Request, sent []byte, status int, header http.Header, body []byte) {
	t.Helper()
	faults := check(r, sent, status, header, body)
	for _, fault := range faults {
		t.Errorf("%s %s answered %d: %v", r.Method, r.URL.EscapedPath(), status, fault)
	}
}

// Event holds what a target of events was sent against the document's webhooks.
func Event(t testing.TB, header http.Header, body []byte) {
	t.Helper()
	for _, fault := range event(t.Context(), header, body) {
		t.Errorf("the event %s: %v", body, fault)
	}
}

func event(ctx context.Context, header http.Header, body []byte) []error {
	doc, err := Document()
	if err != nil {
		return []error{fmt.Errorf("the document is not valid: %w", err)}
	}
	var e struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return []error{fmt.Errorf("the body is not JSON: %w", err)}
	}
	hook := doc.Webhooks[e.Type]
	if hook == nil {
		return []error{fmt.Errorf("the document has no webhook %q", e.Type)}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://app.test/hooks", bytes.NewReader(body))
	if err != nil {
		return []error{err}
	}
	r.Header = header
	err = openapi3filter.ValidateRequest(ctx, &openapi3filter.RequestValidationInput{
		Request: r, Route: &routers.Route{Spec: doc, Path: "/hooks", PathItem: hook, Method: http.MethodPost, Operation: hook.Post},
		Options: &openapi3filter.Options{
			MultiError: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.EnableFormatValidation()},
		},
	})
	if err != nil {
		return []error{err}
	}
	return nil
}

func check(r *http.Request, sent []byte, status int, header http.Header, body []byte) []error {
	_, below, ours := strings.Cut(r.URL.EscapedPath(), "/api/")
	if !ours {
		return nil
	}
	doc, err := Document()
	if err != nil {
		return []error{fmt.Errorf("the document is not valid: %w", err)}
	}
	if r.Method == http.MethodOptions && status == http.StatusNoContent {
		return preflight(header, body)
	}
	faults := common(r, status, header, body)
	path, _ := strings.CutPrefix(below, strings.TrimPrefix(doc.Servers[0].URL, "/api/"))
	if route, params := find(doc, r.Method, path); route != nil {
		return append(faults, held(r, sent, status, header, body, route, params)...)
	}
	if status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
		faults = append(faults, errors.New("the document has no such operation, so it should be 404 or 405"))
	}
	return append(faults, errorModel(doc, r, body)...)
}

// preflight is not part of the document: browsers alone send it.
func preflight(header http.Header, body []byte) []error {
	var faults []error
	if len(body) > 0 {
		faults = append(faults, errors.New("the answer to a preflight has a body"))
	}
	if header.Get("Access-Control-Allow-Credentials") != "" {
		faults = append(faults, errors.New("credentials are allowed across origins"))
	}
	return faults
}

// common are the rules that hold for every answer, whichever operation gave it.
func common(r *http.Request, status int, header http.Header, body []byte) []error {
	var faults []error
	want := func(name string, values ...string) {
		if got := header.Values(name); !slices.Equal(got, values) {
			faults = append(faults, fmt.Errorf("%s is %q, want %q", name, got, values))
		}
	}
	want("Cache-Control", "no-store")
	want("X-Content-Type-Options", "nosniff")
	want("Set-Cookie")
	want("Access-Control-Allow-Credentials")
	if status >= http.StatusMultipleChoices {
		want("Content-Type", "application/json")
	}
	if r.Method == http.MethodHead && len(body) > 0 {
		faults = append(faults, errors.New("the answer to HEAD has a body"))
	}
	return faults
}

// held holds an exchange against an operation of the document.
func held(r *http.Request, sent []byte, status int, header http.Header, body []byte, route *routers.Route, params map[string]string) []error {
	asked := r.Clone(r.Context())
	asked.Method = route.Method
	if r.Host != "" {
		// A server sees only the path in URL; the library wants to parse it whole.
		asked.URL = &url.URL{Scheme: "http", Host: "api.test", Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	}
	asked.Body = io.NopCloser(bytes.NewReader(sent))
	options := &openapi3filter.Options{
		IncludeResponseStatus: true,
		ExcludeResponseBody:   r.Method == http.MethodHead,
		AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{
			openapi3.EnableFormatValidation(),
			openapi3.WithStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)),
		},
	}
	request := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route, Options: options}
	var faults []error
	if status < http.StatusMultipleChoices {
		if err := openapi3filter.ValidateRequest(r.Context(), request); err != nil {
			faults = append(faults, fmt.Errorf("accepted a call that the document does not describe: %w", err))
		}
	}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: request, Status: status, Header: header, Options: options}
	answer.SetBodyBytes(body)
	if err := openapi3filter.ValidateResponse(r.Context(), answer); err != nil {
		faults = append(faults, err)
	}
	return faults
}

// errorModel holds the body of an answer to a call that no operation describes against ErrorModel.
func errorModel(doc *openapi3.T, r *http.Request, body []byte) []error {
	if r.Method == http.MethodHead {
		return nil
	}
	var model any
	if err := json.Unmarshal(body, &model); err != nil {
		return []error{fmt.Errorf("the body is not JSON: %w", err)}
	}
	if err := doc.Components.Schemas["ErrorModel"].Value.VisitJSON(model, openapi3.EnableJSONSchema2020()); err != nil {
		return []error{fmt.Errorf("the body is no ErrorModel: %w", err)}
	}
	return nil
}

// find returns the operation of a path below the server's URL. HEAD is held against GET.
func find(doc *openapi3.T, method, path string) (*routers.Route, map[string]string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments := strings.Split(path, "/")
	for pattern, item := range doc.Paths.Map() {
		params, ok := match(strings.Split(pattern, "/"), segments)
		if !ok {
			continue
		}
		if op := item.GetOperation(method); op != nil {
			return &routers.Route{Spec: doc, Server: doc.Servers[0], Path: pattern, PathItem: item, Method: method, Operation: op}, params
		}
	}
	return nil, nil
}

func match(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	params := make(map[string]string)
	for i, p := range pattern {
		value, err := url.PathUnescape(segments[i])
		switch {
		case err != nil || value == ".." || value == ".":
			return nil, false
		case strings.HasPrefix(p, "{"):
			if value == "" {
				return nil, false
			}
			params[strings.Trim(p, "{}")] = value
		case value != p:
			return nil, false
		}
	}
	return params, true
}
