package config_test

import (
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/config"
)

// TestHalfASignatureIsAFault: whoever set the half believes that mails are signed.
func TestHalfASignatureIsAFault(t *testing.T) {
	t.Parallel()
	const key = `"-----BEGIN PRIVATE KEY-----"`
	for _, tt := range []struct{ yaml, want string }{
		{"mail: {from: a@example.com, dkim_key: " + key + ", dkim_selector: sk}", ""},
		{"mail: {from: a@example.com, dkim_domains: example.org}", ""},
		{"mail: {dkim_key: " + key + "}", "mail.dkim_selector is not set, though mail.dkim_key is; set it"},
		{"mail: {dkim_selector: sk}", "mail.dkim_key is not set, though mail.dkim_selector is; set SPAREKEY_MAIL_DKIM_KEY_FILE"},
	} {
		got := strings.Join(faults(t, config.Source{File: write(t, tt.yaml)}), "\n")
		if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.yaml, got, tt.want)
		}
	}
}

func TestTheSendersDomainSigns(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"Example <a@Mail.Example.com>": "mail.example.com", "a@exämple.com": "xn--exmple-cua.com", "": "",
	} {
		got := load(t, config.Source{Environ: []string{"SPAREKEY_MAIL_FROM=" + from}})
		if d := strings.Join(got.Mail.DKIM.Domains, ","); d != want {
			t.Errorf("of %q signs %q, want %q", from, d, want)
		}
	}
}
