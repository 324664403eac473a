package contracttest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/httpapi/contracttest"
)

const (
	id       = "0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10"
	metadata = "/api/1.0/reset-password/metadata/" + id
	asking   = "/api/1.0/reset-password/request"
)

// faults is a test that counts its faults instead of failing.
type faults struct {
	testing.TB
	seen []string
}

func (f *faults) Helper()                   {}
func (f *faults) Errorf(s string, a ...any) { f.seen = append(f.seen, fmt.Sprintf(s, a...)) }

// exchange is one call and its answer; headers are names and values in turn.
type exchange struct {
	name         string
	method, path string
	sent         string
	status       int
	body         string
	headers      []string
	ok           bool
}

var exchanges = []exchange{
	{"a good look", "GET", metadata, "", 200, `{"id":"` + id + `","multiple_accounts":false}`, nil, true},
	{"behind a prefix", "GET", "/login" + metadata, "", 200, `{"id":"` + id + `","multiple_accounts":true}`, nil, true},
	{"no API at all", "GET", "/forgot", "", 200, `<p>`, []string{"Content-Type", "text/html", "Set-Cookie", "a=b"}, true},
	{"HEAD", "HEAD", metadata, "", 200, "", nil, true},
	{"a preflight", "OPTIONS", asking, "", 204, "", nil, true},
	{"no such path", "GET", "/api/1.0/none", "", 404, `{"msg":"no","code":20}`, nil, true},
	{"a good request", "POST", asking, `{"email":["a@example.com"]}`, 200, `{"email":["a@example.com"]}`, nil, true},
	{"busy", "GET", metadata, "", 503, `{"msg":"busy","code":-1}`, []string{"Retry-After", "2"}, true},

	{"a member is missing", "GET", metadata, "", 200, `{"id":"` + id + `"}`, nil, false},
	{"a member too many", "GET", metadata, "", 200, `{"id":"` + id + `","multiple_accounts":false,"email":"a@example.com"}`, nil, false},
	{"a member of the wrong type", "GET", metadata, "", 200, `{"id":"` + id + `","multiple_accounts":"false"}`, nil, false},
	{"an id that is none", "GET", metadata, "", 200, `{"id":"ID","multiple_accounts":false}`, nil, false},
	{"a status that the document lacks", "GET", metadata, "", 201, `{}`, nil, false},
	{"an error without a code", "GET", metadata, "", 404, `{"msg":"no"}`, nil, false},
	{"a code that the document lacks", "GET", metadata, "", 404, `{"msg":"no","code":21000}`, nil, false},
	{"an error as text", "GET", metadata, "", 404, `no`, []string{"Content-Type", "text/plain"}, false},
	{"an error as text, where no path is", "GET", "/api/none", "", 404, `no`, []string{"Content-Type", "text/plain"}, false},
	{"an error that is not JSON, where no path is", "GET", "/api/none", "", 404, `no`, nil, false},
	{"no ErrorModel, where no path is", "GET", "/api/none", "", 404, `{"error":"no"}`, nil, false},
	{"success where no path is", "GET", "/api/1.0/none", "", 200, `{"msg":"no","code":20}`, nil, false},
	{"success where no method is", "DELETE", asking, "", 200, `{"msg":"no","code":20}`, nil, false},
	{"no pause", "GET", metadata, "", 503, `{"msg":"busy","code":-1}`, nil, false},
	{"a pause of nothing", "GET", metadata, "", 429, `{"msg":"slow","code":50}`, []string{"Retry-After", "0"}, false},
	{"a pause in words", "GET", metadata, "", 429, `{"msg":"slow","code":50}`, []string{"Retry-After", "soon"}, false},
	{"405 without Allow", "GET", metadata, "", 405, `{"msg":"no","code":21}`, nil, false},
	{"may be stored", "GET", metadata, "", 200, `{"id":"` + id + `","multiple_accounts":false}`, []string{"Cache-Control", "private"}, false},
	{"a cookie", "GET", metadata, "", 200, `{"id":"` + id + `","multiple_accounts":false}`, []string{"Set-Cookie", "a=b"}, false},
	{"credentials across origins", "OPTIONS", asking, "", 204, "", []string{"Access-Control-Allow-Credentials", "true"}, false},
	{"a body to HEAD", "HEAD", metadata, "", 200, "{}", nil, false},
	{"a bad request accepted", "POST", asking, `{"email":"a@example.com"}`, 200, `{"email":["a@example.com"]}`, nil, false},
	{"an empty request accepted", "POST", asking, `{"email":[]}`, 200, `{"email":["a@example.com"]}`, nil, false},
	{"a malformed id accepted", "GET", "/api/1.0/reset-password/metadata/ID", "", 200, `{"id":"` + id + `","multiple_accounts":false}`, nil, false},
}

