package mail

import (
	"embed"
	netmail "net/mail"
	"net/url"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

//go:embed texts
var textFiles embed.FS

// spoken are our texts. That they are whole is shown by tests.
var spoken = sync.OnceValues(func() (*i18n.Texts, error) { return i18n.Load(textFiles, "mails") })

// Sender is who the mails are from, and how they are written.
type Sender struct {
	// From is an address, with a display name if wanted.
	From string
	// ServiceName is who asks. Default: the display name of From, else the host of BaseURL.
	ServiceName string
	// BaseURL is where the pages are.
	BaseURL string
	// Brand is worn by mails that come without one. What it lacks of name and
	// sender is made of what stands above.
	Brand reset.Brand
	// Language is a BCP 47 tag: the language of mails to people of whom none is
	// known. Default: English.
	Language string
	// Templates are what mails are made with; nil: our own.
	Templates *Templates
	// DKIM signs the mails; nil for none.
	DKIM *DKIM
}

// Composer writes mails. It is safe for concurrent use.
type Composer struct {
	brand     reset.Brand
	language  i18n.Language
	texts     *i18n.Texts
	templates *Templates
	dkim      *DKIM
	now       reset.Clock
	palettes  palettes
	once      bool // its mails are the only ones of their kind
}

// NewComposer returns a Composer. The error is a *reset.Error of kind Invalid.
func NewComposer(s Sender, now reset.Clock) (*Composer, error) {
	if now == nil {
		return nil, reset.Invalidf("the mails need a clock")
	}
	brand, err := s.brand()
	if err != nil {
		return nil, err
	}
	c := &Composer{brand: brand, language: i18n.Match(s.Language), templates: s.Templates, dkim: s.DKIM, now: now}
	if c.texts, err = spoken(); err != nil {
		return nil, reset.AsError(err)
	}
	if c.templates == nil {
		if c.templates, err = ownTemplates(); err != nil {
			return nil, reset.AsError(err)
		}
	}
	return c, nil
}

// brand is what mails wear that come without one.
func (s Sender) brand() (reset.Brand, error) {
	b := s.Brand
	if b.Sender == (reset.Address{}) {
		parsed, err := netmail.ParseAddress(s.From)
		if err != nil {
			return b, reset.Invalidf("the sender is not a mail address; write one such as Sparekey <no-reply@example.com>")
		}
		if b.Sender, err = reset.ParseAddress(parsed.Address); err != nil {
			return b, reset.Invalidf("the sender is %s; write one such as Sparekey <no-reply@example.com>", reset.AsError(err).Message)
		}
		b.SenderName = oneLine(parsed.Name)
	}
	if !isASCII(b.Sender.Mailbox()) {
		// A sender that half of the world's servers refuse helps nobody.
		return b, reset.Invalidf("the sender's address needs ASCII before the @; write one such as Sparekey <no-reply@example.com>")
	}
	if b.BaseURL == "" {
		b.BaseURL = s.BaseURL
	}
	if b.Name == "" {
		b.Name = oneLine(s.ServiceName)
	}
	if b.Name == "" {
		b.Name = b.SenderName
	}
	if base, err := url.Parse(s.BaseURL); err == nil && b.Name == "" {
		b.Name = base.Host
	}
	if b.Name == "" {
		return b, reset.Invalidf("the mails need to say who they are from; give the sender a name, such as Sparekey <no-reply@example.com>")
	}
	return b, nil
}

// begin makes the view of a mail in a brand, and in the language that fits the locale best.
func (c *Composer) begin(b reset.Brand, locale string) (*view, reset.Brand) {
	if b.Sender == (reset.Address{}) { // the zero Brand
		b = c.brand
	}
	l, exact := i18n.Lookup(locale)
	if !exact {
		l = i18n.Match(locale, c.language.Tag)
	}
	v := &view{once: c.once}
	v.speak(c.texts.In(l))
	v.wear(b, c.palettes.of(b))
	return v, b
}

// Link composes the mail with the link.
func (c *Composer) Link(m reset.LinkMail) (*Message, error) {
	now := c.now()
	v, b := c.begin(m.Brand, m.User.Locale)
	if v.Rest = len(m.Only) > 0; v.Rest {
		m.User.Accounts = nil // what it is for is what matters
	}
	v.about(m.User)
	v.names("failed", m.Only)
	v.Link, v.Until, v.For = m.Link, v.say.Moment(m.ExpiresAt), v.say.Span(m.ExpiresAt.Sub(now))
	preheader := "link.once"
	if v.For == "" {
		preheader = "link.once_soon"
	}
	return c.compose(mailLink, preheader, m.User.Email, v, b, now)
}

// Notice composes the notice after a change.
func (c *Composer) Notice(m reset.NoticeMail) (*Message, error) {
	v, b := c.begin(m.Brand, m.User.Locale)
	kind, preheader := mailNotice, "notice.fine"
	switch m.Matter {
	case reset.MatterAddress:
		kind, preheader = mailAddress, "address.fine"
	case reset.MatterUnsure:
		kind, preheader = mailUnsure, "unsure.try"
	case reset.MatterPartly:
		kind, preheader = mailPartly, "partly.next"
		m.User.Accounts = nil // those that matter follow
	case reset.MatterPassword:
	}
	v.about(m.User)
	v.ChangedAt, v.ForgotURL, v.Former = v.say.Moment(m.ChangedAt), m.ForgotURL, m.Former
	v.detail("changed", v.say.Isolate(v.ChangedAt))
	v.names("done", m.Done)
	v.names("failed", m.Failed)
	return c.compose(kind, preheader, m.User.Email, v, b, c.now())
}

// Unknown composes the mail to an address that nobody has.
func (c *Composer) Unknown(m reset.UnknownMail) (*Message, error) {
	v, b := c.begin(m.Brand, m.Locale)
	v.Address, v.ForgotURL = m.To.Raw(), m.ForgotURL
	v.detail("address", v.say.Isolate(v.Address))
	return c.compose(mailUnknown, "unknown.intro", m.To, v, b, c.now())
}

// Test composes a test mail, of plain text and in English, as the command line is.
func (c *Composer) Test(to reset.Address) (*Message, error) {
	now := c.now()
	v, b := c.begin(reset.Brand{}, i18n.English.Tag)
	m := &Message{
		To: to, Subject: v.Service + ": a test mail",
		Text: "Hello,\n\nThis is a test mail from " + v.Service + ", sent on " + v.say.Moment(now) + ".\n" +
			"It has reached " + to.Raw() + ", so mails can be sent.\n\nNobody asked for a new password, and nothing has changed.\n\n" + v.Service + "\n",
	}
	return m, c.write(m, v.Lang, b, now)
}

// heads are the texts that stand above each kind of mail.
var heads = map[kind]struct{ subject, title string }{
	mailLink:    {"link.subject", "link.title"},
	mailNotice:  {"notice.subject", "notice.title"},
	mailAddress: {"address.subject", "address.title"},
	mailUnknown: {"unknown.subject", "unknown.title"},
	mailUnsure:  {"unsure.subject", "unsure.title"},
	mailPartly:  {"partly.subject", "partly.title"},
}

// compose executes the templates of a mail and writes the message.
func (c *Composer) compose(kind kind, preheader string, to reset.Address, v *view, b reset.Brand, now time.Time) (*Message, error) {
	var err error
	fill := func(text *string, key string) {
		if err == nil {
			*text, err = v.Say(key)
		}
	}
	greeting := "greeting"
	if v.Name == "" {
		greeting = "greeting_unnamed"
	}
	fill(&v.Greeting, greeting)
	fill(&v.Subject, heads[kind].subject)
	fill(&v.Title, heads[kind].title)
	fill(&v.Preheader, preheader)
	if err != nil {
		return nil, reset.AsError(err)
	}
	m := &Message{To: to}
	if err := c.templates.execute(kind, v, m); err != nil {
		return nil, reset.AsError(err)
	}
	return m, c.write(m, v.Lang, b, now)
}
