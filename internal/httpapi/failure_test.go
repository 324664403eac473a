package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestErrorsBecomeStatuses(t *testing.T) {
	t.Parallel()
	cause := errors.New("SELECT canary FROM /var/lib")
	for _, c := range []struct {
		err    error
		status int
		body   string
		header string
	}{
		{cause, 500, `{"msg":"something went wrong on our side; please try again","code":-1}`, ""},
		{fmt.Errorf("wrapped: %w", reset.Invalidf("no good")), 400, `{"msg":"no good","code":10}`, ""},
		{&reset.Error{Kind: reset.Internal, Code: reset.CodeUnknown, Message: "oh", Cause: cause}, 500, `{"msg":"oh","code":-1}`, ""},
		{&reset.Error{Kind: reset.Unauthorized, Code: reset.CodeExpired, Message: "late", Cause: cause}, 401, `{"msg":"late","code":60}`, "WWW-Authenticate"},
		{&reset.Error{Kind: reset.NotFound, Code: reset.CodeNotFound, Message: "none"}, 404, `{"msg":"none","code":20}`, ""},
		{&reset.Error{Kind: reset.Conflict, Code: reset.CodeBadValue, Message: "there"}, 409, `{"msg":"there","code":10}`, ""},
		{&reset.Error{Kind: reset.Throttled, Code: reset.CodeRestriction, Message: "slow"}, 429, `{"msg":"slow","code":50}`, "Retry-After"},
		{reset.Busy("busy", time.Minute, cause), 503, `{"msg":"busy","code":-1}`, "Retry-After"},
		{fmt.Errorf("query: %w", context.DeadlineExceeded), 503, `{"msg":"this took too long; please try again","code":-1}`, "Retry-After"},
		{&reset.Error{Kind: 99, Code: reset.CodeUnknown, Message: "new kind"}, 500, `{"msg":"new kind","code":-1}`, ""},
		{&reset.Error{Kind: reset.Invalid, Code: 10, Message: "why", Details: map[string]any{"b": 1, "a": []string{"x"}}}, 400, `{"msg":"why","code":10,"details":{"a":["x"],"b":1}}`, ""},
		{&reset.Error{Kind: reset.Invalid, Code: 10, Message: "odd", Details: map[string]any{"f": func() {}}}, 400, `{"msg":"odd","code":10}`, ""},
	} {
		got := httptest.NewRecorder()
		httpapi.WriteError(got, httptest.NewRequest(http.MethodGet, "/", nil), c.err)
		if got.Code != c.status || got.Body.String() != c.body {
			t.Errorf("%v: got %d %s, want %d %s", c.err, got.Code, got.Body, c.status, c.body)
		}
		for name, value := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
			if got.Header().Get(name) != value {
				t.Errorf("%v: %s is %q, want %q", c.err, name, got.Header().Get(name), value)
			}
		}
		for _, name := range []string{"Retry-After", "WWW-Authenticate"} {
			if has := got.Header().Get(name) != ""; has != (name == c.header) {
				t.Errorf("%v: has %s: %t", c.err, name, has)
			}
		}
	}
}

func TestRetryAfterIsNeverTooShort(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pause := time.Duration(rapid.Int64Range(-int64(time.Hour), int64(1000*time.Hour)).Draw(t, "pause"))
		got := httptest.NewRecorder()
		httpapi.WriteError(got, httptest.NewRequest(http.MethodGet, "/", nil), reset.Busy("busy", pause, nil))
		seconds, err := strconv.Atoi(got.Header().Get("Retry-After"))
		told := time.Duration(seconds) * time.Second
		if err != nil || told < time.Second || told < pause || told > max(pause, 0)+time.Second {
			t.Fatalf("a pause of %v became Retry-After %q", pause, got.Header().Get("Retry-After"))
		}
	})
}

func TestAPanicIsA500(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), func(o *httpapi.Options) {
		o.ClientOf = func(*http.Request) string { panic("canary in the panic") }
	})
	got := a.do(t, "POST", resetPath+unknownID, passwordBody(t, goodPassword))
	got.failed(t, 500, reset.CodeUnknown)
	if strings.Contains(got.Body, "canary") {
		t.Errorf("the answer tells of the panic: %s", got.Body)
	}
	log := a.log.String()
	for _, want := range []string{"level=ERROR", "canary in the panic", "routes.go", resetPath + "{id}"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, unknownID) || strings.Contains(log, goodPassword) {
		t.Errorf("the log has a secret:\n%s", log)
	}
}