func (e exchange) answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	for i := 0; i < len(e.headers); i += 2 {
		w.Header().Set(e.headers[i], e.headers[i+1])
	}
	w.WriteHeader(e.status)
	_, _ = io.WriteString(w, e.body)
}

func (e exchange) judge(t *testing.T, f *faults) {
	t.Helper()
	if ok := len(f.seen) == 0; ok != e.ok {
		t.Errorf("faults: %q, should there be none: %t", f.seen, e.ok)
	}
}

func TestHandlerFindsEveryFault(t *testing.T) {
	t.Parallel()
	for _, e := range exchanges {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			f := &faults{TB: t}
			r := httptest.NewRequest(e.method, e.path, strings.NewReader(e.sent))
			r.Header.Set("Content-Type", "application/json")
			got := httptest.NewRecorder()
			contracttest.Handler(f, http.HandlerFunc(e.answer)).ServeHTTP(got, r)
			e.judge(t, f)
			if got.Code != e.status || got.Body.String() != e.body {
				t.Errorf("passed on %d %q", got.Code, got.Body)
			}
		})
	}
}

func TestTransportFindsEveryFault(t *testing.T) {
	t.Parallel()
	for _, e := range exchanges {
		if e.method == "HEAD" && !e.ok {
			continue // net/http itself drops such a body
		}
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(e.answer))
			t.Cleanup(server.Close)
			f := &faults{TB: t}
			client := &http.Client{Transport: contracttest.Transport(f, server.Client().Transport)}
			r, err := http.NewRequestWithContext(t.Context(), e.method, server.URL+e.path, strings.NewReader(e.sent))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			got, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			_ = got.Body.Close()
			e.judge(t, f)
			if err != nil || got.StatusCode != e.status || string(body) != e.body {
				t.Errorf("passed on %d %q, %v", got.StatusCode, body, err)
			}
		})
	}
}

// TestEventsThatTheDocumentDoesNotHave are found.
func TestEventsThatTheDocumentDoesNotHave(t *testing.T) {
	t.Parallel()
	const good = `{"type":"password.reset","timestamp":"2026-11-23T12:00:00Z","data":{"user_id":"u","accounts":[{"id":1,"name":"Acme"}]}}`
	for _, c := range []struct {
		name, from, to string
		header         string // is missing
		fine           bool
	}{
		{name: "as it is", fine: true},
		{"another type", "password.reset", "password.changed", "", false},
		{"no user", `"user_id":"u",`, "", "", false},
		{"a number for a user", `"u"`, "1", "", false},
		{"an account without a name", `,"name":"Acme"`, "", "", false},
		{"no time", "2026-11-23T12:00:00Z", "noon", "", false},
		{"no JSON", "{", "", "", false},
		{"no signature", "", "", "webhook-signature", false},
	} {
		header := http.Header{}
		for name, value := range map[string]string{
			"Content-Type": "application/json", "webhook-id": "evt_ABCDEFGHIJKLMNOPQRSTUVWXYZ", "webhook-timestamp": "1795435200",
			"webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
		} {
			if name != c.header {
				header.Set(name, value)
			}
		}
		found := &faults{TB: t}
		contracttest.Event(found, header, []byte(strings.Replace(good, c.from, c.to, 1)))
		if (len(found.seen) == 0) != c.fine {
			t.Errorf("%s: %v", c.name, found.seen)
		}
	}
}
