package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/httpapi/contracttest"
	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestRoutesAndDocumentAgree(t *testing.T) {
	t.Parallel()
	doc, err := contracttest.Document()
	if err != nil {
		t.Fatal(err)
	}
	var described, served []string
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			described = append(described, method+" "+doc.Servers[0].URL+path+" "+operation.OperationID)
		}
	}
	for _, route := range httpapi.Routes() {
		served = append(served, route.Method+" "+httpapi.BasePath+route.Path+" "+route.OperationID)
	}
	slices.Sort(described)
	slices.Sort(served)
	if d := cmp.Diff(described, served); d != "" {
		t.Errorf("the document (-) and the handler (+) differ:\n%s", d)
	}
}

func TestEveryRouteAnswersWhatItsPathHas(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithPuzzle(puzzle.Options{Difficulty: 1}))
	a := serve(t, w, withPuzzles(w))
	before := a.Dump(t)
	for _, route := range httpapi.Routes() {
		path := httpapi.BasePath + strings.ReplaceAll(route.Path, "{id}", unknownID)
		allowed := []string{route.Method}
		if route.Method == http.MethodGet {
			allowed = append(allowed, "HEAD")
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "POSTS"} {
			got := a.do(t, method, path, "")
			if slices.Contains(allowed, method) {
				if got.Status == 404 || got.Status == 405 {
					t.Errorf("%s %s: %d", method, path, got.Status)
				}
				continue
			}
			if got.Status != 405 || got.Header.Get("Allow") != strings.Join(allowed, ", ") {
				t.Errorf("%s %s: %d, Allow %q, want 405, %q", method, path, got.Status, got.Header.Get("Allow"), allowed)
			}
			if method != "HEAD" {
				got.failed(t, 405, reset.CodeNotSupported)
			}
		}
	}
	a.untouched(t, before)
}

func TestPathsThatAreNone(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")
	before := a.Dump(t)
	for _, path := range []string{
		"/api/", "/api/1.0", "/api/1.0/", "/api/2.0/reset-password/request", "/api/1.0/reset-password",
		"/api/1.0/reset-password/request/", "/api/1.0//reset-password/request", "//api/1.0/reset-password/request",
		"/api/1.0/./reset-password/request", "/api/1.0/x/../reset-password/request", "/api/1.0/Reset-Password/request",
		resetPath, resetPath + id + "/", resetPath + id + "/x", resetPath + "../reset/" + id, resetPath + "%2e%2e", resetPath + "%2E",
		resetPath + "x%2f..%2f" + id, resetPath + id + "%2f", metadataPath, metadataPath + id + "/", metadataPath + "/" + id,
		jobPath, "/api/1.0/job/status", "/api/1.0/openapi.json", "/api/1.0/openapi.yaml/",
	} {
		for _, method := range []string{"GET", "POST"} {
			got := a.do(t, method, path, passwordBody(t, goodPassword))
			got.failed(t, 404, reset.CodeNotFound)
			if l := got.Header.Get("Location"); l != "" {
				t.Errorf("%s %s leads to %q", method, path, l)
			}
		}
	}
	a.untouched(t, before)
}

func TestBehindAPathPrefix(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "ann@example.com", "Ann")
	id := w.MailedID(t, "ann@example.com")
	h := httpapi.New(httpapi.Options{
		Service: w.Service, Keys: w.Keys, Log: discard(),
		ClientOf: func(*http.Request) string { return defaultClient },
	})
	front := contracttest.Handler(t, http.StripPrefix("/login", h))
	for path, status := range map[string]int{
		"/login" + metadataPath + id:          200,
		"/login" + metadataPath + id + "/":    404,
		"/login/" + metadataPath + id:         404,
		"/login" + metadataPath + "%2e%2e":    404,
		"/login" + metadataPath + "a%20b":     401,
		"/login" + "/api/1.0/openapi.yaml":    200,
		"/login" + "/api/1.0/reset-password/": 404,
	} {
		got := httptest.NewRecorder()
		front.ServeHTTP(got, httptest.NewRequest(http.MethodGet, path, nil))
		if got.Code != status {
			t.Errorf("GET %s: %d, want %d", path, got.Code, status)
		}
	}
}

func TestVerbTricks(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	id := a.MailedID(t, "ann@example.com")
	before := a.Dump(t)
	body := passwordBody(t, goodPassword)
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		a.do(t, "GET", resetPath+id+"?_method=POST", body, header, "POST").failed(t, 405, reset.CodeNotSupported)
		a.do(t, "POST", metadataPath+id+"?_method=GET", body, header, "GET").failed(t, 405, reset.CodeNotSupported)
		a.do(t, "GET", metadataPath+id, "", header, "DELETE").is(t, 200, `{"id":"`+id+`","multiple_accounts":false}`)
	}
	for _, method := range []string{"TRACE", "OPTIONS", "CONNECT"} {
		a.raw(t, true, wire(method+" "+resetPath+id+" HTTP/1.1\nHost: x\nX-Auth-Token: canary\nConnection: close", "")).
			failed(t, 405, reset.CodeNotSupported)
	}
	a.untouched(t, before)
}
