package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/config"
)

// faults returns the lines of the error of Load, with FILE for the path of the file.
func faults(t testing.TB, src config.Source) []string {
	t.Helper()
	cfg, err := config.Load(src)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*config.Error](err); !ok || cfg != nil {
		t.Fatalf("Load = %v, %T", cfg, err)
	}
	text := err.Error()
	if src.File != "" {
		text = strings.ReplaceAll(text, src.File, "FILE")
	}
	return strings.Split(text, "\n")
}

func TestValuesThatDoNotFit(t *testing.T) {
	t.Parallel()
	tests := []struct{ setting, value, problem string }{
		{"database", "mysql://u:p@h/db", "names a kind of database that is not supported; there are sqlite and postgres"},
		{"database", "postgres://u:p@h", "names no database after the host"},
		{"database", "postgres:///db", "names no host"},
		{"database", "postgres:db", "names no host"},
		{"database", "postgres://u:p%zz@h/db", "is no URL; percent-encode what is special in user and password"},
		{"database", "postgres://h/db#x", "has a # in it; write %23"},
		{"database", "data.db", "lacks the prefix sqlite: or postgres: at its beginning"},
		{"database", "sqlite:", "names no file"},
		{"database", "sqlite:dir/", "names no file"},
		{"database", "sqlite://data.db", "has // after sqlite: without a third slash"},
		{"database", "sqlite::memory:", "must be a file: a database in memory would lose what was promised"},
		{"database", "sqlite:a\x00b", "has a control character in its path"},
		{"secret", "0123456789abcdef0123456789abcde", "is too short"},
		{"listen", "8080", "is not of the form HOST:PORT"},
		{"listen", "localhost", "is not of the form HOST:PORT"},
		{"listen", "localhost:http", "has no port from 0 to 65535"},
		{"listen", "localhost:65536", "has no port from 0 to 65535"},
		{"listen", "a b:80", "has a host that is neither an IP address nor a name"},
		{"base_url", "reset.example.com", "does not begin with https://"},
		{"base_url", "ftp://example.com", "does not begin with https://"},
		{"base_url", "https:example.com", "has no host"},
		{"base_url", "https:///x", "has no host"},
		{"base_url", "http://example.com", "must be https: whoever reads the link on its way could use it"},
		{"base_url", "http://localhost.example.com", "must be https: whoever reads the link on its way could use it"},
		{"base_url", "http://10.0.0.1", "must be https: whoever reads the link on its way could use it"},
		{"base_url", "https://example.com?", "must not have a query"},
		{"base_url", "https://example.com/?a=b", "must not have a query"},
		{"base_url", "https://example.com/#", "must not have a fragment"},
		{"base_url", "https://u:p@example.com", "must not have a user name or password in it"},
		{"base_url", "https://@example.com", "must not have a user name or password in it"},
		{"base_url", "https://exämple.com", "has a host that is neither a name (in its xn-- form) nor an IP address"},
		{"base_url", "https://[fe80::1%25eth0]", "has a host that is neither a name (in its xn-- form) nor an IP address"},
		{"base_url", "https://example.com:", "has a colon without a port"},
		{"base_url", "https://example.com:0", "has a port that is not from 1 to 65535"},
		{"base_url", "https://example.com:99999", "has a port that is not from 1 to 65535"},
		{"base_url", "https://example.com:x", "is not a URL"},
		{"base_url", "https://example.com/a/../b", "has a path with empty, . or .. parts"},
		{"base_url", "https://example.com/a//b", "has a path with empty, . or .. parts"},
		{"tls.certificate", "-----BEGIN CERTIFICATE-----\nMIIB", "is not the path of a file, but what should be in it"},
		{"tls.key", "-----BEGIN PRIVATE KEY-----", "is not the path of a file, but what should be in it"},
		{"tls.key", "a\nb", "has a control character"},
		{"tls.cache", "a\x00b", "has a control character"},
		{"tls.autocert", "*.example.com", "holds a wildcard, which cannot be proved over TLS"},
		{"tls.autocert", "reset.example.com,192.0.2.1", "holds an IP address; only names are proved over TLS"},
		{"tls.autocert", "::1", "holds an IP address; only names are proved over TLS"},
		{"tls.autocert", "localhost", "holds an entry that is not the full name of a host (in its xn-- form)"},
		{"tls.autocert", "a..example.com", "holds an entry that is not the full name of a host (in its xn-- form)"},
		{"tls.autocert", "https://example.com", "holds an entry that is not the full name of a host (in its xn-- form)"},
		{"tls.autocert", "exämple.com", "holds an entry that is not the full name of a host (in its xn-- form)"},
		{"tls.acme_directory", "acme.example.com", "does not begin with https://"},
		{"tls.acme_directory", "http://localhost/dir", "must be https"},
		{"tls.acme_directory", "https://u:p@example.com", "must not have a user name or password in it"},
		{"tls.acme_directory", "https://example.com/#", "must not have a fragment"},
		{"tls.acme_email", "ops", "is not a mail address: it needs exactly one @"},
		{"tls.acme_terms", "agreed", "is neither true nor false"},
		{"tls.redirect_listen", "80", "is not of the form HOST:PORT"},
		{"mail.from", "nobody", "is not a sender"},
		{"mail.from", "a@example.com, b@example.com", "is not a sender"},
		{"mail.from", "Example <noreply@localhost>", "is not a mail address: the part after the @ is not a domain name"},
		{"mail.from", "=?utf-8?q?a=0D=0AB?= <noreply@example.com>", "has a control character"},
		{"mail.service_name", "a\nb", "has a control character or is not UTF-8"},
		{"mail.service_name", strings.Repeat("ä", 101), "is too long"},
		{"mail.connections", "0", "is out of range"},
		{"mail.connections", "65", "is out of range"},
		{"mail.connections", "99999999999999999999", "is out of range"},
		{"mail.connections", "many", "is not a whole number"},
		{"mail.connections", "1.5", "is not a whole number"},
		{"language", "English", "is not a language tag"},
		{"language", "de,en", "is not a language tag"},
		{"mail.templates", "a\nb", "has a control character"},
		{"mail.tell_unknown", "once", "is neither true nor false"},
		{"mail.dkim_key", "/etc/sparekey/dkim.pem", "is not a private key in PEM"},
		{"mail.dkim_selector", "a b", "is not a name that can stand in the DNS"},
		{"mail.dkim_selector", "a..b", "is not a name that can stand in the DNS"},
		{"mail.dkim_domains", "example.com,localhost", "holds an entry that is not a domain (in its xn-- form)"},
		{"mail.dkim_domains", "exämple.com", "holds an entry that is not a domain (in its xn-- form)"},
		{"brand.logo", "a\nb", "has a control character"},
		{"brand.accent", "navy", "is not a colour"},
		{"brand.background", "#12345", "is not a colour"},
		{"brand.reply_to", "Help <help@example.com>", "is not a mail address"},
		{"brand.reply_to", "ünal@example.com", "is not a mail address"},
		{"brand.support", "http://example.com/help", "is neither a mail address nor an https URL"},
		{"brand.support", "javascript:alert(1)", "is neither a mail address nor an https URL"},
		{"brand.hosts", "reset.example.com:443", "holds an entry that is not a host name"},
		{"brand.hosts", "a.example.com,192.0.2.1", "holds an entry that is not a host name"},
		{"http.strict_hosts", "yes", "is neither true nor false"},
		{"api.require_key", "yes", "is neither true nor false"},
		{"api.cors_origins", "*", "must not be *: every site on the web could then use a visitor's browser to call the API"},
		{"api.cors_origins", "null", "must not be null: any sandboxed page has that origin"},
		{"api.cors_origins", "https://a.test,b.test", "holds an entry that does not begin with https://"},
		{"api.cors_origins", "https://*.a.test", "holds an entry that has a host that is neither a name (in its xn-- form) nor an IP address"},
		{"api.cors_origins", "https://a.test/", "holds an entry with something after the host"},
		{"api.cors_origins", "https://a.test?", "holds an entry with something after the host"},
		{"api.cors_origins", "https://a.test#", "holds an entry with something after the host"},
		{"api.max_addresses", "0", "is out of range"},
		{"api.max_bulk", "-1", "is out of range"},
		{"request.ttl", "59s", "is out of range"},
		{"request.ttl", "24h1s", "is out of range"},
		{"request.ttl", "60", "is not a duration"},
		{"hash.concurrency", "0", "is out of range"},
		{"hash.queue", "-1", "is out of range"},
		{"hash.memory", "19455", "is out of range"},
		{"hash.memory", "1048577", "is out of range"},
		{"hash.time", "1", "is out of range"},
		{"hash.parallelism", "0", "is out of range"},
		{"hash.parallelism", "17", "is out of range"},
		{"password.min_length", "7", "is out of range"},
		{"password.max_length", "63", "is out of range"},
		{"password.max_length", "4097", "is out of range"},
		{"password.min_strength", "5", "is out of range"},
		{"password.blocklist", "a\nb", "has a control character"},
		{"password.range_url", "http://range.example.com", "must be https: whoever is on the way could change the answer"},
		{"password.range_url", "https://range.example.com/range?a=b", "must not have a query"},
		{"password.range_url", "https://u:p@range.example.com", "must not have a user name or password in it"},
		{"password.range_url", "range.example.com", "does not begin with https://"},
		{"password.range_timeout", "99ms", "is out of range"},
		{"throttle.enabled", "2", "is neither true nor false"},
		{"throttle.client", "0", "is out of range"},
		{"throttle.address_per_minute", "61", "is out of range"},
		{"throttle.address_per_hour", "0", "is out of range"},
		{"throttle.key", "0", "is out of range"},
		{"throttle.account", "0", "is out of range"},
		{"throttle.service", "0", "is out of range"},
		{"throttle.guesses", "0", "is out of range"},
		{"puzzle.enabled", "2", "is neither true nor false"},
		{"puzzle.difficulty", "0", "is out of range"},
		{"puzzle.without_script", "-1", "is out of range"},
		{"http.trusted_proxies", "10.0.0.0/33", "holds an entry that is not a network"},
		{"http.trusted_proxies", "proxy.test", "holds an entry that is not a network"},
		{"http.trusted_proxies", "::ffff:10.0.0.0/104", "holds an IPv4 network in IPv6 spelling, which would match nothing"},
		{"http.max_in_flight", "0", "is out of range"},
		{"log.format", "xml", "is not one of the words that it may be"},
		{"log.level", "trace", "is not a level"},
		{"shutdown.delay", "6m", "is out of range"},
		{"shutdown.timeout", "0s", "is out of range"},
		{"outbox.workers", "257", "is out of range"},
		{"audit.retention_days", "-1", "is out of range"},
		{"audit.clients", "all", "is not one of the words that it may be"},
		{"mail.smtp", " ", "is empty"},
		{"database_password", " ", "is empty"},
		{"database_connections", "5", "is out of range"},
		{"events.targets", "app.example.com", "holds an entry that does not begin with https://"},
		{"events.targets", "https://a.test,ftp://b.test", "holds an entry that does not begin with https://"},
		{"events.targets", "https://u:p@a.test", "holds an entry that must not have a user name or password in it"},
		{"events.targets", "https://a.test/#x", "holds an entry that has a fragment"},
		{"events.targets", "https://a.test/a b", "holds an entry that has a space or a control character"},
		{"events.targets", "http://a.test", "holds an entry that must be https: whoever is between could read it"},
		{"events.targets", "http://10.0.0.1", "holds an entry that must be https: whoever is between could read it"},
		{"events.targets", "http://localhost.", "holds an entry that has a host that is neither a name (in its xn-- form) nor an IP address"},
		{"events.targets", "http://2130706433/", "holds an entry that has a number for a host: write the address as 192.0.2.1"},
		{"events.targets", "http://0x7f.1/", "holds an entry that has a number for a host: write the address as 192.0.2.1"},
		{"events.targets", "https://a.0x7F/", "holds an entry that has a number for a host: write the address as 192.0.2.1"},
		{"events.targets", "https://127.1/", "holds an entry that has a number for a host: write the address as 192.0.2.1"},
		{"events.targets", "https://0177.0.0.01/", "holds an entry that has a number for a host: write the address as 192.0.2.1"},
		{"events.targets", "https://a.test/,HTTPS://A.test", "holds an entry twice"},
		{"events.targets", manyTargets(17), "holds too many entries"},
		{"events.types", "password.reset,password.changed", "holds an entry that is no type of event"},
		{"events.allow_private", "localhost", "holds an entry that is not a network"},
		{"events.secret_version", "0", "is out of range"},
		{"events.secrets", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "holds an entry that is not of the form URL=whsec_…"},
		{"events.secrets", "a.test=whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "holds an entry whose URL does not begin with https://"},
		{"events.secrets", "https://a.test=whsec_AAAA", "holds an entry whose secret is not 24 to 64 bytes in base64 after whsec_"},
		{"events.secrets", "https://a.test=whsec_canary", "holds an entry whose secret is not 24 to 64 bytes in base64 after whsec_"},
	}
	all := map[string]config.Setting{}
	for _, s := range config.Settings() {
		all[s.Path] = s
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		s := all[tt.setting]
		covered[tt.setting] = true
		want := []string{"environment " + s.Env() + ": " + s.Path + " " + tt.problem + "; write " + s.Allowed}
		if diff := cmp.Diff(want, faults(t, config.Source{Environ: []string{s.Env() + "=" + tt.value}})); diff != "" {
			t.Errorf("%s=%q: %s", tt.setting, tt.value, diff)
		}
	}
	for path := range all {
		if !covered[path] {
			t.Errorf("no fault of %s is tested", path)
		}
	}
}

func manyTargets(n int) string {
	targets := make([]string, n)
	for i := range targets {
		targets[i] = fmt.Sprintf("https://app%d.example.com/", i)
	}
	return strings.Join(targets, ",")
}

func TestValuesAtTheEdgeFit(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"BASE_URL=http://localhost:8080", "BASE_URL=http://127.9.9.9", "BASE_URL=http://[::1]:1", "BASE_URL=http://app.localhost/",
		"LISTEN=[::1]:0", "LISTEN=reset.example.com:443", "HASH_MEMORY=1048576", "HASH_TIME=2", "HASH_PARALLELISM=16",
		"REQUEST_TTL=1m", "REQUEST_TTL=24h", "PASSWORD_MIN_LENGTH=8", "PASSWORD_MAX_LENGTH=4096", "MAIL_CONNECTIONS=64",
		"OUTBOX_WORKERS=256", "API_REQUIRE_KEY=FALSE", "LOG_LEVEL=WARN", "DATABASE=sqlite:a b?.db", "API_CORS_ORIGINS=http://[::1]:3000",
		"EVENTS_TARGETS=" + manyTargets(16), "EVENTS_TARGETS=https://192.0.2.1:8443", "EVENTS_TARGETS=https://10.example.com", "EVENTS_TYPES=password.reset",
		"PASSWORD_MIN_STRENGTH=0", "PASSWORD_RANGE_URL=http://127.0.0.1:8081/range/", "PASSWORD_RANGE_TIMEOUT=30s",
	} {
		if got := faults(t, config.Source{Environ: []string{"SPAREKEY_" + entry}}); got != nil {
			t.Errorf("%s: %q", entry, got)
		}
	}
}

