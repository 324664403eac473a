package hookdir_test

import (
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sparekey/sparekey/internal/callout"
	"github.com/sparekey/sparekey/internal/daemontest"
	"github.com/sparekey/sparekey/internal/directory/hookdir"
)

// TestConfigurationsThatDoNotFit are refused, naming the setting and nothing secret.
func TestConfigurationsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*hookdir.Config)
		setting string
	}{
		"no URL":                  {func(c *hookdir.Config) { c.URL = "" }, "url"},
		"no host":                 {func(c *hookdir.Config) { c.URL = "https:///canary" }, "url"},
		"a path":                  {func(c *hookdir.Config) { c.URL = "/canary" }, "url"},
		"no URL at all":           {func(c *hookdir.Config) { c.URL = "https://canary:%zz" }, "url"},
		"a password in it":        {func(c *hookdir.Config) { c.URL = "https://ada:canary@app.example.com" }, "url"},
		"a query":                 {func(c *hookdir.Config) { c.URL = "https://app.example.com/?t=canary" }, "url"},
		"an empty query":          {func(c *hookdir.Config) { c.URL = "https://app.example.com/?" }, "url"},
		"a fragment":              {func(c *hookdir.Config) { c.URL = "https://app.example.com/#canary" }, "url"},
		"http":                    {func(c *hookdir.Config) { c.URL = "http://app.example.com/" }, "url"},
		"http to a private host":  {func(c *hookdir.Config) { c.URL = "http://10.1.2.3/" }, "url"},
		"http to a like host":     {func(c *hookdir.Config) { c.URL = "http://localhost.example.com/" }, "url"},
		"another scheme":          {func(c *hookdir.Config) { c.URL = "ftp://app.example.com/" }, "url"},
		"no secret":               {func(c *hookdir.Config) { c.Keys = nil }, "secrets"},
		"a short secret":          {func(c *hookdir.Config) { c.Keys = [][]byte{key, []byte("canary")} }, "secrets"},
		"too many secrets":        {func(c *hookdir.Config) { c.Keys = [][]byte{key, key, key, key, key} }, "secrets"},
		"too short a time":        {func(c *hookdir.Config) { c.Timeout = time.Millisecond }, "timeout"},
		"too long a time":         {func(c *hookdir.Config) { c.Timeout = time.Hour }, "timeout"},
		"less than no connection": {func(c *hookdir.Config) { c.Connections = -1 }, "connections"},
		"too many connections":    {func(c *hookdir.Config) { c.Connections = 257 }, "connections"},
	} {
		config := hookdir.Config{URL: "https://app.example.com/sparekey", Keys: [][]byte{key}, Now: time.Now}
		c.change(&config)
		_, err := hookdir.New(config)
		names(t, name, err, c.setting)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error has what could be a secret: %v", name, err)
		}
	}
	if _, err := hookdir.New(hookdir.Config{URL: "https://app.example.com", Keys: [][]byte{key}}); err == nil {
		t.Error("there is a directory without a clock")
	}
	for _, fine := range []string{"https://app.example.com", "https://app.example.com:8443/a/b/", "http://localhost:1", "http://127.0.0.2/x", "http://[::1]:80", "https://10.1.2.3"} {
		_, err := hookdir.New(hookdir.Config{URL: fine, Keys: [][]byte{key}, Now: time.Now})
		must(t, err)
	}
}

// TestParseSecrets: secrets stand in lines or between commas, and no error repeats one.
func TestParseSecrets(t *testing.T) {
	t.Parallel()
	one, two := callout.FormatSecret(key), callout.FormatSecret([]byte(strings.Repeat("n", 64)))
	for name, c := range map[string]struct {
		text string
		want int // how many; 0: none are taken
	}{
		"one":             {one, 1},
		"with a line end": {one + "\n", 1},
		"two, commented":  {"# the newest\n" + two + "\r\n\n " + one + " \n", 2},
		"nothing":         {"", 0},
		"a comment alone": {"#" + one, 0},
		"no secret":       {"canary", 0},
		"one that is bad": {one + "\nwhsec_canary\n", 0},
		"two in a line":   {two + ", " + one, 2},
	} {
		keys, err := hookdir.ParseSecrets(c.text)
		if c.want == 0 {
			names(t, name, err, "secrets")
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), one)) {
				t.Errorf("%s: the error repeats it: %v", name, err)
			}
			continue
		}
		must(t, err)
		if len(keys) != c.want || string(keys[len(keys)-1]) != string(key) {
			t.Errorf("%s: %q", name, keys)
		}
	}
}

