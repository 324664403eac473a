package mail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/sparekey/sparekey/internal/reset"
)

// Message is a composed mail. Raw is what is sent; the other fields are what
// Raw was made of.
type Message struct {
	From    reset.Address // the envelope's sender too, where bounces go
	To      reset.Address
	Subject string
	Text    string
	HTML    string // empty for a mail of plain text
	Lang    string // BCP 47
	Raw     []byte // RFC 5322, lines ended by CRLF

	logo   reset.Logo
	logoID string
}

// Page is HTML as a browser can show it by itself: with the logo in it.
func (m *Message) Page() string {
	if m.logoID == "" {
		return m.HTML
	}
	return strings.ReplaceAll(m.HTML, "cid:"+m.logoID, "data:"+m.logo.Type+";base64,"+base64.StdEncoding.EncodeToString(m.logo.Data))
}

// write makes Raw. go-mail's defaults for User-Agent, X-Mailer and the host in
// Message-ID would tell strangers what runs where; they are replaced. There is
// no List-Unsubscribe on purpose: docs/mails.md says why.
func (c *Composer) write(m *Message, lang string, b reset.Brand, now time.Time) error {
	m.From, m.Lang = b.Sender, lang
	domain := domainOf(b.Sender)
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.SetDateWithValue(now.UTC())
	msg.SetMessageIDWithValue(rand.Text() + "@" + domain)
	msg.SetGenHeader("From", mailbox(oneLine(b.SenderName), b.Sender))
	msg.ToMailAddress(&netmail.Address{Address: m.To.Mailbox()})
	if b.ReplyTo != (reset.Address{}) {
		msg.SetGenHeader("Reply-To", mailbox("", b.ReplyTo))
	}
	msg.Subject(headerText(m.Subject))
	msg.SetGenHeader("Content-Language", lang)           // RFC 3282
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834, 5
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	if err := m.embed(msg, b); err != nil {
		return err
	}
	if signer := c.dkim.signerFor(domain); signer != nil {
		msg.SetDKIM(signer)
	}
	var raw bytes.Buffer
	raw.Grow(2*len(m.Text) + 2*len(m.HTML) + 2*len(m.logo.Data) + 1024)
	if _, err := msg.WriteTo(&raw); err != nil {
		return reset.AsError(err)
	}
	m.Raw = raw.Bytes()
	return nil
}

// embed puts the logo into the mail, if its HTML shows it. It is a part of its
// own, since Gmail and Outlook show no pictures from data URLs.
func (m *Message) embed(msg *gomail.Msg, b reset.Brand) error {
	id := logoID(b)
	if id == "" || !strings.Contains(m.HTML, "cid:"+id) {
		return nil
	}
	m.logo, m.logoID = b.Logo, id
	_, ending, _ := strings.Cut(b.Logo.Type, "/")
	err := msg.EmbedReader("logo."+ending, bytes.NewReader(b.Logo.Data),
		gomail.WithFileContentID("<"+id+">"), gomail.WithFileContentType(gomail.ContentType(b.Logo.Type)))
	if err != nil {
		return reset.AsError(err)
	}
	return nil
}

// logoID is the Content-ID of a brand's logo (RFC 2392), empty if it has none.
func logoID(b reset.Brand) string {
	if len(b.Logo.Data) == 0 {
		return ""
	}
	return hex.EncodeToString(b.Logo.Digest[:8]) + "@" + domainOf(b.Sender)
}

// mailbox is an address with its name, as headers have it.
func mailbox(name string, a reset.Address) string {
	if name == "" {
		return "<" + a.Mailbox() + ">"
	}
	return displayName(name) + " <" + a.Mailbox() + ">"
}

// domainOf is the domain of an address, in ASCII.
func domainOf(a reset.Address) string {
	_, domain, _ := strings.Cut(a.Mailbox(), "@")
	return domain
}
