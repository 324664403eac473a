package hookdir_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-json-experiment/json"

	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// document is docs/directory-webhook.yaml, with its examples checked.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../../docs/directory-webhook.yaml")
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaPatternValidation())
})

// held holds every exchange of the directory against the document.
func held(t testing.TB, d *hookdir.Directory) *hookdir.Directory {
	t.Helper()
	hookdir.Watch(d, func(next http.RoundTripper) http.RoundTripper {
		return roundTripper{next: next, do: func(r *http.Request) (*http.Response, error) {
			sent, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			r.Body = io.NopCloser(bytes.NewReader(sent))
			res, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(res.Body)
			if err = errors.Join(err, res.Body.Close()); err != nil {
				return nil, err // as if nothing had come: no test depends on it
			}
			res.Body = io.NopCloser(bytes.NewReader(body))
			if err := check(r, sent, res, body); err != nil {
				t.Errorf("%s %s was answered %d %s: %v", r.URL.Path, sent, res.StatusCode, body, err)
			}
			return res, nil
		}}
	})
	return d
}

// check holds one exchange against the document.
func check(r *http.Request, sent []byte, res *http.Response, body []byte) error {
	doc, err := document()
	if err != nil {
		return err
	}
	path := r.URL.Path[strings.LastIndex(r.URL.Path, "/"):]
	item := doc.Paths.Find(path)
	if item == nil {
		return errors.New("the document has no such call")
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(sent))
	in := &openapi3filter.RequestValidationInput{
		Request: r, Route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)},
		Options: &openapi3filter.Options{MultiError: true, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		return err
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
	})
}

// TestTheDocumentIsNotedWhenItIsBroken: held finds what the document does not have.
func TestTheDocumentIsNotedWhenItIsBroken(t *testing.T) {
	t.Parallel()
	request := func(path, body string, header ...string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "https://app.example.com/sparekey"+path, strings.NewReader(body))
		for name, value := range map[string]string{
			"Content-Type": "application/json", "webhook-id": "3f0c6f0e-6a0e-4b86-9d0b-6c3b0a4f2f55", "webhook-timestamp": "1795435200",
			"webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "Idempotency-Key": `"3f0c6f0e-6a0e-4b86-9d0b-6c3b0a4f2f55"`,
		} {
			r.Header.Set(name, value)
		}
		for _, name := range header {
			r.Header.Del(name)
		}
		return r
	}
	const find, set = `{"type":"find","id":"17"}`, `{"type":"set","id":"17","password":"x"}`
	for _, c := range []struct {
		name, path, sent string
		without          []string
		status           int
		body             string
		fine             bool
	}{
		{"a good one", "/find", find, nil, 200, `{"users":[{"id":"1","email":null}]}`, true},
		{"by addresses", "/find", `{"type":"find","addresses":["a@example.com"]}`, nil, 200, `{"users":[]}`, true},
		{"a good change", "/set", set, nil, 204, "", true},
		{"neither id nor address", "/find", `{"type":"find"}`, nil, 200, `{"users":[]}`, false},
		{"both", "/find", `{"type":"find","id":"17","addresses":["a@example.com"]}`, nil, 200, `{"users":[]}`, false},
		{"no signature", "/find", find, []string{"webhook-signature"}, 200, `{"users":[]}`, false},
		{"no key", "/set", set, []string{"Idempotency-Key"}, 204, "", false},
		{"another type", "/set", find, nil, 204, "", false},
		{"a number as id", "/find", find, nil, 200, `{"users":[{"id":1,"email":"a@example.com"}]}`, false},
		{"a misspelt member", "/find", find, nil, 200, `{"users":[{"id":"1","email":"a@example.com","dissabled":true}]}`, false},
		{"a status it does not have", "/set", set, nil, 202, "{}", false},
		{"reasons without a code", "/set", set, nil, 422, `{"reasons":[{"message":"no"}]}`, false},
		{"404 without a word", "/set", set, nil, 404, `{}`, false},
	} {
		r := request(c.path, c.sent, c.without...)
		res := &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {"application/json"}}}
		if c.body == "" {
			res.Header = http.Header{}
		}
		if err := check(r, []byte(c.sent), res, []byte(c.body)); (err == nil) != c.fine {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestTheDocumentsExamples: each answer that the document shows is understood as it says.
func TestTheDocumentsExamples(t *testing.T) {
	t.Parallel()
	doc, err := document()
	must(t, err)
	seen := 0
	for _, path := range []string{"/find", "/set", "/health"} {
		for status, response := range doc.Paths.Find(path).Post.Responses.Map() {
			media := response.Value.Content["application/json"]
			if media == nil {
				continue
			}
			for name, example := range media.Examples {
				body, err := json.Marshal(example.Value.Value)
				must(t, err)
				code, err := strconv.Atoi(status)
				must(t, err)
				seen++
				understood(t, path+" "+status+" "+name, path, code, body)
			}
		}
	}
	if seen < 9 {
		t.Errorf("only %d examples were found", seen)
	}
}

func understood(t *testing.T, what, path string, status int, body []byte) {
	t.Helper()
	switch {
	case path == "/find" && status == 200:
		users, err := hookdir.ParseUsers(body)
		if err != nil || len(users) != bytes.Count(body, []byte(`"id"`)) {
			t.Errorf("%s: %v, %v", what, users, err)
		}
	case path == "/health" && status == 200:
		idempotent, _, err := hookdir.ParseHealth(body)
		if err != nil || idempotent != bytes.Contains(body, []byte("true")) {
			t.Errorf("%s: %v, %v", what, idempotent, err)
		}
	case path == "/set" && status == 200:
		must(t, hookdir.Outcome(status, body, newPassword))
	case path == "/set" && status == 404:
		if err := hookdir.Outcome(status, body, newPassword); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("%s: %v", what, err)
		}
	case path == "/set":
		err := hookdir.Outcome(status, body, newPassword)
		certainly(t, what, err)
		e, ok := errors.AsType[*reset.Error](err)
		if !ok || (e.Kind == reset.Invalid) != (status == 422) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
