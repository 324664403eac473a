package mail

import (
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

// Sample is a made-up mail, to look at.
type Sample struct {
	// Name is what it is about, such as "link".
	Name string
	*Message
}

// sampleLink stands for the link in samples. Nobody has minted its id.
const sampleID = "00000000-0000-4000-8000-000000000000"

// Samples composes a mail of every kind in a language, such as "de", and in a
// brand; the zero Brand is the composer's own. The people in them are made up.
func (c *Composer) Samples(lang string, b reset.Brand) ([]Sample, error) {
	var list []Sample
	for _, s := range samples(c.baseURL(b), lang, b, c.now()) {
		m, err := s.compose(c)
		if err != nil {
			return nil, err
		}
		list = append(list, Sample{Name: s.name, Message: m})
	}
	return list, nil
}

func (c *Composer) baseURL(b reset.Brand) string {
	for _, base := range []string{b.BaseURL, c.brand.BaseURL} {
		if base != "" {
			return base
		}
	}
	return "https://reset.example.com"
}

// sample is a mail that is still to be composed.
type sample struct {
	name    string
	kind    kind
	link    string // that must be in it, or empty
	compose func(*Composer) (*Message, error)
}

func samples(base, lang string, b reset.Brand, now time.Time) []sample {
	to, err := reset.ParseAddress("ada@example.com")
	if err != nil {
		return nil
	}
	user := reset.User{
		ID: "1", Email: to, Name: "Ada Adams", Locale: lang,
		Standing: reset.Standing{Accounts: []reset.Account{{ID: 1, Name: "Acme"}, {ID: 2, Name: "Globex"}}},
	}
	link, forgot := base+"/reset/"+sampleID, base+"/forgot"
	notice := func(m reset.Matter, former bool) func(*Composer) (*Message, error) {
		return func(c *Composer) (*Message, error) {
			n := reset.NoticeMail{User: user, ChangedAt: now, Matter: m, Former: former, ForgotURL: forgot, Brand: b}
			if m == reset.MatterPartly {
				n.Done, n.Failed = []string{"Acme"}, []string{"Globex"}
			}
			return c.Notice(n)
		}
	}
	return []sample{
		{"link", mailLink, link, func(c *Composer) (*Message, error) {
			return c.Link(reset.LinkMail{User: user, Link: link, ExpiresAt: now.Add(time.Hour), Brand: b})
		}},
		{"link-rest", mailLink, link, func(c *Composer) (*Message, error) {
			return c.Link(reset.LinkMail{User: user, Link: link, ExpiresAt: now.Add(time.Hour), Only: []string{"Globex"}, Brand: b})
		}},
		{"notice", mailNotice, "", notice(reset.MatterPassword, false)},
		{"notice-unsure", mailUnsure, "", notice(reset.MatterUnsure, false)},
		{"notice-partly", mailPartly, "", notice(reset.MatterPartly, false)},
		{"address-former", mailAddress, "", notice(reset.MatterAddress, true)},
		{"address-new", mailAddress, "", notice(reset.MatterAddress, false)},
		{"unknown", mailUnknown, "", func(c *Composer) (*Message, error) {
			return c.Unknown(reset.UnknownMail{To: to, ForgotURL: forgot, Locale: lang, Brand: b})
		}},
	}
}

// strangers are the same mails to somebody of whom little is known, and in the last minute.
func strangers(base, lang string, b reset.Brand, now time.Time) []sample {
	to, err := reset.ParseAddress("ada@example.com")
	if err != nil {
		return nil
	}
	user := reset.User{ID: "1", Email: to, Locale: lang}
	link := base + "/reset/" + sampleID
	return []sample{
		{"link", mailLink, link, func(c *Composer) (*Message, error) {
			return c.Link(reset.LinkMail{User: user, Link: link, ExpiresAt: now, Brand: b})
		}},
		{"notice", mailNotice, "", func(c *Composer) (*Message, error) {
			return c.Notice(reset.NoticeMail{User: user, ChangedAt: now, ForgotURL: base + "/forgot", Brand: b})
		}},
		{"address", mailAddress, "", func(c *Composer) (*Message, error) {
			return c.Notice(reset.NoticeMail{User: user, ChangedAt: now, Matter: reset.MatterAddress, Brand: b})
		}},
	}
}

// tryOut composes every mail in every language, to somebody well known and to a
// stranger, with all that a brand may have and without, and looks at what came out.
func tryOut(t *Templates) error {
	now := func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) } // no mail of these is kept
	c, err := NewComposer(Sender{From: "Example <noreply@example.com>", Templates: t}, now)
	if err != nil {
		return err
	}
	c.once = true
	poor, rich := c.brand, c.brand
	rich.Support, rich.Logo = "help@example.com", sampleLogo
	base := c.baseURL(poor)
	for _, l := range i18n.Languages() {
		for _, b := range []reset.Brand{poor, rich} {
			for _, s := range append(samples(base, l.Tag, b, now()), strangers(base, l.Tag, b, now())...) {
				m, err := s.compose(c)
				if err != nil {
					return templateFault(err)
				}
				if err := t.inspect(s, l.Tag, m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sampleLogo stands for a logo where nobody looks at it.
var sampleLogo = reset.Logo{Type: "image/png", Width: 1, Height: 1, Data: []byte{0}}

// templateFault makes what executing a template says a word to the operator. It begins with
// file and line.
func templateFault(err error) error {
	cause := err
	if e := reset.AsError(err); e.Cause != nil {
		cause = e.Cause
	}
	text := strings.TrimPrefix(strings.TrimPrefix(cause.Error(), "html/"), "template: ")
	return reset.Invalidf("%s; docs/mails.md says what templates may use", strings.TrimPrefix(text, "template:"))
}
