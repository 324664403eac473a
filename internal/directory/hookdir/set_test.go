package hookdir_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestWhatAnswersMean: what is said of a change follows from the answer, and what is not certain is not said.
func TestWhatAnswersMean(t *testing.T) {
	t.Parallel()
	const (
		changed = iota
		unchanged
		unknown
	)
	for _, c := range []struct {
		status  int
		headers string // NAME: VALUE, with ; between
		body    string
		means   int
		setting string // what the operator is told to look at; empty: nothing
	}{
		{204, "", "", changed, ""},
		{200, "", `{"changed":true}`, changed, ""},
		{200, "Content-Type: application/json; charset=utf-8", `{"changed":true,"more":1}`, changed, ""},

		// Something that is not the application has answered, such as somebody's log-in page.
		{200, "Content-Type: text/html", `<form>`, unknown, "url"},
		{200, "Content-Type: text/html", `{"changed":true}`, unknown, "url"},
		{200, "Content-Type: application/problem+json", `{}`, unknown, "url"},
		{200, "Content-Encoding: gzip", `{"changed":true}`, unknown, "url"},
		{200, "", `{"changed":true}{"changed":true}`, unknown, "url"},
		{200, "", `{"changed":false,"changed":true}`, unknown, "url"},
		{200, "", `{"Changed":true}`, unknown, "url"},
		{200, "", `{"changed":"true"}`, unknown, "url"},
		{200, "", `{}`, unknown, "url"},
		{200, "", `null`, unknown, "url"},
		{200, "", ``, unknown, "url"},
		{200, "", `{"changed":false}`, unchanged, "url"},
		{201, "", `{"changed":true}`, unknown, "url"},
		{202, "", `{}`, unknown, "url"},
		{302, "Location: /login", ``, unknown, "url"},
		{303, "Location: /login", `{"changed":true}`, unknown, "url"},

		{400, "", ``, unchanged, "url"},
		{401, "", `no`, unchanged, "secrets"},
		{401, "Date: Mon, 23 Nov 2026 12:07:00 GMT", `no`, unchanged, "secrets"},
		{403, "", ``, unchanged, "secrets"},
		{404, "", ``, unchanged, "url"},
		{404, "Content-Type: text/html", `{"changed":false}`, unchanged, "url"},
		{405, "", ``, unchanged, "url"},
		{413, "", ``, unchanged, "url"},
		{415, "", ``, unchanged, "url"},
		{422, "", ``, unchanged, "url"},
		{422, "", `{"detail":[{"msg":"field required"}]}`, unchanged, "url"},
		{422, "", `{"reasons":[]}`, unchanged, "url"},
		{422, "", `{"reasons":"no"}`, unchanged, "url"},
		{429, "Retry-After: 7", ``, unchanged, "url"},
		{422, "", `{"changed":true,"reasons":[{"code":"a","message":"b"}]}`, unknown, "url"},
		{401, "", `{"changed":true}`, unknown, "url"},

		{408, "", ``, unknown, "url"},
		{409, "", ``, unknown, "url"},
		{409, "", `{"changed":false}`, unchanged, "url"},
		{418, "", ``, unknown, "url"},
		{499, "", ``, unknown, "url"},
		{500, "", ``, unknown, "url"},
		{500, "", `{"changed":false}`, unchanged, "url"},
		{500, "", `{"changed":true}`, unknown, "url"},
		{500, "", `{"changed":null}`, unknown, "url"},
		{502, "Content-Type: text/html", `<h1>Bad Gateway`, unknown, "url"},
		{503, "Retry-After: 7", ``, unknown, "url"},
		{503, "Retry-After: 7", `{"changed":false}`, unchanged, "url"},
		{503, "Retry-After: 7; Content-Type: application/problem+json", `{"changed":false,"type":"about:blank"}`, unchanged, "url"},
		{504, "", ``, unknown, "url"},
	} {
		what := fmt.Sprint(c.status, " ", c.headers, " ", c.body)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for header := range strings.SplitSeq(c.headers, "; ") {
				if name, value, ok := strings.Cut(header, ": "); ok {
					w.Header().Set(name, value)
				}
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		d := open(t, hookdir.Config{URL: server.URL, Now: func() time.Time { return now }})
		err := set(t.Context(), d, "17", newPassword)
		server.Close()
		switch c.means {
		case changed:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		case unchanged:
			certainly(t, what, err)
			want := 5 * time.Second
			if strings.Contains(c.headers, "Retry-After") {
				want = 7 * time.Second
			}
			if e := later(t, what, err); e.RetryAfter != want {
				t.Errorf("%s: come again in %v, want %v", what, e.RetryAfter, want)
			}
		case unknown:
			perhaps(t, what, err)
		}
		names(t, what, err, c.setting)
		if c.status == http.StatusOK && c.means == unknown {
			names(t, what, err, c.setting, `is 200 without {"changed": true}`)
		}
		if strings.Contains(c.headers, "Date") {
			names(t, what, err, "secrets", "its clock is 7m0s away", "set the clocks right")
		}
	}
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"changed":false}`)
	}))
	defer gone.Close()
	err := set(t.Context(), open(t, hookdir.Config{URL: gone.URL}), "17", newPassword)
	certainly(t, "a user who is gone", err)
	if !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("a user who is gone: %v, want ErrNoUser", err)
	}
}

// TestReasons: the application's words are bounded, in one line each, and never repeat the password.
func TestReasons(t *testing.T) {
	t.Parallel()
	const password = "Planted Secret"
	const replaced = "Use another password: the directory does not take this one."
	many := strings.Repeat(`{"code":"a","message":"b"},`, 50)
	for name, c := range map[string]struct {
		reasons string
		want    []reset.Refusal
	}{
		"as it should be": {
			`{"code":"too_short","message":"Use at least 20 characters.","params":{"min":20,"length":14}},{"code":"used_before","message":"Use one that you have not had before."}`,
			[]reset.Refusal{
				{Code: "too_short", Message: "Use at least 20 characters.", Params: map[string]any{"min": 20, "length": 14}},
				{Code: "used_before", Message: "Use one that you have not had before."},
			},
		},
		"lines and controls":     {`{"code":"a","message":" one\r\ntwo\u001b[31m\u2028 three\t "}`, []reset.Refusal{{Code: "a", Message: "one two [31m three"}}},
		"a long one":             {`{"code":"a","message":"` + strings.Repeat("é", 400) + `"}`, []reset.Refusal{{Code: "a", Message: strings.Repeat("é", 150)}}},
		"an odd code":            {`{"code":"Too Short\n","message":"b"}`, []reset.Refusal{{Code: "refused", Message: "b"}}},
		"no words":               {`{}`, []reset.Refusal{{Code: "refused", Message: replaced}}},
		"the password":           {`{"code":"a","message":"'Planted Secret' is too common"}`, []reset.Refusal{{Code: "a", Message: replaced}}},
		"in capitals":            {`{"code":"a","message":"PLANTED SECRET is too common"}`, []reset.Refusal{{Code: "a", Message: replaced}}},
		"on two lines":           {`{"code":"a","message":"Planted\n Secret is too common"}`, []reset.Refusal{{Code: "a", Message: replaced}}},
		"behind the bound":       {`{"code":"a","message":"` + strings.Repeat("x", 400) + `Planted Secret"}`, []reset.Refusal{{Code: "a", Message: replaced}}},
		"params that are others": {`{"code":"a","message":"b","params":{"min":-1,"max":1000001,"x":1.5,"y":"Planted Secret","Z":1,"n":null,"o":{},"ok":0}}`, []reset.Refusal{{Code: "a", Message: "b", Params: map[string]any{"ok": 0}}}},
		"too many":               {strings.TrimSuffix(many, ","), slices.Repeat([]reset.Refusal{{Code: "a", Message: "b"}}, 10)},
	} {
		err := hookdir.Outcome(422, []byte(`{"reasons":[`+c.reasons+`]}`), password)
		certainly(t, name, err)
		e, ok := errors.AsType[*reset.Error](err)
		if !ok || e.Kind != reset.Invalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, e.Details["password"]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// sent is a set call as an application sees it.
type sent struct {
	header http.Header
	body   string
}

// counting is an application that counts the set calls and answers them in turn.
type counting struct {
	*httptest.Server
	mu         sync.Mutex
	idempotent bool
	sets       []sent
	healths    int
	answers    []http.HandlerFunc
}

func count(t *testing.T, idempotent bool, answers ...http.HandlerFunc) *counting {
	t.Helper()
	c := &counting{idempotent: idempotent, answers: answers}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		switch r.URL.Path {
		case "/set":
			c.sets = append(c.sets, sent{r.Header, string(body)})
			answer := c.answers[min(len(c.sets), len(c.answers))-1]
			c.mu.Unlock()
			answer(w, r)
		case "/health":
			c.healths++
			c.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"idempotent":%t}`, c.idempotent)
		default:
			c.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"users":[]}`)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *counting) took() []sent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sets)
}

func hangUp(http.ResponseWriter, *http.Request)        { panic(http.ErrAbortHandler) }
func changedIt(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// half answers with the beginning of a body.
func half(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"chan`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// TestThePasswordIsSentOnce, unless the application has said that it knows a repetition when it sees one.
func TestThePasswordIsSentOnce(t *testing.T) {
	t.Parallel()
	const changed, unchanged, unknown = 0, 1, 2
	for _, c := range []struct {
		name       string
		idempotent bool
		answers    []http.HandlerFunc
		calls      int
		means      int
	}{
		{"it answers", true, []http.HandlerFunc{changedIt}, 1, changed},
		{"it hangs up", false, []http.HandlerFunc{hangUp, changedIt}, 1, unknown},
		{"it hangs up and knows", true, []http.HandlerFunc{hangUp, changedIt}, 2, changed},
		{"it hangs up, knows, and hangs up", true, []http.HandlerFunc{hangUp, hangUp, changedIt}, 2, unknown},
		{"half an answer", false, []http.HandlerFunc{half(200), changedIt}, 1, unknown},
		{"half an answer, and it knows", true, []http.HandlerFunc{half(200), changedIt}, 2, changed},
		{"half a refusal", true, []http.HandlerFunc{half(401), changedIt}, 1, unchanged},
		{"half a failure", false, []http.HandlerFunc{half(500), changedIt}, 1, unknown},
		// Whatever the second call is told, the first may have changed the password.
		{"a refusal of the second", true, []http.HandlerFunc{hangUp, answering(422, `{"reasons":[{"code":"used_before","message":"No."}]}`)}, 2, unknown},
		{"too busy for the second", true, []http.HandlerFunc{hangUp, answering(503, `{"changed":false}`)}, 2, unknown},
		{"nobody for the second", true, []http.HandlerFunc{hangUp, answering(404, `{"changed":false}`)}, 2, unknown},
		// No answer but one that was lost is worth a second call.
		{"503", true, []http.HandlerFunc{answering(503, `{}`), changedIt}, 1, unknown},
		{"500", true, []http.HandlerFunc{answering(500, ``), changedIt}, 1, unknown},
		{"502", true, []http.HandlerFunc{answering(502, ``), changedIt}, 1, unknown},
		{"429", true, []http.HandlerFunc{answering(429, ``), changedIt}, 1, unchanged},
		{"too long", true, []http.HandlerFunc{answering(200, strings.Repeat(" ", 65<<10)), changedIt}, 1, unknown},
		{"a redirect", true, []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/set", http.StatusTemporaryRedirect)
		}, changedIt}, 1, unknown},
	} {
		app := count(t, c.idempotent, c.answers...)
		d := open(t, hookdir.Config{URL: app.URL})
		if _, err := d.UserByAddress(t.Context(), address(t, ada)); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("%s: %v", c.name, err) // so that there is a connection that was kept
		}
		err := set(t.Context(), d, "17", newPassword)
		switch c.means {
		case changed:
			must(t, err)
		case unchanged:
			certainly(t, c.name, err)
		case unknown:
			perhaps(t, c.name, err)
		}
		calls := app.took()
		if len(calls) != c.calls {
			t.Errorf("%s: the password was sent %d times, want %d", c.name, len(calls), c.calls)
		}
		hook, err := standardwebhooks.NewWebhookRaw(key)
		must(t, err)
		for _, call := range calls {
			id := call.header.Get("webhook-id")
			if id != calls[0].header.Get("webhook-id") || call.header.Get("Idempotency-Key") != `"`+id+`"` || call.body != calls[0].body {
				t.Errorf("%s: %v is not the same change as %v", c.name, call, calls[0])
			}
			must(t, hook.Verify([]byte(call.body), call.header))
		}
	}
}

