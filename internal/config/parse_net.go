package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// A host name of letters, digits, dots and dashes; other scripts are written in their xn-- form.
var hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

func parseListen(s string) (string, error) {
	s = strings.TrimSpace(s)
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", errors.New("is not of the form HOST:PORT")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", errors.New("has no port from 0 to 65535")
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !hostName.MatchString(strings.ToLower(host)) {
		return "", errors.New("has a host that is neither an IP address nor a name")
	}
	return s, nil
}

// parseBaseURL takes the URL that links begin with; an empty one is not set.
func parseBaseURL(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	return parseService(s, "whoever reads the link on its way could use it")
}

// parseRangeURL takes the URL that five digits are added to; an empty one is not set.
func parseRangeURL(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	return parseService(s, "whoever is on the way could change the answer")
}

// parseService takes the URL of a place with or without a path. It is https
// except on this machine, or else there is a reason not to.
func parseService(s, reason string) (string, error) {
	u, err := parseOriginOf(s)
	if err != nil {
		return "", err
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if part == "." || part == ".." || part == "" && path != "" {
			return "", errors.New("has a path with empty, . or .. parts")
		}
	}
	switch {
	case u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("must not have a query")
	case strings.Contains(s, "#"):
		return "", errors.New("must not have a fragment")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", errors.New("must be https: " + reason)
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// parseOriginOf takes an http or https URL, and checks what comes before its path.
// Its scheme and host come back in lower case.
func parseOriginOf(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("is not a URL") // the cause would repeat the value
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("does not begin with https://")
	case u.Opaque != "" || u.Host == "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("must not have a user name or password in it")
	}
	u.Host = strings.ToLower(u.Host)
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	if err == nil && addr.Zone() != "" || err != nil && !hostName.MatchString(host) {
		return nil, errors.New("has a host that is neither a name (in its xn-- form) nor an IP address")
	}
	if strings.HasSuffix(u.Host, ":") {
		return nil, errors.New("has a colon without a port")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port that is not from 1 to 65535")
		}
	}
	return u, nil
}

// isLoopback knows the hosts that never leave this machine: 127.0.0.0/8, ::1,
// and localhost with the names below it (RFC 6761, 6.3).
func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// parseOrigin returns an origin as browsers send it (RFC 6454, 6.2): lower
// case, without a port that is the scheme's own.
func parseOrigin(s string) (string, error) {
	switch s {
	case "*":
		return "", errors.New("must not be *: every site on the web could then use a visitor's browser to call the API")
	case "null":
		return "", errors.New("must not be null: any sandboxed page has that origin")
	}
	u, err := parseOriginOf(s)
	if err != nil {
		return "", errors.New("holds an entry that " + err.Error())
	}
	if u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") {
		return "", errors.New("holds an entry with something after the host")
	}
	ownPort := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(u.Host, ownPort), nil
}

// parseNetwork takes a network, or an address as the network of it alone.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, errors.New("holds an entry that is not a network")
	case p.Addr().Is4In6():
		return netip.Prefix{}, errors.New("holds an IPv4 network in IPv6 spelling, which would match nothing")
	}
	return p.Masked(), nil
}
