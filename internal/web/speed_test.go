package web_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// TestFirstPaint: on loopback the first text of a page is drawn within 200 ms at the median. A machine that
// has other things to do gets several tries.
func TestFirstPaint(t *testing.T) {
	t.Parallel()
	g := newGallery(t)
	b := open(t, g.server.URL, phone)
	for _, room := range []string{"forgot", "choose"} {
		best := -1.0
		for range 5 {
			times := make([]float64, 7)
			for i := range times {
				b.goTo("/gallery/" + room + "/en")
				times[i] = eval[float64](b, `new Promise(done => new PerformanceObserver(list => done(list.getEntries()[0].startTime))
					.observe({ type: "paint", buffered: true }))`)
			}
			slices.Sort(times)
			if median := times[len(times)/2]; best < 0 || median < best {
				best = median
			}
			if best < 200 {
				break
			}
		}
		t.Logf("%s: %.0f ms", room, best)
		if best >= 200 {
			t.Errorf("%s: the first paint takes %.0f ms at the median", room, best)
		}
	}
}

// BenchmarkPages measures what the pages themselves take; look at the bare handler for what HTTP does.
func BenchmarkPages(b *testing.B) {
	s := newSite(b, "")
	id := s.MailedID(b, ada)
	for _, c := range []struct{ name, path, language string }{
		{"forgot", "/forgot", "en"}, {"forgot in Arabic", "/forgot", "ar"}, {"choose", "/reset", "de"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, c.path, nil)
				r.Header.Set("Accept-Language", c.language)
				r.Header.Set("Cookie", "sparekey_link="+id)
				s.pages.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
	b.Run("bare handler", func(b *testing.B) {
		bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
		for b.Loop() {
			bare.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/forgot", nil))
		}
	})
}
