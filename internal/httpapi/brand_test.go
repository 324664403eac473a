package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// TestTheHostThatIsCalledIsRemembered: by the account that it is of, and nothing else of it.
func TestTheHostThatIsCalledIsRemembered(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "ann@example.com", "Ann", "Acme")
	acme := w.Brand(t, "Acme", reset.Branding{Hosts: []string{"reset.acme.test"}})
	a := serve(t, w, func(o *httpapi.Options) {
		o.BrandOf = func(r *http.Request) reset.Brand {
			brand, _ := w.Brands.Worn(r.Host, "")
			return brand
		}
	})
	const body = `{"email":["ann@example.com"]}`
	for _, c := range []struct {
		host, headers string
		want          int64
	}{
		{"reset.acme.test", "", acme.ID},
		{"RESET.ACME.TEST:8443", "", acme.ID},
		{"reset.example.com", "", 0},
		{"evil.test", "", 0},
		{"evil.test", "X-Forwarded-Host: reset.acme.test\nForwarded: host=reset.acme.test\nX-Original-Host: reset.acme.test\n", 0},
		{"reset.acme.test.evil.test", "", 0},
	} {
		got := a.raw(t, false, wire("POST "+askPath+"?account=1 HTTP/1.1\nHost: "+c.host+"\n"+c.headers+"Content-Type: application/json\nContent-Length: 29\nConnection: close", body))
		if got.Status != http.StatusOK {
			t.Errorf("%s: %d %s", c.host, got.Status, got.Body)
		}
		if diff := cmp.Diff([]reset.Entry{reset.LinkEntry{Address: "ann@example.com", Brand: c.want}}, a.TakeOutbox()); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", c.host, c.headers, diff)
		}
	}
}
