package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// TestSentToTheHostsOwnHTTPS: whoever comes without TLS goes on where links of the host's
// brand lead, and never to what the request says.
func TestSentToTheHostsOwnHTTPS(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "ada@example.test", "", "Acme")
	w.Brand(t, "Acme", reset.Branding{Hosts: []string{"reset.acme.test", "r.acme.test"}})
	base, err := url.Parse(servicetest.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	to := sentTo(w.Brands, base)
	for host, want := range map[string]string{
		"reset.acme.test": "https://reset.acme.test", "r.acme.test:80": "https://reset.acme.test",
		"reset.example.com": servicetest.BaseURL, "evil.test": servicetest.BaseURL, "reset.acme.test@evil.test": servicetest.BaseURL, "": servicetest.BaseURL,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/forgot?account=1", nil)
		r.Host = host
		r.Header.Set("X-Forwarded-Host", "reset.acme.test")
		if got := to(r).String(); got != want {
			t.Errorf("%q is sent to %s, want %s", host, got, want)
		}
	}
}

// TestABrandThatDoesNotFitAnyMore: base_url was changed since it was set. What still fits is worn, and the log says so.
func TestABrandThatDoesNotFitAnyMore(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "ada@example.test", "", "Acme")
	acme := w.Brand(t, "Acme", reset.Branding{Name: "Acme & Sons", LinkBase: "https://reset.acme.test"})
	moved, err := reset.Branding{Name: "Example", LinkBase: "https://example.com/auth"}.Default()
	if err != nil {
		t.Fatal(err)
	}
	brands := reset.NewBrands(moved, w.Store, slog.New(slog.DiscardHandler))
	if err := brands.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	brand := brands.ByAccount(acme.ID)
	if got := brand.Name + " " + brand.URL("/forgot"); got != "Acme & Sons https://example.com/auth/forgot?account=1" {
		t.Errorf("it is %s", got)
	}
	if _, known := brands.ByHost("reset.acme.test"); known {
		t.Error("its host is known, where no page is")
	}
}
