package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// BenchmarkMetadata shows what a look costs; BenchmarkNoPath what of that is
// net/http's recorder and the layers around every call.
func BenchmarkMetadata(b *testing.B) {
	w := servicetest.New(b)
	w.AddUser(b, "ann@example.com", "Ann")
	benchmark(b, w, metadataPath+w.MailedID(b, "ann@example.com"), 200)
}

func BenchmarkNoPath(b *testing.B) {
	benchmark(b, servicetest.New(b), "/api/1.0/none", 404)
}

func benchmark(b *testing.B, w *servicetest.World, path string, status int) {
	h := httpapi.New(httpapi.Options{
		Service: w.Service, Keys: w.Keys, Log: discard(),
		ClientOf: func(*http.Request) string { return defaultClient },
	})
	r := httptest.NewRequest(http.MethodGet, path, nil)
	b.ReportAllocs()
	for b.Loop() {
		got := httptest.NewRecorder()
		h.ServeHTTP(got, r)
		if got.Code != status {
			b.Fatalf("%d %s", got.Code, got.Body)
		}
	}
}
