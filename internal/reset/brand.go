package reset

import (
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Brand is how pages and mails look, and whom they are from: all that is to
// know of it, whatever of it an account has set and whatever is the default
// brand's. It holds nothing that a caller has sent.
type Brand struct {
	// Account is whose brand it is; 0: the default brand.
	Account int64
	// Name is the organisation's, for people, in one line.
	Name string
	// Logo may be none. Mails get it with its Data, pages do not need that.
	Logo Logo
	// Accent and Background are the two colours, empty where Sparekey's own
	// serve. Light and Dark make of them what to colour with.
	Accent, Background Color
	// Sender is where mails are from. SenderName stands before it; it is Name unless something else was set.
	Sender     Address
	SenderName string
	// ReplyTo is where answers go; the zero Address: to Sender.
	ReplyTo Address
	// Support is whom to ask for help: a mail address or an https URL; may be empty. SupportURL makes a link of it.
	Support string
	// BaseURL is where the pages are, without a trailing slash; links begin with it.
	BaseURL string
	// Hosts are the host names under which pages wear this brand, in lower case and ASCII, without a port.
	Hosts []string
}

// SupportURL is what a link to Support leads to, or empty.
func (b Brand) SupportURL() string {
	if a, err := ParseAddress(b.Support); err == nil {
		return (&url.URL{Scheme: "mailto", Opaque: url.PathEscape(a.Mailbox())}).String()
	}
	return b.Support
}

// URL is where a page is, such as "/forgot". Where the host does not say whose
// page it is, since the account has none of its own, the query does.
func (b Brand) URL(path string) string {
	if b.Account == 0 || slices.Contains(b.Hosts, hostOf(b.BaseURL)) {
		return b.BaseURL + path
	}
	return b.BaseURL + path + "?account=" + strconv.FormatInt(b.Account, 10)
}

// Branding is what is set of an account's brand. What is empty is the default
// brand's; but the name is then the account's, and if one of the colours is
// set, the other is Sparekey's own, so that the two were checked together.
type Branding struct {
	Name       string
	Logo       Logo
	Accent     Color
	Background Color
	Sender     string // an address, with a display name if wanted
	ReplyTo    string
	Support    string
	// LinkBase is what links begin with. It is https://HOST with the first of Hosts
	// if it is empty and there are any; port and path are then the default's.
	LinkBase string
	// Hosts are host names of the account's own; that of LinkBase is one of them.
	Hosts []string
}

// IsZero reports whether nothing is set.
func (b Branding) IsZero() bool {
	return b.Name == "" && b.Logo.IsZero() && b.Accent == "" && b.Background == "" && b.Sender == "" && b.ReplyTo == "" &&
		b.Support == "" && b.LinkBase == "" && len(b.Hosts) == 0
}

// Changes names what of a branding is not as it was before, as the command line and files name it.
func (b Branding) Changes(before Branding) []string {
	var names []string
	for _, part := range []struct {
		name  string
		other bool
	}{
		{"display_name", b.Name != before.Name},
		{"logo", b.Logo.Digest != before.Logo.Digest || b.Logo.Type != before.Logo.Type},
		{"accent", b.Accent != before.Accent},
		{"background", b.Background != before.Background},
		{"sender", b.Sender != before.Sender},
		{"reply_to", b.ReplyTo != before.ReplyTo},
		{"support", b.Support != before.Support},
		{"link_base", b.LinkBase != before.LinkBase},
		{"hosts", !slices.Equal(b.Hosts, before.Hosts)},
	} {
		if part.other {
			names = append(names, part.name)
		}
	}
	return names
}

// The most that texts of a brand may have: characters of a name, bytes of a URL, and how many host names there are.
const (
	maxBrandName  = 100
	maxBrandURL   = 300
	MaxBrandHosts = 20
)

// Checked returns the branding with each value as it is to be kept, or says
// what is wrong with the first that cannot be taken. base is the default brand;
// the zero Brand if it is this that is checked. The error is an *Error of kind Invalid.
func (b Branding) Checked(base Brand) (Branding, error) {
	var err error
	for _, step := range []func(){
		func() { b.Name, err = brandName(b.Name) },
		func() { b.Accent, err = optional(b.Accent, "the accent", ParseColor) },
		func() { b.Background, err = optional(b.Background, "the background", ParseColor) },
		func() { err = Brand{Accent: b.Accent, Background: b.Background}.checkColors() },
		func() {
			if b.Sender != "" {
				_, _, err = ParseSender(b.Sender)
			}
		},
		func() {
			b.ReplyTo, err = optional(b.ReplyTo, "the address for replies", func(s string) (string, error) {
				a, err := asciiAddress(s)
				return a.Raw(), err
			})
		},
		func() { b.Support, err = optional(b.Support, "the support address", parseSupport) },
		func() {
			b.LinkBase, err = optional(b.LinkBase, "the link base", func(s string) (string, error) { return parseLinkBase(s, base.BaseURL) })
		},
		func() { b.Hosts, err = parseHosts(append(slices.Clone(b.Hosts), linkHosts(b.LinkBase, base)...), base) },
	} {
		if step(); err != nil {
			return Branding{}, err
		}
	}
	return b, nil
}

// Default returns the default brand that this is, which needs a link base. The
// host of that is one of its hosts, also if it is an IP address.
func (b Branding) Default() (Brand, error) {
	b, err := b.Checked(Brand{})
	if err != nil {
		return Brand{}, err
	}
	brand := b.Brand(Account{}, Brand{})
	if host := hostOf(b.LinkBase); host != "" && !slices.Contains(brand.Hosts, host) {
		brand.Hosts = append(brand.Hosts, host)
	}
	return brand, nil
}

// Brand returns what is in force for an account of that name with this
// branding, which was checked. For the default brand base is the zero Brand.
func (b Branding) Brand(account Account, base Brand) Brand {
	out := base
	out.Account, out.Hosts = account.ID, b.Hosts
	out.Name, out.SenderName = b.Name, b.Name
	if out.Name == "" {
		out.Name, out.SenderName = account.Name, account.Name
	}
	if !b.Logo.IsZero() {
		out.Logo = b.Logo
	}
	if b.Accent != "" || b.Background != "" {
		out.Accent, out.Background = b.Accent, b.Background
	}
	if name, sender, err := ParseSender(b.Sender); err == nil {
		out.Sender = sender
		if name != "" {
			out.SenderName = name
		}
	}
	if a, err := ParseAddress(b.ReplyTo); err == nil {
		out.ReplyTo = a
	}
	if b.Support != "" {
		out.Support = b.Support
	}
	switch {
	case b.LinkBase != "":
		out.BaseURL = b.LinkBase
	case account.ID != 0 && len(b.Hosts) > 0:
		out.BaseURL = withHost(base.BaseURL, b.Hosts[0])
	}
	return out
}

func optional[T ~string](s T, what string, parse func(string) (T, error)) (T, error) {
	trimmed := strings.TrimSpace(string(s))
	if trimmed == "" {
		return "", nil
	}
	out, err := parse(trimmed)
	if err != nil {
		return "", Invalidf("%s: %s", what, AsError(err).Message)
	}
	return out, nil
}

// brandName takes a name in one line that steers nothing: neither a header nor
// a terminal nor the direction of the text around it.
func brandName(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", Invalidf("the display name must be valid UTF-8")
	}
	s = norm.NFC.String(strings.TrimSpace(s))
	switch {
	case utf8.RuneCountInString(s) > maxBrandName:
		return "", Invalidf("the display name has more than %d characters", maxBrandName)
	case strings.ContainsFunc(s, func(r rune) bool { return !graphic(r) || r == '\u2028' || r == '\u2029' }):
		return "", Invalidf("the display name cannot have control characters, line breaks or marks that change the direction of writing")
	}
	return s, nil
}

