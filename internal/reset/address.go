package reset

import (
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// The longest parts of an address (RFC 5321 4.5.3.1, RFC 3696 erratum 1690), in bytes.
const (
	maxAddress   = 254
	maxLocalPart = 64
)

// Address is one mailbox. Two addresses are the same mailbox when their Keys
// are equal; nothing "similar" ever is (CVE-2019-19844).
type Address struct {
	raw string // as it was written
	key string
	at  int // where the domain begins in key
}

// domainProfile checks a domain and turns it into its ASCII form without
// mapping anything: a full-width or Kelvin-sign look-alike is refused instead
// of being folded onto another domain.
var domainProfile = idna.New(
	idna.ValidateForRegistration(),
	idna.StrictDomainName(true),
	idna.VerifyDNSLength(true),
	idna.BidiRule(),
)

// ParseAddress takes one plain address, local@domain.tld, and nothing around
// it: no display name, comment, quoted local part, IP literal, route, second
// address, space or control character. The message says what was wrong with
// it, never what it was.
func ParseAddress(s string) (Address, error) {
	bad := func(why string) (Address, error) {
		return Address{}, Invalidf("not a mail address: %s", why)
	}
	switch {
	case s == "":
		return bad("it is empty")
	case len(s) > maxAddress:
		return bad("it is longer than 254 bytes")
	case !utf8.ValidString(s):
		return bad("it is not valid UTF-8")
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }):
		return bad("it has a space or a control character")
	case strings.Count(s, "@") != 1:
		return bad("it needs exactly one @")
	}
	// net/mail checks the dot-atom; comparing its result with the input shuts
	// out whatever else it would take (RFC 5322 3.4.1).
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Name != "" || parsed.Address != s {
		return bad("it is not of the form name@example.com")
	}
	local, domain, _ := strings.Cut(s, "@")
	if len(local) > maxLocalPart {
		return bad("the part before the @ is longer than 64 bytes")
	}
	domain = lowerASCII(domain)
	ascii, err := domainProfile.ToASCII(domain)
	if err != nil || hasFalseALabel(domain) || !strings.Contains(ascii, ".") || strings.HasSuffix(ascii, ".") {
		return bad("the part after the @ is not a domain name")
	}
	if isNumber(ascii[strings.LastIndexByte(ascii, '.')+1:]) {
		return bad("the part after the @ is an IP address")
	}
	if len(local)+1+len(ascii) > maxAddress {
		return bad("it is longer than 254 bytes, its domain in ASCII")
	}
	return Address{raw: s, key: lowerASCII(local) + "@" + ascii, at: len(local) + 1}, nil
}

// Key is what the address is matched by: the local part with A-Z lower-cased,
// the domain in its ASCII form (IDNA 2008). Nothing else is folded.
func (a Address) Key() string { return a.key }

// Raw is the address as it was written.
func (a Address) Raw() string { return a.raw }

// Matches reports whether s, as somebody typed it, is the same mailbox.
func (a Address) Matches(s string) bool {
	b, err := ParseAddress(s)
	return err == nil && a.key == b.key
}

// Mailbox is the address to hand to a mail server: the local part as written,
// the domain in ASCII.
func (a Address) Mailbox() string { return a.raw[:a.at] + a.key[a.at:] }

// String hides all but the domain, so that no log line tells who it was.
func (a Address) String() string {
	if a.key == "" {
		return ""
	}
	return "[redacted]@" + a.key[a.at:]
}

// Format hides all but the domain, whatever the verb: without it %#v and %d would show the fields.
func (a Address) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue hides all but the domain.
func (a Address) LogValue() slog.Value { return slog.StringValue(a.String()) }

// lowerASCII lower-cases A-Z alone. strings.ToLower would fold the Kelvin sign onto k.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// hasFalseALabel reports whether a label has the prefix of an A-label and
// characters that none can have (RFC 5890, 2.3.2.1). ToASCII would take
// "xn--ä-" for "ä": another domain's name.
func hasFalseALabel(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if strings.HasPrefix(label, "xn--") && strings.ContainsFunc(label, func(r rune) bool { return r > unicode.MaxASCII }) {
			return true
		}
	}
	return false
}

func isNumber(s string) bool {
	return strings.TrimLeft(s, "0123456789") == ""
}
