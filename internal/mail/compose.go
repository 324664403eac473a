package mail

import (
	"bytes"
	"crypto/rand"
	"embed"
	htmltemplate "html/template"
	netmail "net/mail"
	"net/url"
	"strings"
	texttemplate "text/template"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/sparekey/sparekey/internal/reset"
)

//go:embed templates
var files embed.FS

var (
	texts = texttemplate.Must(texttemplate.ParseFS(files, "templates/*.txt"))
	pages = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/*.html"))
)

// Sender is who the mails are from.
type Sender struct {
	// From is an address, with a display name if wanted.
	From string
	// ServiceName is who asks. Default: the display name of From, else the host of BaseURL.
	ServiceName string
	// BaseURL is where the pages are.
	BaseURL string
	// DKIM signs the mails; nil for none.
	DKIM *DKIM
}

// Message is a composed mail. Raw is what is sent; the other fields are what
// Raw was made of.
type Message struct {
	To      reset.Address
	Subject string
	Text    string
	HTML    string // empty for a mail of plain text
	Raw     []byte // RFC 5322, lines ended by CRLF
}

// Composer writes mails. It is safe for concurrent use.
type Composer struct {
	from    reset.Address
	header  string // of From, ready to be written
	service string
	dkim    *DKIM
	now     reset.Clock
}

// NewComposer returns a Composer. The error is a *reset.Error of kind Invalid.
func NewComposer(s Sender, now reset.Clock) (*Composer, error) {
	parsed, err := netmail.ParseAddress(s.From)
	if err != nil {
		return nil, reset.Invalidf("the sender is not a mail address; write one such as Sparekey <no-reply@example.com>")
	}
	from, err := reset.ParseAddress(parsed.Address)
	if err != nil {
		return nil, reset.Invalidf("the sender is %s; write one such as Sparekey <no-reply@example.com>", reset.AsError(err).Message)
	}
	if !isASCII(from.Mailbox()) {
		// A sender that half of the world's servers refuse helps nobody.
		return nil, reset.Invalidf("the sender's address needs ASCII before the @; write one such as Sparekey <no-reply@example.com>")
	}
	name := oneLine(parsed.Name)
	c := &Composer{from: from, now: now, dkim: s.DKIM, service: oneLine(s.ServiceName), header: "<" + from.Mailbox() + ">"}
	if name != "" {
		c.header = displayName(name) + " " + c.header
	}
	if c.service == "" {
		c.service = name
	}
	if base, err := url.Parse(s.BaseURL); err == nil && c.service == "" {
		c.service = base.Host
	}
	if c.service == "" {
		return nil, reset.Invalidf("the mails need to say who they are from; give the sender a name, such as Sparekey <no-reply@example.com>")
	}
	if now == nil {
		return nil, reset.Invalidf("the mails need a clock")
	}
	return c, nil
}

// view is what the templates may show. Everything in it is one line of plain text.
type view struct {
	Subject, Service, Name, Address string
	Accounts                        string // "A, B and C", or empty
	Several                         bool   // more than one account
	Link, Until, For                string // of the mail with the link
	ChangedAt, ForgotURL            string // of the notice
	Former                          bool   // it goes to the address that the user had before
}

func (c *Composer) about(u reset.User) view {
	active := u.ActiveAccounts()
	names := make([]string, 0, len(active))
	for _, a := range active {
		if name := plainName(a.Name); name != "" {
			names = append(names, name)
		}
	}
	return view{
		Service: c.service, Name: plainName(u.Name), Address: u.Email.Raw(),
		Accounts: list(names), Several: len(names) > 1,
	}
}

// Link composes the mail with the link.
func (c *Composer) Link(m reset.LinkMail) (*Message, error) {
	now := c.now()
	v := c.about(m.User)
	v.Subject = c.service + ": choose a new password for " + v.Address
	v.Link, v.Until, v.For = m.Link, moment(m.ExpiresAt), span(m.ExpiresAt.Sub(now))
	return c.compose("link", m.User.Email, v, now)
}

// Notice composes the notice after a change.
func (c *Composer) Notice(m reset.NoticeMail) (*Message, error) {
	v := c.about(m.User)
	v.ChangedAt, v.ForgotURL, v.Former = moment(m.ChangedAt), m.ForgotURL, m.Former
	if m.Matter == reset.MatterAddress {
		v.Subject = c.service + ": your mail address was changed"
		return c.compose("address", m.User.Email, v, c.now())
	}
	v.Subject = c.service + ": the password of " + v.Address + " was changed"
	return c.compose("notice", m.User.Email, v, c.now())
}

// Test composes a test mail, of plain text.
func (c *Composer) Test(to reset.Address) (*Message, error) {
	now := c.now()
	v := view{Service: c.service, Address: to.Raw(), Subject: c.service + ": a test mail", ChangedAt: moment(now)}
	return c.compose("test", to, v, now)
}

// compose executes the templates of that name and writes the message.
func (c *Composer) compose(name string, to reset.Address, v view, now time.Time) (*Message, error) {
	var text, html bytes.Buffer
	if err := texts.ExecuteTemplate(&text, name+".txt", v); err != nil {
		return nil, reset.AsError(err)
	}
	if pages.Lookup(name+".html") != nil {
		if err := pages.ExecuteTemplate(&html, name+".html", v); err != nil {
			return nil, reset.AsError(err)
		}
	}
	m := &Message{To: to, Subject: v.Subject, Text: text.String(), HTML: html.String()}
	return m, c.write(m, now)
}

// write makes Raw. go-mail's defaults for User-Agent, X-Mailer and the host in
// Message-ID would tell strangers what runs where; they are replaced.
func (c *Composer) write(m *Message, now time.Time) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.SetDateWithValue(now.UTC())
	msg.SetMessageIDWithValue(rand.Text() + "@" + domainOf(c.from))
	msg.SetGenHeader("From", c.header)
	msg.ToMailAddress(&netmail.Address{Address: m.To.Mailbox()})
	msg.Subject(headerText(m.Subject))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834, 5
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	if signer := c.dkim.signerFor(domainOf(c.from)); signer != nil {
		msg.SetDKIM(signer)
	}
	var raw bytes.Buffer
	raw.Grow(2*len(m.Text) + 2*len(m.HTML) + 1024)
	if _, err := msg.WriteTo(&raw); err != nil {
		return reset.AsError(err)
	}
	m.Raw = raw.Bytes()
	return nil
}

// domainOf is the domain of an address, in ASCII.
func domainOf(a reset.Address) string {
	_, domain, _ := strings.Cut(a.Mailbox(), "@")
	return domain
}
