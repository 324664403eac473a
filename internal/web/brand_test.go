package web_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/web"
)

// branded are pages on a World of which those at reset.globex.example, and those with ?account=7, wear a brand of their own.
func branded(t *testing.T, w *servicetest.World, prefix string) (*web.Pages, reset.Logo) {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 960, 128))
	for x := range 960 {
		for y := range 128 {
			if dx, dy := x%128-64, y-64; dx*dx+dy*dy < 60*60 {
				picture.Set(x, y, color.NRGBA{R: 0x7a, G: 0x1f, B: 0x5c, A: 0xff})
			}
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, picture); err != nil {
		t.Fatal(err)
	}
	logo, err := reset.NewLogo(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	named := logo
	named.Data = nil
	globex := reset.Brand{Account: 7, Name: "Globex & Co", Logo: named, Accent: "#7a1f5c", Background: "#fdf3f9", Support: "help@globex.example"}
	pages, err := web.New(web.Options{
		Service: w.Service, BaseURL: servicetest.BaseURL + prefix, ServiceName: "Example", MinLength: 15, MaxLength: 1024,
		BrandOf: func(r *http.Request) reset.Brand {
			if r.Host == "reset.globex.example" || r.URL.Query().Get("account") == "7" {
				return globex
			}
			return reset.Brand{Name: "Default"}
		},
		LogoOf: func(_ context.Context, d reset.Digest) (reset.Logo, error) {
			if d != logo.Digest {
				return reset.Logo{}, &reset.Error{Kind: reset.NotFound}
			}
			return logo, nil
		},
		ClientOf: func(*http.Request) string { return "192.0.2.1" }, Now: w.Clock.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages, logo
}

// TestPagesWearTheBrand: its name, logo, colours and whom to ask; the colours in a stylesheet of its own, so that nothing is inline.
func TestPagesWearTheBrand(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	pages, logo := branded(t, w, "/auth")
	ask := func(method, host, path string, form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
		r.Host = host
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		got := httptest.NewRecorder()
		pages.ServeHTTP(got, r)
		return got
	}
	get := func(host, path string) *httptest.ResponseRecorder { return ask(http.MethodGet, host, path, nil) }

	body := get("reset.globex.example", "/forgot").Body.String()
	for _, want := range []string{
		"– Globex &amp; Co</title>", `alt="Globex &amp; Co" width="240" height="32"`, `src="/auth/assets/` + logo.Name() + `"`,
		`-7a1f5c-fdf3f9.css"`, `<a href="mailto:help@globex.example"><bdi>help@globex.example</bdi></a>`, `action="/auth/forgot"`, `href="?lang=de"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q:\n%s", want, body)
		}
	}
	if other := get("elsewhere.example", "/forgot").Body.String(); !strings.Contains(other, "– Default</title>") || strings.Contains(other, "Globex") || strings.Contains(other, "elsewhere") {
		t.Errorf("an unknown host is shown\n%s", other)
	}

	_, sheet, _ := strings.Cut(body, `<link rel="stylesheet" href="/auth`)
	sheet, _, _ = strings.Cut(sheet, `"`)
	css := get("elsewhere.example", sheet) // any host has it
	if css.Code != http.StatusOK || !strings.Contains(css.Body.String(), "--accent:#7a1f5c") || !strings.Contains(css.Body.String(), "--ground:#fdf3f9") ||
		!strings.Contains(css.Header().Get("Cache-Control"), "immutable") || css.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%s: %d %v", sheet, css.Code, css.Header())
	}
	file := get("elsewhere.example", "/assets/"+logo.Name())
	if file.Code != http.StatusOK || !bytes.Equal(file.Body.Bytes(), logo.Data) || file.Header().Get("Content-Type") != "image/png" || file.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the logo: %d %v", file.Code, file.Header())
	}
	for _, odd := range []string{
		"/assets/style-000000000000-0-0.css", strings.Replace(sheet, "7a1f5c", "7a1f5g", 1), strings.Replace(sheet, "7a1f5c", "red;}", 1), "/assets/logo-" + strings.Repeat("0", 64) + ".png",
		"/assets/" + strings.Replace(logo.Name(), ".png", ".jpg", 1),
	} {
		if got := get("reset.globex.example", odd); got.Code != http.StatusNotFound {
			t.Errorf("%s: %d", odd, got.Code)
		}
	}

	// Who came with ?account= keeps it on the way; what is not the account's number is dropped.
	asked := get("elsewhere.example", "/forgot?account=7&lang=de&x=1").Body.String()
	for _, want := range []string{`action="/auth/forgot?account=7"`, `href="?account=7&amp;lang=fr"`} {
		if !strings.Contains(asked, want) {
			t.Errorf("the page lacks %q:\n%s", want, asked)
		}
	}
	if got := ask(http.MethodPost, "elsewhere.example", "/forgot?account=7", url.Values{"email": {ada}}).Header().Get("Location"); got != "/auth/sent?account=7" {
		t.Errorf("sent on to %q", got)
	}
	if got := ask(http.MethodPost, "reset.globex.example", "/forgot?account=%22evil", url.Values{"email": {ada}}).Header().Get("Location"); got != "/auth/sent" {
		t.Errorf("sent on to %q", got)
	}
}