func TestAnAbortedAnswerStaysAborted(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	h := httpapi.New(httpapi.Options{
		Service: w.Service, Keys: w.Keys, Log: discard(),
		ClientOf: func(*http.Request) string { panic(http.ErrAbortHandler) },
	})
	defer func() {
		if p, ok := recover().(error); !ok || !errors.Is(p, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler", p)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, metadataPath+unknownID, nil))
	t.Error("the panic was swallowed")
}

func TestALockedDatabase(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t, servicetest.WithBusyTimeout(20*time.Millisecond)))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")
	unlock := a.Lock(t)
	for path, body := range map[string]string{
		askPath:        `{"email":["ann@example.com"]}`,
		resetPath + id: passwordBody(t, goodPassword),
	} {
		got := a.do(t, "POST", path, body)
		got.failed(t, 503, reset.CodeUnknown)
		if s, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || s < 1 {
			t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
		}
		for _, internal := range []string{"sqlite", "SQL", "lock", ".go", "/"} {
			if strings.Contains(got.Body, internal) {
				t.Errorf("the answer says %q: %s", internal, got.Body)
			}
		}
	}
	if log := a.log.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "cause=") || strings.Contains(log, "level=ERROR") {
		t.Errorf("the log should have the causes as warnings:\n%s", log)
	}
	unlock()
	a.WorkOutbox(t)
	a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword)).is(t, 200, `{"id":"`+id+`"}`)
}

func TestABrokenStoreTellsNothing(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	a := serve(t, w)
	w.AddUser(t, "ann@example.com", "Ann")
	id := w.MailedID(t, "ann@example.com")
	if err := w.Store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, got := range []answer{
		a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`),
		a.do(t, "GET", metadataPath+id, ""),
		a.do(t, "GET", metadataPath+id, "", "X-Auth-Token", "spk_x"),
		a.do(t, "POST", resetPath+id, passwordBody(t, goodPassword)),
	} {
		if got.Status != 500 && got.Status != 503 {
			t.Errorf("got %d %s", got.Status, got.Body)
		}
		got.failed(t, got.Status, reset.CodeUnknown)
		for _, internal := range []string{"sql", "closed", ".go", "/", "ann@", id} {
			if strings.Contains(got.Body, internal) {
				t.Errorf("the answer says %q: %s", internal, got.Body)
			}
		}
	}
	if log := a.log.String(); strings.Contains(log, id) || strings.Contains(log, "ann@") {
		t.Errorf("the log has a secret:\n%s", log)
	}
}

func TestACallerWhoGoesAwayIsNoAlarm(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	log := &lockedBuffer{}
	h := httpapi.New(httpapi.Options{
		Service: w.Service, Keys: w.Keys, Log: slog.New(slog.NewTextHandler(log, nil)),
		ClientOf: func(*http.Request) string { return defaultClient },
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", metadataPath+unknownID, nil))
	if s := log.String(); strings.Contains(s, "ERROR") || strings.Contains(s, "WARN") {
		t.Errorf("the log has an alarm:\n%s", s)
	}
}

func TestTooManyWrongGuesses(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t, servicetest.WithThrottle()))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")
	guess := func(client string) answer { return a.do(t, "GET", metadataPath+unknownID, "", "Test-Client", client) }
	for i := range 100 {
		if got := guess("192.0.2.66"); got.Status != 401 {
			t.Fatalf("guess %d: %d %s", i+1, got.Status, got.Body)
		}
	}
	got := guess("192.0.2.66")
	got.failed(t, 429, reset.CodeRestriction)
	if s, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || s < 1 {
		t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
	a.do(t, "GET", metadataPath+id, "", "Test-Client", "192.0.2.67").is(t, 200, `{"id":"`+id+`","multiple_accounts":false}`)
}

func TestAskingTooOften(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t, servicetest.WithThrottle()))
	for range 30 {
		a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`).is(t, 200, `{"email":["ann@example.com"]}`)
	}
	got := a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`)
	if got.Status != 429 || got.Header.Get("Retry-After") == "" {
		t.Errorf("the 31st call was answered %d %s, Retry-After %q", got.Status, got.Body, got.Header.Get("Retry-After"))
	}
	if policy, limit := got.Header.Get("RateLimit-Policy"), got.Header.Get("RateLimit"); policy != `"ask";q=30;w=60` || limit != `"ask";r=0;t=2` {
		t.Errorf("RateLimit-Policy %s, RateLimit %s", policy, limit)
	}
	a.do(t, "POST", askPath, `{"email":["bob@example.com"]}`, "Test-Client", "192.0.2.8").is(t, 200, `{"email":["bob@example.com"]}`)
}
