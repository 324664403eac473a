package mail

import (
	"bytes"
	"html"
	"mime"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

// hostile are names that try to become something else than a name.
var hostile = []string{
	"Eve\r\nBcc: eve@evil.test",
	"Eve\nBcc: eve@evil.test",
	"Eve\rBcc: eve@evil.test",
	"Eve\r\n\r\n<html>another body",
	"Eve\r\n.\r\nMAIL FROM:<eve@evil.test>\r\nRCPT TO:<eve@evil.test>\r\nDATA",
	"Eve\u2028Bcc: eve@evil.test",
	"Eve\u0085Bcc: eve@evil.test",
	"Eve\x00\x1b[2J",
	"=?utf-8?Q?Eve=0d=0aBcc:_eve@evil.test?=",
	"=?utf-8?B?RXZlDQpCY2M6IGV2ZUBldmlsLnRlc3Q=?=",
	"=?utf-8?Q?=0d=0aBcc:…?=",
	`Eve" <eve@evil.test>, "`,
	`"><img src=x onerror=alert(1)>`,
	`</title><script>alert(1)</script>`,
	`<a href="https://evil.test/">click</a>`,
	`javascript:alert(1)`,
	"{{.}}", "{{.Link}}", `{{template "top"}}`, "${jndi:ldap://evil.test/}", "%s%n%d",
	"please visit https://evil.test/login now",
	"please visit evil.test now", "www.evil.test", "eve@evil.test", `\\evil.test\share`,
	"Eve \u202egro.live\u202c", "\u2066Eve",
	"-- \r\n", ".", "..", "From ",
	strings.Repeat("Eve ", 1000),
	"\xff\xfe invalid",
}

// intact fails the test unless the mail is the one it was meant to be,
// whatever the names in it: the same headers, one recipient, two parts, one link.
func intact(t *testing.T, got smtptest.Message, want reset.LinkMail) {
	t.Helper()
	if got.From != "no-reply@example.com" || !slices.Equal(got.To, []string{want.User.Email.Mailbox()}) {
		t.Errorf("the envelope is from %s to %v", got.From, got.To)
	}
	m := parse(t, got.Raw)
	names := make([]string, 0, len(m.header))
	for name, values := range m.header {
		names = append(names, name)
		if name == "To" { // an address is never decoded (RFC 2047, 5)
			continue
		}
		for _, value := range values {
			decoded, err := new(mime.WordDecoder).DecodeHeader(value)
			if err != nil || strings.ContainsAny(decoded, "\r\n\x00\u2028\u2029\u0085") {
				t.Errorf("%s decodes to %q (%v)", name, decoded, err)
			}
		}
	}
	slices.Sort(names)
	if wanted := []string{"Auto-Submitted", "Content-Language", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}; !slices.Equal(names, wanted) {
		t.Errorf("the headers are %q", names)
	}
	from, err := m.header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != "no-reply@example.com" {
		t.Errorf("From is %q (%v)", m.header.Get("From"), err)
	}
	if to := m.header.Get("To"); to != "<"+want.User.Email.Mailbox()+">" {
		t.Errorf("To is %q", to)
	}
	links(t, m, want.Link)
	for _, host := range []string{"evil.test", "eve@"} {
		if strings.Contains(m.text+html.UnescapeString(m.html), host) {
			t.Errorf("a mail program would make a link of %q", host)
		}
	}
}

func TestNoNameOfAUserOrAnAccountInjectsAnything(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	m := newMailer(t, server.URL())
	for i, name := range hostile {
		l := linkMail(t)
		l.User.Name = name
		l.User.Accounts = []reset.Account{{ID: 1, Name: name}, {ID: 2, Name: "Notes"}}
		if err := m.SendLink(t.Context(), l); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		mails := server.Messages()
		if len(mails) != i+1 {
			t.Fatalf("%q made %d mails of one", name, len(mails)-i)
		}
		intact(t, mails[i], l)
		if t.Failed() {
			t.Fatalf("%q made\n%s", name, mails[i].Raw)
		}
	}
}

// The service's name is the operator's own, so it may look like an address;
// it still stays where it belongs.
func TestNoServiceNameInjectsAnything(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	for i, name := range hostile {
		m := newMailer(t, server.URL(), func(o *Options) { o.ServiceName = name })
		l := linkMail(t)
		if err := m.SendLink(t.Context(), l); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		got := server.Messages()[i]
		parsed := parse(t, got.Raw)
		if len(parsed.header) != 9 || len(got.To) != 1 || strings.Contains(parsed.html, "<script") || strings.Contains(parsed.html, "<img") {
			t.Fatalf("%q made\n%s", name, got.Raw)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(parsed.header.Get("Subject"))
		if want := oneLine(name) + ": choose a new password for ada@example.com"; err != nil || strings.TrimPrefix(bare(subject), ": ") != strings.TrimPrefix(bare(want), ": ") {
			t.Errorf("the subject is %q (%v), want %q", subject, err, want)
		}
	}
}

// bare is a text without the marks that keep what is written from right to left apart.
func bare(s string) string { return strings.NewReplacer("\u2068", "", "\u2069", "").Replace(s) }

// A display name may itself be an encoded word, and so smuggle line breaks in.
func TestNoSenderNameInjectsAnything(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	for i, name := range []string{
		"=?utf-8?Q?Eve=0d=0aBcc=3A_eve=40evil.test?=", `"Eve \"quoted\" <eve@evil.test>"`, "=?utf-8?B?PT91dGYtOD9RPz0wZD0wYUJjYzo/PQ==?=", "Jörg Müller",
	} {
		m := newMailer(t, server.URL(), func(o *Options) { o.From = name + " <no-reply@example.com>" })
		if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		got := server.Messages()[i]
		parsed := parse(t, got.Raw)
		from, err := parsed.header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "no-reply@example.com" || strings.ContainsAny(from[0].Name, "\r\n") || len(parsed.header) != 9 {
			t.Errorf("%q made\n%s", name, got.Raw)
		}
	}
}

// An address can look like an encoded word and still be a good address.
func TestAnAddressThatLooksEncodedIsShownAsItIs(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	l := linkMail(t)
	l.User.Email = address(t, "=?utf-8?q?=0d=0aBcc?=@example.com")
	if err := newMailer(t, server.URL()).SendLink(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	got := server.Messages()[0]
	if want := "Example: choose a new password for " + l.User.Email.Raw(); got.Subject() != want {
		t.Errorf("the subject is %q, want %q", got.Subject(), want)
	}
	intact(t, got, l)
}

func TestNoNameAtAllBreaksAMail(t *testing.T) {
	t.Parallel()
	c := example(t)
	l := linkMail(t)
	rapid.Check(t, func(rt *rapid.T) {
		l := l
		l.User.Name = rapid.String().Draw(rt, "name")
		l.User.Accounts = []reset.Account{{ID: 1, Name: rapid.String().Draw(rt, "account")}}
		m, err := c.Link(l)
		if err != nil {
			rt.Fatal(err)
		}
		parsed, err := netmail.ReadMessage(bytes.NewReader(m.Raw))
		if err != nil || len(parsed.Header) != 9 {
			rt.Fatalf("%v: %s", err, m.Raw)
		}
		if strings.Count(m.Text, l.Link) != 1 || strings.Count(m.HTML, l.Link) != 3 {
			rt.Fatalf("the text is\n%s", m.Text)
		}
		if lines := strings.Split(m.Text, "\n"); len(lines) < 5 || lines[1] != "" || !strings.HasPrefix(lines[2], "Somebody") {
			rt.Fatalf("the name broke out of its line:\n%s", m.Text)
		}
	})
}
