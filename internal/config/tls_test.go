package config_test

import (
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/config"
)

// TestTLSSettingsThatContradict: what would not work together, or would have no
// effect, is told before anything is served.
func TestTLSSettingsThatContradict(t *testing.T) {
	t.Parallel()
	const auto, base = "tls: {autocert: [a.example.com], cache: c, acme_terms: true", "base_url: https://a.example.com\n"
	tests := []struct {
		name, yaml string
		want       []string // how each fault begins
	}{
		{"a pair", "tls: {certificate: c, key: k}", nil},
		{"autocert", auto + "}", nil},
		{"autocert of the links' host", base + auto + "}", nil},
		{"everything", base + auto + ", acme_email: a@example.com, redirect_listen: ':80'}", nil},
		{"no key", "tls: {certificate: c}", []string{"tls.certificate is set without tls.key; set tls.key"}},
		{"no certificate", "tls: {key: k}", []string{"tls.key is set without tls.certificate; set tls.certificate"}},
		{"both ways", auto + ", certificate: c, key: k}", []string{"tls.autocert is set as well as tls.certificate; unset one"}},
		{"no cache, no terms", "tls: {autocert: [a.example.com]}", []string{
			"tls.cache is not set, so that certificates would be fetched anew at every start; set tls.cache",
			"tls.acme_terms is false, so that no certificate is issued; read the authority's terms",
		}},
		{"without effect", "tls: {cache: c, acme_email: a@example.com, acme_terms: true}", []string{
			"tls.cache has no effect without tls.autocert; ", "tls.acme_email has no effect", "tls.acme_terms has no effect",
		}},
		{"redirect to nothing", "tls: {redirect_listen: ':80'}", []string{"tls.redirect_listen would send browsers to a listener that speaks no TLS; "}},
		{"redirect to itself", "listen: ':80'\n" + auto + ", redirect_listen: ':80'}", []string{"tls.redirect_listen is the same as listen; "}},
		{"links without TLS", "base_url: http://localhost\ntls: {certificate: c, key: k}", []string{"base_url is http, while the listener speaks TLS; "}},
		{"links elsewhere", "base_url: https://b.example.com\n" + auto + "}", []string{"tls.autocert lacks the host of base_url, where all links lead; "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := faults(t, config.Source{File: write(t, tt.yaml)})
			if len(got) != len(tt.want) {
				t.Fatalf("faults: %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("got %q, want %q…", got[i], want)
				}
			}
		})
	}
}