// ParseSender takes the sender of mails: an address, with a display name if
// wanted, such as "Example <noreply@example.com>" (RFC 5322, 3.4).
func ParseSender(s string) (name string, a Address, err error) {
	bad := func(why string) (string, Address, error) {
		return "", Address{}, Invalidf("the sender %s; write one such as Example <noreply@example.com>", why)
	}
	parsed, err := mail.ParseAddress(s)
	if err != nil {
		return bad("is not a mail address")
	}
	if a, err = asciiAddress(parsed.Address); err != nil {
		return bad("is " + AsError(err).Message)
	}
	if name, err = brandName(parsed.Name); err != nil {
		return bad("has a name that cannot be used: " + AsError(err).Message)
	}
	return name, a, nil
}

// asciiAddress takes an address that every mail server can send from and to:
// one that half of the world's servers refuse helps nobody.
func asciiAddress(s string) (Address, error) {
	a, err := ParseAddress(s)
	if err == nil && strings.ContainsFunc(a.Mailbox(), func(r rune) bool { return r > unicode.MaxASCII }) {
		err = Invalidf("it needs ASCII before the @")
	}
	return a, err
}

func parseSupport(s string) (string, error) {
	if a, err := ParseAddress(s); err == nil {
		return a.Raw(), nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Opaque != "" || u.User != nil || len(s) > maxBrandURL || !plain(s) || !isHost(u.Hostname()) {
		return "", Invalidf("write a mail address, or a URL that begins with https:// and has no user name in it")
	}
	return u.String(), nil
}

// parseLinkBase takes the URL that links begin with. It has the scheme of the
// default's, which is https except on the machine itself, since cookies and
// HSTS are decided for all hosts alike; and its path, since the pages are there.
func parseLinkBase(s, base string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Opaque != "" || len(s) > maxBrandURL || !plain(s):
		return "", Invalidf("write a URL such as https://reset.example.com")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return "", Invalidf("it cannot have a user name, a query or a fragment; write a URL such as https://reset.example.com")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", Invalidf("it must be https: whoever reads the link on its way could use it")
	}
	host, err := hostOrAddress(u.Hostname())
	if err != nil {
		return "", err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host = host
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	if b, err := url.Parse(base); err == nil && base != "" {
		if u.Scheme != b.Scheme {
			return "", Invalidf("it must be %s, as base_url is", b.Scheme)
		}
		if u.Path != b.Path {
			return "", Invalidf("its path must be that of base_url, %q, since the pages are there", b.Path)
		}
	}
	return u.String(), nil
}

// withHost is a URL with another host, and the same port.
func withHost(base, host string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base
	}
	if port := u.Port(); port != "" {
		host += ":" + port
	}
	u.Host = host
	return u.String()
}
