package config

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/sparekey/sparekey/internal/reset"
)

// maxTargets is how many targets there may be: each has workers of its own.
const maxTargets = 16

func eventSettings() []Setting {
	types := make([]string, len(reset.EventTypes))
	for i, t := range reset.EventTypes {
		types[i] = string(t)
	}
	return []Setting{
		bind(Setting{
			Path: "events.targets", Kind: List,
			Allowed: "up to 16 URLs such as https://app.example.com/hooks/sparekey; http only for a loopback host that events.allow_private lists",
			About:   "which applications are told of events",
		}, func(c *Config) *[]string { return &c.Events.Targets }, parseTargets, formatList(func(s string) string { return s })),
		list(Setting{
			Path: "events.types", Default: strings.Join(types, ","),
			Allowed: "some of " + strings.Join(types, ", "),
			About:   "what they are told of",
		}, func(c *Config) *[]reset.EventType { return &c.Events.Types }, parseEventType, func(t reset.EventType) string { return string(t) }),
		list(Setting{
			Path:    "events.allow_private",
			Allowed: "networks such as 10.0.0.0/8 or fd00::/8, or single addresses",
			About:   "private, loopback and other special networks that targets may be in; all are refused unless listed",
		}, func(c *Config) *[]netip.Prefix { return &c.Events.AllowPrivate }, parseNetwork, netip.Prefix.String),
		number(Setting{
			Path: "events.secret_version", Default: "1",
			About: "add one to change the targets' signing secrets; those of this version and of the one before sign",
		}, "", 1, 1_000_000, func(c *Config) *int { return &c.Events.SecretVersion }),
		bind(Setting{
			Path: "events.secrets", Kind: List, Secret: true, Example: "https://app.example.com/hooks/sparekey=whsec_…",
			Allowed: "URL=whsec_… with a target's URL and 24 to 64 bytes in base64; several between commas or line breaks, also for one URL",
			About:   "secrets of your own that sign besides the derived ones",
		}, func(c *Config) *[]EventSecret { return &c.Events.Secrets }, parseEventSecrets, formatList(EventSecret.String)),
	}
}

// parseTargets takes URLs between commas.
func parseTargets(s string) ([]string, error) {
	targets, err := parseList(parseTarget)(s)
	if err != nil {
		return nil, errors.New("holds an entry that " + err.Error())
	}
	for i, t := range targets {
		if slices.Contains(targets[:i], t) {
			return nil, errors.New("holds an entry twice")
		}
	}
	if len(targets) > maxTargets {
		return nil, errors.New("holds too many entries")
	}
	return targets, nil
}

// parseTarget takes the URL of a target. Scheme and host come back in lower case, so that one target has one spelling.
func parseTarget(s string) (string, error) {
	u, err := parseOriginOf(s)
	if err != nil {
		return "", err
	}
	switch {
	case strings.Contains(s, "#"):
		return "", errors.New("has a fragment")
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return "", errors.New("has a space or a control character")
	case looksNumeric(u.Hostname()):
		return "", errors.New("has a number for a host: write the address as 192.0.2.1")
	case u.Scheme == "http" && !isLoopback(strings.TrimSuffix(u.Hostname(), ".")):
		return "", errors.New("must be https: whoever is between could read it")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), nil
}

// looksNumeric tells hosts that some would read as an address and others as a
// name, such as 2130706433, 127.1 and 0x7f.1 (WHATWG URL, "ends in a number").
func looksNumeric(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	digits, hex := strings.CutPrefix(last, "0x")
	return strings.Trim(last, "0123456789") == "" || hex && strings.Trim(digits, "0123456789abcdef") == ""
}

func parseEventType(s string) (reset.EventType, error) {
	if !slices.Contains(reset.EventTypes, reset.EventType(s)) {
		return "", errors.New("holds an entry that is no type of event")
	}
	return reset.EventType(s), nil
}

// parseEventSecrets takes URL=whsec_… between commas or white space. Base64 has
// no whsec_ in it, so that the last one ends the URL, whatever is in that.
func parseEventSecrets(s string) ([]EventSecret, error) {
	var list []EventSecret
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
		at := strings.LastIndex(part, "=whsec_")
		if at < 0 {
			return nil, errors.New("holds an entry that is not of the form URL=whsec_…")
		}
		target, err := parseTarget(part[:at])
		if err != nil {
			return nil, errors.New("holds an entry whose URL " + err.Error())
		}
		text := part[at+1:]
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		if err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("holds an entry whose secret is not 24 to 64 bytes in base64 after whsec_")
		}
		list = append(list, EventSecret{Target: target, Secret: Secret(text)})
	}
	return list, nil
}

// eventFaults checks what concerns two settings of events.
func eventFaults(c *Config) []Fault {
	var faults []Fault
	for _, target := range c.Events.Targets {
		if u, err := url.Parse(target); err == nil && u.Scheme == "http" && !slices.ContainsFunc(c.Events.AllowPrivate, includesLoopback) {
			faults = append(faults, Fault{
				Path: "events.targets", Problem: "has an http target on this machine, and events.allow_private lists no loopback address",
				Fix: "write events.allow_private: 127.0.0.1, or use https",
			})
			break
		}
	}
	for _, own := range c.Events.Secrets {
		if !slices.Contains(c.Events.Targets, own.Target) {
			faults = append(faults, Fault{
				Path: "events.secrets", Problem: "has a secret for a URL that events.targets does not list",
				Fix: "write the URL as it is there, or take the entry out",
			})
			break
		}
	}
	return faults
}

func includesLoopback(p netip.Prefix) bool {
	return p.Addr().IsLoopback() || p.Overlaps(netip.MustParsePrefix("127.0.0.0/8")) || p.Contains(netip.IPv6Loopback())
}
