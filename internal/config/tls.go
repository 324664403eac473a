package config

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// letsEncrypt is the directory of the authority that most use.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// tlsFaults finds settings of TLS that contradict each other. One that is
// without effect is a fault too: whoever set it believes that it works.
func tlsFaults(c *Config) []Fault {
	t := c.TLS
	var faults []Fault
	fault := func(broken bool, path, problem, fix string) {
		if broken {
			faults = append(faults, Fault{Path: path, Problem: problem, Fix: fix})
		}
	}
	autocert := len(t.Autocert) > 0
	fault(t.Certificate != "" && t.Key == "", "tls.certificate", "is set without tls.key", "set tls.key to the file with its key")
	fault(t.Key != "" && t.Certificate == "", "tls.key", "is set without tls.certificate", "set tls.certificate to the file with its certificate")
	fault(t.Certificate != "" && autocert, "tls.autocert", "is set as well as tls.certificate", "unset one of the two")
	fault(autocert && t.Cache == "", "tls.cache", "is not set, so that certificates would be fetched anew at every start",
		"set tls.cache to a folder of Sparekey's own, such as /var/lib/sparekey/acme")
	fault(autocert && !t.ACMETerms, "tls.acme_terms", "is false, so that no certificate is issued",
		"read the authority's terms (those of Let's Encrypt are at https://letsencrypt.org/repository/) and set tls.acme_terms to true")
	for _, s := range []struct {
		path string
		set  bool
	}{{"tls.cache", t.Cache != ""}, {"tls.acme_email", t.ACMEEmail != ""}, {"tls.acme_terms", t.ACMETerms}} {
		fault(!autocert && s.set, s.path, "has no effect without tls.autocert", "set tls.autocert to the host of base_url, or unset "+s.path)
	}
	fault(t.RedirectListen != "" && !t.On(), "tls.redirect_listen", "would send browsers to a listener that speaks no TLS",
		"set tls.certificate and tls.key, or tls.autocert; or let the proxy that speaks TLS redirect")
	same := t.RedirectListen != "" && t.RedirectListen == c.Listen && !strings.HasSuffix(c.Listen, ":0") // port 0 is any that is free
	fault(same, "tls.redirect_listen", "is the same as listen", "choose another port, such as :80")
	return append(faults, baseURLFaults(c)...)
}

// baseURLFaults holds base_url against what the listener speaks.
func baseURLFaults(c *Config) []Fault {
	base, err := url.Parse(c.BaseURL)
	switch {
	case err != nil || c.BaseURL == "" || !c.TLS.On():
		return nil
	case base.Scheme != "https":
		return []Fault{{
			Path: "base_url", Problem: "is http, while the listener speaks TLS", Fix: "write it with https://, or unset tls.certificate, tls.key and tls.autocert",
		}}
	case len(c.TLS.Autocert) > 0 && !slices.Contains(c.TLS.Autocert, base.Hostname()):
		return []Fault{{
			Path: "tls.autocert", Problem: "lacks the host of base_url, where all links lead", Fix: "add that host, or change base_url",
		}}
	}
	return nil
}

// parsePath takes the path of a file or folder; an empty one is not set.
func parsePath(s string) (string, error) {
	switch {
	case strings.Contains(s, "-----BEGIN "):
		return "", errors.New("is not the path of a file, but what should be in it")
	case hasControl(s):
		return "", errors.New("has a control character")
	}
	return s, nil
}

func parseOptionalListen(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", nil
	}
	return parseListen(s)
}

// parseACMEHost takes a host that public authorities name in certificates and
// TLS-ALPN-01 can prove (RFC 8738 for addresses and DNS-01 for wildcards are other ways).
func parseACMEHost(s string) (string, error) {
	s = strings.ToLower(s)
	_, err := netip.ParseAddr(s)
	switch {
	case strings.HasPrefix(s, "*."):
		return "", errors.New("holds a wildcard, which cannot be proved over TLS")
	case err == nil:
		return "", errors.New("holds an IP address; only names are proved over TLS")
	case !hostName.MatchString(s) || !strings.Contains(s, ".") || strings.Contains(s, ".."):
		return "", errors.New("holds an entry that is not the full name of a host (in its xn-- form)")
	}
	return s, nil
}

// parseDirectory takes the URL of an ACME directory, which RFC 8555 (6.1) wants to be https.
func parseDirectory(s string) (string, error) {
	s = strings.TrimSpace(s)
	u, err := parseOriginOf(s)
	switch {
	case err != nil:
		return "", err
	case u.Scheme != "https":
		return "", errors.New("must be https")
	case strings.Contains(s, "#"):
		return "", errors.New("must not have a fragment")
	}
	return s, nil
}

// parsePlainAddress takes a mail address without a name; an empty one is not set.
func parsePlainAddress(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	if _, err := reset.ParseAddress(s); err != nil {
		return "", errors.New("is " + reset.AsError(err).Message)
	}
	return s, nil
}