// TestASlowAnswerIsNotAskedForTwice, and is waited for no longer than it has.
func TestASlowAnswerIsNotAskedForTwice(t *testing.T) {
	t.Parallel()
	app := count(t, true, silence)
	d := open(t, hookdir.Config{URL: app.URL, Timeout: 300 * time.Millisecond})
	err := set(t.Context(), d, "17", newPassword)
	perhaps(t, "a set without an answer", err)
	names(t, "a set without an answer", err, "timeout", "did not answer within 300ms")
	if n := len(app.took()); n != 1 || app.healths != 0 {
		t.Errorf("the password was sent %d times, and health asked for %d times; want once and never", n, app.healths)
	}
}

// TestNothingIsSentBeforeThereIsAConnection: what did not arrive has changed nothing, and is tried once more.
func TestNothingIsSentBeforeThereIsAConnection(t *testing.T) {
	t.Parallel()
	app := count(t, false, changedIt)
	refusals := 0
	d := open(t, hookdir.Config{URL: app.URL})
	hookdir.RefuseConnections(d, func() bool { refusals++; return refusals <= 1 })
	must(t, set(t.Context(), d, "17", newPassword))
	hookdir.RefuseConnections(d, func() bool { refusals++; return true })
	refusals = 0
	err := set(t.Context(), d, "17", newPassword)
	certainly(t, "without a connection", err)
	later(t, "without a connection", err)
	names(t, "without a connection", err, "url")
	if n := len(app.took()); n != 1 || refusals != 2 {
		t.Errorf("the password was sent %d times, and a connection tried %d times; want 1 and 2", n, refusals)
	}
}
