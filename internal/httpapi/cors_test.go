package httpapi_test

import (
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

const appOrigin = "https://app.example.com"

func TestOriginsThatMayAndMayNot(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	listed := serve(t, w, origins(appOrigin, "http://localhost:3000", "*", "null", "https://*.example.org"))
	empty := serve(t, w)
	for _, c := range []struct {
		name, origin string
		api          *api
		ok           bool
	}{
		{"listed", appOrigin, listed, true},
		{"listed with a port", "http://localhost:3000", listed, true},
		{"not listed", "https://evil.test", listed, false},
		{"listed with something behind it", appOrigin + ".evil.test", listed, false},
		{"listed with something before it", "https://evil-app.example.com", listed, false},
		{"another scheme", "http://app.example.com", listed, false},
		{"another port", appOrigin + ":8443", listed, false},
		{"null, though the list has it", "null", listed, false},
		{"a star, though the list has it", "*", listed, false},
		{"what a pattern in the list would take", "https://a.example.org", listed, false},
		{"two origins in one", appOrigin + " https://evil.test", listed, false},
		{"any, with an empty list", appOrigin, empty, false},
	} {
		preflight := c.api.do(t, "OPTIONS", resetPath+unknownID, "", "Origin", c.origin,
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,x-auth-token")
		actual := c.api.do(t, "GET", metadataPath+unknownID, "", "Origin", c.origin)
		actual.failed(t, 401, reset.CodeNotAuthorized)
		want := ""
		if c.ok {
			want = c.origin
		}
		for _, got := range []answer{preflight, actual} {
			if o := got.Header.Get("Access-Control-Allow-Origin"); o != want {
				t.Errorf("%s: Access-Control-Allow-Origin is %q, want %q", c.name, o, want)
			}
			if v := strings.Join(got.Header.Values("Vary"), ", "); !strings.Contains(v, "Origin") {
				t.Errorf("%s: Vary is %q, without Origin", c.name, v)
			}
		}
		for name := range actual.Header {
			if !c.ok && strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: has %s", c.name, name)
			}
		}
		for name := range preflight.Header {
			if !c.ok && strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: the preflight has %s", c.name, name)
			}
		}
	}
}

func TestWhatAListedOriginIsTold(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), origins(appOrigin))
	for _, c := range []struct {
		method, headers string
		ok              bool
	}{
		{"POST", "content-type,x-auth-token", true},
		{"POST", "content-type", true},
		{"GET", "x-auth-token", true},
		{"GET", "", true},
		{"PUT", "content-type", false},
		{"DELETE", "", false},
		{"POST", "authorization", false},
		{"POST", "content-type,x-http-method-override", false},
	} {
		headers := []string{"Origin", appOrigin, "Access-Control-Request-Method", c.method}
		if c.headers != "" {
			headers = append(headers, "Access-Control-Request-Headers", c.headers)
		}
		got := a.do(t, "OPTIONS", askPath, "", headers...)
		if got.Status != 204 || (got.Header.Get("Access-Control-Allow-Origin") == appOrigin) != c.ok {
			t.Errorf("%s with %q: %d %v, allowed should be %t", c.method, c.headers, got.Status, got.Header, c.ok)
		}
		if c.ok && (got.Header.Get("Access-Control-Allow-Methods") != c.method || got.Header.Get("Access-Control-Allow-Headers") != c.headers) {
			t.Errorf("%s with %q: %v", c.method, c.headers, got.Header)
		}
	}
	got := a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`, "Origin", appOrigin)
	if e := got.Header.Get("Access-Control-Expose-Headers"); got.Status != 200 || e != "Retry-After, Ratelimit, Ratelimit-Policy, X-Request-Id" {
		t.Errorf("got %d, Access-Control-Expose-Headers %q", got.Status, e)
	}
	// Failures are readable too, or a page could not say what went wrong.
	if got := a.do(t, "POST", "/api/1.0/none", "{}", "Origin", appOrigin); got.Header.Get("Access-Control-Allow-Origin") != appOrigin {
		t.Errorf("404 without CORS: %v", got.Header)
	}
	if got := a.do(t, "GET", metadataPath+unknownID, "", "Origin", appOrigin, "Origin", "https://evil.test"); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("two Origin headers were answered %v", got.Header)
	}
}
