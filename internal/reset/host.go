package reset

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// hostOrAddress takes a host name or an IP address.
func hostOrAddress(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return a.String(), nil
	}
	return ParseHost(s)
}

// isLoopback knows the hosts that never leave this machine: 127.0.0.0/8, ::1,
// and localhost with the names below it (RFC 6761, 6.3).
func isLoopback(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback()
	}
	host = lowerASCII(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostProfile turns a host name as people write it into what browsers send:
// lower case, and ASCII (UTS 46, as browsers do).
var hostProfile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// ParseHost takes a host name, without a port, in any script.
func ParseHost(s string) (string, error) {
	bad := func(why string) (string, error) {
		return "", Invalidf("%s; write a host name such as reset.example.com", why)
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return bad("it is an IP address")
	}
	if strings.ContainsAny(s, ":/@*") {
		return bad("it has more than a name: neither a scheme nor a port, path or wildcard is wanted")
	}
	host, err := hostProfile.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil || !isHost(host) {
		return bad("it is not the name of a host")
	}
	return host, nil
}

// isHost reports whether a name of ASCII is one of a host; its last label cannot be a number, as in an IP address.
func isHost(s string) bool {
	if s == "" || len(s) > 253 || strings.HasSuffix(s, ".") {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(lowerASCII(label), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return !isNumber(s[strings.LastIndexByte(s, '.')+1:])
}

// RequestHost is the host in a request's Host header as ParseHost has it, or an
// IP address, or empty if there is none. Only what is found by it among the
// configured hosts may be used; itself it goes nowhere.
func RequestHost(header string) string {
	host := header
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if !isNumber(host[i+1:]) {
			return ""
		}
		host = host[:i]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !a.Is6() || a.Zone() != "" {
			return ""
		}
		return a.String()
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return a.String()
	}
	host = lowerASCII(strings.TrimSuffix(host, "."))
	if !isHost(host) {
		return ""
	}
	return host
}

// linkHosts is the host name of a link base, if it has one of the account's own.
func linkHosts(linkBase string, base Brand) []string {
	host := hostOf(linkBase)
	if !isHost(host) || slices.Contains(base.Hosts, host) {
		return nil
	}
	return []string{host}
}

func parseHosts(hosts []string, base Brand) ([]string, error) {
	if len(hosts) > MaxBrandHosts {
		return nil, Invalidf("there are %d host names; up to %d are taken", len(hosts), MaxBrandHosts)
	}
	out := make([]string, 0, len(hosts))
	for _, s := range hosts {
		host, err := ParseHost(strings.TrimSpace(s))
		if err != nil {
			return nil, Invalidf("a host name: %s", AsError(err).Message)
		}
		if slices.Contains(base.Hosts, host) {
			return nil, Invalidf("the host name %s is the default brand's", host)
		}
		if !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// hostOf is the host name in a URL of ours, or empty.
func hostOf(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