func TestFilesThatDoNotFit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, yaml string
		want       []string
	}{
		{"typo", "mail: {smpt: x}", []string{"file FILE: mail.smpt is no setting; the nearest is mail.smtp"}},
		{"typo of a section", "hahs: {time: 3}", []string{"file FILE: hahs is no setting; the nearest is hash"}},
		{"other spelling", "baseUrl: x", []string{"file FILE: baseUrl is no setting; the nearest is base_url"}},
		{"section left out", "ttl: 1h", []string{"file FILE: ttl is no setting; the nearest is request.ttl"}},
		{"key with a secret", "'smtp://u:canary@h': 1", []string{"file FILE: [hidden] is no setting; see docs/configuration.md for all there are"}},
		{"key with a line break", "\"line\\nbreak\": 1", []string{`file FILE: "line\nbreak" is no setting; see docs/configuration.md for all there are`}},
		{"long key", strings.Repeat("k", 100) + ": 1", []string{`file FILE: "` + strings.Repeat("k", 64) + `"… is no setting; see docs/configuration.md for all there are`}},
		{"value for a section", "mail: smtp://u:canary@h", []string{"file FILE: mail is a section and has no value of its own; write its settings below it, such as mail.smtp"}},
		{"section for a value", "mail: {smtp: {canary: 1}}", []string{"file FILE: mail.smtp is a section instead of text (perhaps it needs quotes); write smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…"}},
		{"number for text", "mail: {service_name: 2024}", []string{"file FILE: mail.service_name is a number instead of text (perhaps it needs quotes); write up to 100 characters in one line"}},
		{"number for a duration", "request: {ttl: 60}", []string{"file FILE: request.ttl is a number instead of a duration with its unit; write a duration with its unit from 1m to 24h, such as 90s, 30m or 1h30m"}},
		{"fraction", "hash: {time: 2.5}", []string{"file FILE: hash.time is a number with a fraction or exponent instead of a whole number; write a whole number from 2 to 100"}},
		{"list for a number", "hash: {time: [2]}", []string{"file FILE: hash.time is a list instead of a whole number; write a whole number from 2 to 100"}},
		{"number for a truth", "throttle: {enabled: 1}", []string{"file FILE: throttle.enabled is a number instead of true or false; write true or false"}},
		{"date", "hash: {time: 2026-01-01}", []string{"file FILE: hash.time is a date instead of a whole number; write a whole number from 2 to 100"}},
		{"truth for a list", "api: {cors_origins: true}", []string{"file FILE: api.cors_origins is true or false instead of a list; write origins such as https://app.example.com, without a path; not *"}},
		{"number in a list", "http: {trusted_proxies: [1]}", []string{"file FILE: http.trusted_proxies has an entry that is not text; write networks such as 10.0.0.0/8 or 2001:db8::/32, or single addresses"}},
		{"range", "hash: {memory: 1024}", []string{"file FILE: hash.memory is out of range; write a whole number of KiB from 19456 to 1048576"}},
		{"repeated key", "listen: ':1'\nmail:\n  smtp: canary\n  smtp: canary\n", []string{"file FILE: line 4 repeats a key of line 3; keep one of the two"}},
		{"nested and dotted", "hash.time: 3\nhash: {time: 3}\n", []string{"file FILE: hash.time is set twice, nested and with a dot; keep one of the two"}},
		{"a colour without quotes", "brand:\n  accent: #1d4f91\n", []string{"file FILE: brand.accent has no value, since # begins a comment; put the colour into quotes: '#1d4f91'"}},
		{"an accent that cannot be read", "brand: {accent: '#ffcc00'}", []string{"brand.accent cannot be used: in the light scheme the accent (#ffcc00) on the background (#f4f4f1) has a contrast of 1.37:1 and needs 4.50:1; choose a darker accent, such as #856a00"}},
		{"a background that is too dark", "brand: {background: '#333333'}", []string{"brand.background cannot be used: in the light scheme text (#1b1f23) on the background (#333333) has a contrast of 1.31:1 and needs 4.50:1; choose a lighter background, such as #d6d6d6"}},
		{"not a mapping", "canary", []string{"file FILE: the file is not a YAML mapping of settings (near line 1); check indentation, colons and quotes there"}},
		{"broken", "mail:\n  smtp: 'canary\n", []string{"file FILE: the file is not a YAML mapping of settings (near line 2); check indentation, colons and quotes there"}},
		{"unknown anchor", "mail: {smtp: *canary}", []string{"file FILE: the file is not valid YAML; check indentation, colons and quotes"}},
		{"two documents", "listen: ':1'\n---\nlisten: ':2'\n", []string{"file FILE: the file has a second document after ---; put all settings into the first"}},
		{
			"lengths that exclude each other", "password: {min_length: 80, max_length: 64}",
			[]string{"password.min_length is above password.max_length, so that no password would do; lower password.min_length or raise password.max_length"},
		},
		{
			"a target on this machine that nobody allowed", "events: {targets: ['http://localhost:9000'], allow_private: [10.0.0.0/8]}",
			[]string{"events.targets has an http target on this machine, and events.allow_private lists no loopback address; write events.allow_private: 127.0.0.1, or use https"},
		},
		{
			"a secret for nobody", "events: {targets: ['https://a.test'], secrets: ['https://b.test=whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']}",
			[]string{"events.secrets has a secret for a URL that events.targets does not list; write the URL as it is there, or take the entry out"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, faults(t, config.Source{File: write(t, tt.yaml)})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVariablesThatDoNotFit(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "canary")
	large := filepath.Join(t.TempDir(), "large")
	for path, contents := range map[string]string{secret: "\n", large: strings.Repeat("x", 64<<10+1)} {
		if err := os.WriteFile(path, []byte(contents), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const fileFix = "; write smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…"
	tests := []struct{ entry, want string }{
		{"SPAREKEY_BASE_ULR=x", "environment SPAREKEY_BASE_ULR is no setting; the nearest is SPAREKEY_BASE_URL"},
		{"SPAREKEY_SMTP=canary", "environment SPAREKEY_SMTP is no setting; the nearest is SPAREKEY_MAIL_SMTP"},
		{"SPAREKEY_URL=x", "environment SPAREKEY_URL is no setting; the nearest is SPAREKEY_BASE_URL"},
		{"SPAREKEY_TTL=1h", "environment SPAREKEY_TTL is no setting; the nearest is SPAREKEY_REQUEST_TTL"},
		{"SPAREKEY_CONFG=x", "environment SPAREKEY_CONFG is no setting; the nearest is SPAREKEY_CONFIG"},
		{"SPAREKEY_MAIL_SMPT_FILE=x", "environment SPAREKEY_MAIL_SMPT_FILE is no setting; the nearest is SPAREKEY_MAIL_SMTP_FILE"},
		{"SPAREKEY_BASE_URL_FILE=x", "environment SPAREKEY_BASE_URL_FILE is no setting: only secrets are read from files; set SPAREKEY_BASE_URL to the value itself"},
		{"SPAREKEY_PORT=8080", "environment SPAREKEY_PORT is no setting; see docs/configuration.md for all there are"},
		{"SPAREKEY_MAIL_SMTP_FILE=smtp://u:canary@h", "environment SPAREKEY_MAIL_SMTP_FILE: mail.smtp cannot be read from the file that is named (no such file or directory)" + fileFix},
		{"SPAREKEY_MAIL_SMTP_FILE=" + secret, "environment SPAREKEY_MAIL_SMTP_FILE: mail.smtp cannot be read from the file that is named (it is empty)" + fileFix},
		{"SPAREKEY_MAIL_SMTP_FILE=" + large, "environment SPAREKEY_MAIL_SMTP_FILE: mail.smtp cannot be read from the file that is named (it is larger than 64 KiB)" + fileFix},
		{"SPAREKEY_MAIL_SMTP_FILE=" + t.TempDir(), "environment SPAREKEY_MAIL_SMTP_FILE: mail.smtp cannot be read from the file that is named (is a directory)" + fileFix},
		{"SPAREKEY_CONFIG=/nowhere/x.yaml", "environment SPAREKEY_CONFIG: the configuration file /nowhere/x.yaml cannot be read (no such file or directory); check its path and who may read it"},
		{"SPAREKEY_CONFIG=smtp://u:canary@h", "environment SPAREKEY_CONFIG: the configuration file [hidden] cannot be read (no such file or directory); check its path and who may read it"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff([]string{tt.want}, faults(t, config.Source{Environ: []string{tt.entry}})); diff != "" {
			t.Errorf("%s: %s", tt.entry, diff)
		}
	}
	both := []string{"SPAREKEY_MAIL_SMTP=canary", "SPAREKEY_MAIL_SMTP_FILE=canary"}
	want := []string{"environment SPAREKEY_MAIL_SMTP_FILE is set as well as SPAREKEY_MAIL_SMTP; unset one of the two"}
	if diff := cmp.Diff(want, faults(t, config.Source{Environ: both})); diff != "" {
		t.Error(diff)
	}
}

// Kubernetes sets these in every pod once there is a service named sparekey.
func TestVariablesOfServiceLinksAreNoTypos(t *testing.T) {
	t.Parallel()
	environ := []string{
		"SPAREKEY_SERVICE_HOST=10.0.0.1", "SPAREKEY_SERVICE_PORT=80", "SPAREKEY_SERVICE_PORT_HTTP=80", "SPAREKEY_PORT=tcp://10.0.0.1:80",
		"SPAREKEY_PORT_80_TCP=tcp://10.0.0.1:80", "SPAREKEY_PORT_80_TCP_PROTO=tcp", "SPAREKEY_PORT_80_TCP_PORT=80", "SPAREKEY_PORT_80_TCP_ADDR=10.0.0.1",
		"SPAREKEY_MAIL_SERVICE_HOST=10.0.0.2", "SPAREKEY_UNKNOWN=", "SPAREKEYS=x", "no equals sign", "",
	}
	if got := faults(t, config.Source{Environ: environ}); got != nil {
		t.Errorf("faults: %q", got)
	}
}

func TestAllFaultsComeAtOnce(t *testing.T) {
	t.Parallel()
	got := faults(t, config.Source{
		Flags:    flags(t, "--listen=x", "--log-level=loud"),
		Environ:  []string{"SPAREKEY_HASH_TIME=1", "SPAREKEY_B=1", "SPAREKEY_A=1"},
		File:     write(t, "hash: {memory: 1, tim: 3}\nlisten: 7\npassword: {min_length: 70, max_length: 64}\n"),
		Defaults: map[string]string{"log.fromat": "text"},
	})
	var where []string
	for _, line := range got {
		if !strings.Contains(line, "; ") {
			t.Errorf("does not say what to do: %s", line)
		}
		where = append(where, strings.Join(strings.Fields(line)[:3], " "))
	}
	want := []string{
		"environment SPAREKEY_A is", "environment SPAREKEY_B is", "file FILE: hash.tim", "default: log.fromat is",
		"flag --listen: listen", "file FILE: hash.memory", "environment SPAREKEY_HASH_TIME: hash.time",
		"flag --log-level: log.level", "password.min_length is above",
	}
	if diff := cmp.Diff(want, where); diff != "" {
		t.Error(diff)
	}
}

// A fault that a higher layer covers hurts nobody.
func TestOnlyTheValueInForceIsChecked(t *testing.T) {
	t.Parallel()
	src := config.Source{Environ: []string{"SPAREKEY_HASH_TIME=3"}, File: write(t, "hash: {time: [often]}")}
	if got := load(t, src).Hash.Time; got != 3 {
		t.Errorf("time %d", got)
	}
}

func TestFaultsNeverTellASecret(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	path := filepath.Join(t.TempDir(), "c.yaml")
	templates := []string{
		"mail: {smtp: [X]}", "mail: {smtp: {X: 1}}", "mail: X", "mail: {smtp: *X}", "mail: {smtp: !!int X}", "X", "'u:X@h': 1",
		"mail: {smtp: 'X", "base_url: 'https://u:X@h'", "database: 'postgres://u:X@h'", "api: {cors_origins: ['https://u:X@h']}", "mail: {from: X}",
		"listen: X", "hash: {time: X}", "request: {ttl: X}", "log: {level: X, format: X}", "http: {trusted_proxies: X}", "%X: 1", "a: &X\n  b: *Y", "? [X]\n: 1", "!X a",
	}
	rapid.Check(t, func(rt *rapid.T) {
		yaml := strings.ReplaceAll(rapid.SampledFrom(templates).Draw(rt, "file"), "X", canary)
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			rt.Fatal(err)
		}
		s := rapid.SampledFrom(config.Settings()).Draw(rt, "setting")
		variable := s.Env() + rapid.SampledFrom([]string{"", "_FILE", "X"}).Draw(rt, "suffix")
		src := config.Source{File: path, Environ: []string{variable + "=" + rapid.SampledFrom([]string{"", "x://u:", "\n"}).Draw(rt, "before") + canary + "@h"}}
		if _, err := config.Load(src); err != nil && strings.Contains(err.Error(), canary) {
			rt.Fatalf("%s", err)
		}
	})
}

func TestRequireNamesAllThatIsMissing(t *testing.T) {
	t.Parallel()
	cfg := load(t, config.Source{Environ: []string{"SPAREKEY_BASE_URL=https://reset.example.com"}})
	err := config.Require(cfg, config.Needed("serve")...)
	want := "mail.smtp is not set (the mail server, with user and password if it wants them); set SPAREKEY_MAIL_SMTP='smtp://mail.example.com:587', or SPAREKEY_MAIL_SMTP_FILE to a file that holds it, or mail.smtp in sparekey.yaml\n" +
		"mail.from is not set (the sender of all mails); set SPAREKEY_MAIL_FROM='Example <noreply@example.com>', or --mail-from, or mail.from in sparekey.yaml"
	if err == nil || err.Error() != want {
		t.Errorf("Require = %v", err)
	}
	if err := config.Require(cfg, "base_url", "listen"); err != nil {
		t.Errorf("Require of what is set = %v", err)
	}
	if err := config.Require(cfg, "nonsense"); err == nil {
		t.Error("Require of no setting succeeds")
	}
	if got := config.Needed("version"); got != nil {
		t.Errorf("version needs %v", got)
	}
}

func TestFlagsOfSomeSettings(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(fs, "database", "mail")
	config.AddFlags(pflag.NewFlagSet("again", pflag.ContinueOnError))
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if diff := cmp.Diff([]string{"config", "database", "mail-connections", "mail-dkim-domains", "mail-dkim-selector", "mail-from", "mail-service-name", "mail-tell-unknown", "mail-templates"}, names); diff != "" {
		t.Error(diff)
	}
	defer func() {
		if recover() == nil {
			t.Error("a name that is no setting was taken")
		}
	}()
	config.AddFlags(pflag.NewFlagSet("test", pflag.ContinueOnError), "databse")
}

func TestHelpOfFlagsTellsKindAndDefault(t *testing.T) {
	t.Parallel()
	help := flags(t).FlagUsages()
	for _, want := range []string{
		"--config FILE", "--hash-memory number", "(default 19456)", "--request-ttl duration", "(default 1h)",
		"--api-cors-origins list", "--hash-concurrency number", "(default the number of cores)", "--api-require-key ",
	} {
		if !strings.Contains(help, want) {
			t.Errorf("%q is not in\n%s", want, help)
		}
	}
	cfg := load(t, config.Source{Flags: flags(t, "--api-require-key=false", "--throttle-enabled")})
	if cfg.API.RequireKey || !cfg.Throttle.Enabled {
		t.Errorf("truths given as flags: %v, %v", cfg.API.RequireKey, cfg.Throttle.Enabled)
	}
}
