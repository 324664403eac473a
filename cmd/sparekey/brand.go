package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/httpserver"
	"github.com/sparekey/sparekey/internal/reset"
)

// defaultBrand is the brand of whoever has none of their own.
func defaultBrand(cfg *config.Config) (reset.Brand, error) {
	b := plainBranding(cfg)
	if cfg.Brand.Logo != "" {
		var err error
		if b.Logo, err = readLogo(cfg.Brand.Logo); err != nil {
			return reset.Brand{}, hintf(fmt.Errorf("brand.logo: %w", err), "set brand.logo to the path of a picture, or unset it")
		}
	}
	return ofDefault(b)
}

// plainBranding is what is set of the default brand, without its logo.
func plainBranding(cfg *config.Config) reset.Branding {
	return reset.Branding{
		Name: cfg.Mail.ServiceName, Sender: cfg.Mail.From, LinkBase: cfg.BaseURL,
		Accent: cfg.Brand.Accent, Background: cfg.Brand.Background,
		ReplyTo: cfg.Brand.ReplyTo, Support: cfg.Brand.Support, Hosts: cfg.Brand.Hosts,
	}
}

func ofDefault(b reset.Branding) (reset.Brand, error) {
	brand, err := b.Default()
	if err != nil {
		return reset.Brand{}, hintf(err, "change mail.from, mail.service_name, base_url or a setting of brand")
	}
	return brand, nil
}

// readLogo reads a picture, and no more of a file than a logo may have.
func readLogo(path string) (l reset.Logo, err error) {
	f, err := os.Open(filepath.Clean(path)) //nolint:gosec // the operator names it
	if err != nil {
		return reset.Logo{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, reset.MaxLogo+1))
	if err != nil {
		return reset.Logo{}, err
	}
	return reset.NewLogo(data)
}

// wears tells whose brand a request to the API wears: by its host alone.
func wears(brands *reset.Brands) func(*http.Request) reset.Brand {
	return func(r *http.Request) reset.Brand {
		brand, _ := brands.Worn(r.Host, "")
		return brand
	}
}

// pageWears tells whose brand a page wears: by its host, or else the account that its query names.
func pageWears(brands *reset.Brands) func(*http.Request) reset.Brand {
	return func(r *http.Request) reset.Brand {
		brand, _ := brands.Worn(r.Host, r.URL.Query().Get("account"))
		return brand
	}
}

// sentTo tells where whoever comes without TLS is sent: to the links' base of the
// brand that the host wears, which may be another host of the same organisation.
func sentTo(brands *reset.Brands, base *url.URL) func(*http.Request) *url.URL {
	return func(r *http.Request) *url.URL {
		u, err := url.Parse(wears(brands)(r).BaseURL)
		if err != nil {
			return base
		}
		return u
	}
}

var errForeignHost = &reset.Error{Kind: reset.Invalid, Code: reset.CodeBadHostname, Message: "this service is not at that host name; call it at its own"}

// atOurHosts has a surface refuse requests for hosts that are nobody's, if that is configured.
func (c *core) atOurHosts(s httpserver.Surface) httpserver.Surface {
	if !c.cfg.HTTP.StrictHosts {
		return s
	}
	inner, refuse := s.Handler, s.Refuse
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, known := c.brands.Worn(r.Host, ""); !known {
			refuse(w, r, errForeignHost)
			return
		}
		inner.ServeHTTP(w, r)
	})
	return s
}

// openBrands reads the brands, which newService needs.
func (c *core) openBrands(ctx context.Context) error {
	base, err := defaultBrand(c.cfg)
	if err != nil {
		return err
	}
	c.brands = reset.NewBrands(base, c.store, c.log)
	return c.brands.Refresh(ctx)
}
