package config

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"

	"github.com/sparekey/sparekey/internal/reset"
)

// Brand is what is set of the default brand, besides mail.from,
// mail.service_name and base_url. Accounts can have brands of their own.
type Brand struct {
	// Logo is the path of a picture; empty for none.
	Logo string
	// Accent and Background are colours, empty for Sparekey's own.
	Accent, Background reset.Color
	// ReplyTo is where answers to mails go; empty: to mail.from.
	ReplyTo string
	// Support is a mail address or an https URL; empty for none.
	Support string
	// Hosts are host names besides that of base_url.
	Hosts []string
}

// branding is what of it can be checked without files.
func (b Brand) branding() reset.Branding {
	return reset.Branding{Accent: b.Accent, Background: b.Background, ReplyTo: b.ReplyTo, Support: b.Support, Hosts: b.Hosts}
}

func brandSettings() []Setting {
	return []Setting{
		text(Setting{
			Path: "brand.logo", Allowed: "the path of a picture in PNG, JPEG or WebP of up to 64 KiB and 1024 pixels a side",
			About: "the logo on pages and in mails",
		}, func(c *Config) *string { return &c.Brand.Logo }, parsePath),
		bind(Setting{
			Path: "brand.accent", Kind: Text, Allowed: "a colour such as #1d4f91, in quotes in a file",
			About: "the colour of buttons and links; it must have a contrast of 4.5:1 on brand.background, and is made lighter in the dark scheme",
		}, func(c *Config) *reset.Color { return &c.Brand.Accent }, parseColor, colorText),
		bind(Setting{
			Path: "brand.background", Kind: Text, Allowed: "a light colour such as #f4f4f1, in quotes in a file",
			About: "the ground of pages and mails in the light scheme; texts must have a contrast of 4.5:1 on it",
		}, func(c *Config) *reset.Color { return &c.Brand.Background }, parseColor, colorText),
		text(Setting{
			Path: "brand.reply_to", Allowed: "an address such as help@example.com",
			About: "where answers to mails go; without it, to mail.from",
		}, func(c *Config) *string { return &c.Brand.ReplyTo }, checkedAs("is not a mail address", func(b *reset.Branding) *string { return &b.ReplyTo })),
		text(Setting{
			Path: "brand.support", Allowed: "an address such as help@example.com, or a URL such as https://example.com/help",
			About: "whom pages and mails tell people to ask for help",
		}, func(c *Config) *string { return &c.Brand.Support }, checkedAs("is neither a mail address nor an https URL", func(b *reset.Branding) *string { return &b.Support })),
		list(Setting{
			Path: "brand.hosts", Allowed: "host names such as sparekey.internal",
			About: "host names besides that of base_url that http.strict_hosts takes requests for",
		}, func(c *Config) *[]string { return &c.Brand.Hosts }, parseHost, func(s string) string { return s }),
	}
}

func colorText(c reset.Color) string { return string(c) }

func parseColor(s string) (reset.Color, error) {
	if s = strings.TrimSpace(s); s == "" {
		return "", nil
	}
	c, err := reset.ParseColor(s)
	if err != nil {
		return "", errors.New("is not a colour")
	}
	return c, nil
}

func parseHost(s string) (string, error) {
	host, err := reset.ParseHost(s)
	if err != nil {
		return "", errors.New("holds an entry that is not a host name")
	}
	return host, nil
}

// checkedAs parses a text as the part of a branding that it is.
func checkedAs(problem string, part func(*reset.Branding) *string) func(string) (string, error) {
	return func(s string) (string, error) {
		var b reset.Branding
		*part(&b) = s
		b, err := b.Checked(reset.Brand{})
		if err != nil {
			return "", errors.New(problem)
		}
		return *part(&b), nil
	}
}

// brandFaults finds colours that cannot be read on one another.
func brandFaults(c *Config) []Fault {
	_, err := c.Brand.branding().Checked(reset.Brand{})
	if err == nil {
		return nil
	}
	path := "brand.accent"
	if c.Brand.Accent == "" {
		path = "brand.background"
	}
	problem, fix, _ := strings.Cut(reset.AsError(err).Message, "; ")
	return []Fault{{Path: path, Problem: "cannot be used: " + problem, Fix: fix}}
}

// lostColor is the fault of a colour in a file that is not in quotes.
func lostColor(source, path string) Fault {
	return Fault{Source: source, Path: path, Problem: "has no value, since # begins a comment", Fix: "put the colour into quotes: '#1d4f91'"}
}

// The names of what a file for an account's brand may hold, and of the options
// that set it. All are texts but the hosts.
const (
	BrandName       = "display_name"
	BrandLogo       = "logo"
	BrandAccent     = "accent"
	BrandBackground = "background"
	BrandSender     = "sender"
	BrandReplyTo    = "reply_to"
	BrandSupport    = "support"
	BrandLinkBase   = "link_base"
	BrandHosts      = "hosts"
)

// BrandNames lists them in the order in which they are shown.
func BrandNames() []string {
	return []string{BrandName, BrandLogo, BrandAccent, BrandBackground, BrandSender, BrandReplyTo, BrandSupport, BrandLinkBase, BrandHosts}
}

const brandHint = "docs/branding.md shows such a file"

// ReadBrand reads the file of an account's brand: YAML as in the configuration,
// with the names above. What it does not name, or leaves empty, is missing in the
// answer. Hosts have commas between them. The error is an *Error with every fault.
func ReadBrand(contents []byte, path string) (map[string]string, error) {
	source := "file " + showPath(path)
	raw, err := yaml.Parser().Unmarshal(contents)
	if err != nil {
		return nil, &Error{Faults: yamlFaults(err, source), Hint: brandHint}
	}
	var faults []Fault
	if extraDocument(contents) {
		faults = append(faults, Fault{Source: source, Path: "the file", Problem: "has a second document after ---", Fix: "put everything into the first"})
	}
	values := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		kind, v := Text, raw[name]
		if name == BrandHosts {
			kind = List
		}
		switch {
		case !slices.Contains(BrandNames(), name):
			fix := "see docs/branding.md for all there are"
			if right := nearest(name, BrandNames()); right != "" {
				fix = "the nearest is " + right
			}
			faults = append(faults, Fault{Source: source, Path: showName(name), Problem: "is not of a brand", Fix: fix})
		case v == nil && (name == BrandAccent || name == BrandBackground):
			faults = append(faults, lostColor(source, name))
		case v != nil:
			text, problem := scalar(kind, v)
			if problem != "" {
				fix := "write one text"
				if kind == List {
					fix = "write names with commas, or a list of them"
				}
				faults = append(faults, Fault{Source: source, Path: name, Problem: problem, Fix: fix})
			} else if strings.TrimSpace(text) != "" {
				values[name] = text
			}
		}
	}
	if len(faults) > 0 {
		return nil, &Error{Faults: faults, Hint: brandHint}
	}
	return values, nil
}