// paths is an application that notes what was called, and knows one of the keys.
func paths(t *testing.T, verify []byte) (s *httptest.Server, called func() []string) {
	t.Helper()
	hook, err := standardwebhooks.NewWebhookRaw(verify)
	must(t, err)
	var seen daemontest.Journal
	return httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body strings.Builder
		_, _ = copyAll(&body, r)
		_, _ = seen.Write([]byte(r.URL.EscapedPath() + "\n"))
		if hook.Verify([]byte(body.String()), r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answering(http.StatusOK, map[bool]string{true: `{"idempotent":true}`, false: `{"users":[]}`}[strings.HasSuffix(r.URL.Path, "health")])(w, r)
	})), func() []string { return strings.Fields(seen.String()) }
}

// TestSecretsCanBeChanged: while there are two, whoever knows either is called.
func TestSecretsCanBeChanged(t *testing.T) {
	t.Parallel()
	older, newer, other := []byte(strings.Repeat("o", 24)), []byte(strings.Repeat("n", 64)), []byte(strings.Repeat("x", 32))
	for _, c := range []struct {
		knows []byte
		signs [][]byte
		fine  bool
	}{{older, [][]byte{newer, older}, true}, {newer, [][]byte{newer, older}, true}, {other, [][]byte{newer, older}, false}, {older, [][]byte{newer}, false}} {
		s, called := paths(t, c.knows)
		s.Start()
		t.Cleanup(s.Close)
		err := open(t, hookdir.Config{URL: s.URL + "/a%2Fb//", Keys: c.signs}).Check(t.Context(), func(string) {})
		if !c.fine {
			names(t, "a secret that nobody knows", err, "secrets")
			continue
		}
		must(t, err)
		if seen := called(); len(seen) < 4 || seen[0] != "/a%2Fb/health" {
			t.Errorf("called was %q", seen)
		}
	}
}

// TestWhereConnectionsMayGo: a name leads to private networks only if they are
// listed, http to this machine alone, and TLS to whoever has the name.
func TestWhereConnectionsMayGo(t *testing.T) {
	t.Parallel()
	s, _ := paths(t, key)
	s.StartTLS()
	t.Cleanup(s.Close)
	port := s.Listener.Addr().(*net.TCPAddr).Port
	ca := x509.NewCertPool()
	ca.AddCert(s.Certificate())
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for name, c := range map[string]struct {
		host    string // of the URL; the certificate is for 127.0.0.1 and example.com
		allow   []netip.Prefix
		ca      *x509.CertPool
		setting string // empty: it works
	}{
		"an address that the URL has": {"127.0.0.1", nil, ca, ""},
		"a name, not listed":          {"localhost", nil, ca, "allow_private"},
		"another network is listed":   {"localhost", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ca, "allow_private"},
		"a name, listed":              {"localhost", loopback, ca, "ca_file"}, // which the certificate is not for
		"by nobody":                   {"127.0.0.1", nil, nil, "ca_file"},
	} {
		d := open(t, hookdir.Config{URL: "https://" + net.JoinHostPort(c.host, itoa(port)), AllowPrivate: c.allow, CA: c.ca})
		var steps []string
		err := d.Check(t.Context(), func(line string) { steps = append(steps, line) })
		if c.setting == "" {
			must(t, err)
			if all := strings.Join(steps, "\n"); !strings.Contains(all, "TLS 1.3") || !strings.Contains(all, "the certificate is good until") {
				t.Errorf("%s: %s", name, all)
			}
			continue
		}
		names(t, name, err, c.setting)
		later(t, name, err)
		err = set(t.Context(), d, "17", newPassword)
		certainly(t, name, err)
		names(t, name, err, c.setting)
	}
	for _, host := range []string{"nobody.invalid", "nobody.example.invalid"} {
		err := set(t.Context(), open(t, hookdir.Config{URL: "https://" + host, Resolver: deaf()}), "17", newPassword)
		certainly(t, host, err)
	}
}
