package mail

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/mail/smtptest"
	"github.com/sparekey/sparekey/internal/reset"
)

func logo(tb testing.TB) reset.Logo {
	tb.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 300, 60))
	for x := range 300 {
		picture.Set(x, x/5, color.RGBA{R: 0x0b, G: 0x6e, B: 0x4f, A: 0xff})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		tb.Fatal(err)
	}
	l, err := reset.NewLogo(b.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// branded is a brand with all that there is.
func branded(tb testing.TB) reset.Brand {
	tb.Helper()
	branding, err := reset.Branding{
		Name: "Ärzte & Co.", Logo: logo(tb), Accent: "#0b6e4f", Background: "#f2f7f4",
		Sender: `"Ärzte & Co." <hello@aerzte.example.com>`, ReplyTo: "desk@aerzte.example.com", Support: "help@aerzte.example.com",
		LinkBase: "https://reset.aerzte.example.com",
	}.Checked(reset.Brand{})
	if err != nil {
		tb.Fatal(err)
	}
	return branding.Brand(reset.Account{ID: 1, Name: "aerzte"}, reset.Brand{})
}

func TestMailsWearTheBrand(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	m := newMailer(t, server.URL())
	l := linkMail(t)
	l.Brand = branded(t)
	if err := m.SendLink(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	got := server.Messages()[0]
	if got.From != "hello@aerzte.example.com" {
		t.Errorf("bounces go to %s", got.From)
	}
	p := parse(t, got.Raw)
	from, err := p.header.AddressList("From")
	if err != nil || from[0].Name != "Ärzte & Co." || from[0].Address != got.From {
		t.Errorf("it is from %v (%v)", from, err)
	}
	if to := p.header.Get("Reply-To"); to != "<desk@aerzte.example.com>" {
		t.Errorf("answers go to %q", to)
	}
	if id := p.header.Get("Message-Id"); !strings.HasSuffix(id, "@aerzte.example.com>") {
		t.Errorf("Message-ID is %s", id)
	}
	for _, want := range []string{
		"#0b6e4f", "#f2f7f4", `src="cid:`, `alt="Ärzte &amp; Co."`, `href="mailto:help@aerzte.example.com"`,
		string(l.Brand.Dark().Accent), `width="240" height="48"`,
	} {
		if !strings.Contains(p.html, want) {
			t.Errorf("the HTML part lacks %s", want)
		}
	}
	if !strings.Contains(p.text, "Questions? help@aerzte.example.com\n") {
		t.Errorf("the text is\n%s", p.text)
	}
	// And the next one, without a brand, does not.
	if err := m.SendLink(t.Context(), linkMail(t)); err != nil {
		t.Fatal(err)
	}
	if plain := server.Messages()[1]; bytes.Contains(plain.Raw, []byte("0b6e4f")) || plain.From != "no-reply@example.com" {
		t.Errorf("the next one is from %s:\n%s", plain.From, plain.Raw)
	}
}

// The logo is a part of the mail, named by the HTML: Gmail and Outlook show no data URLs.
func TestTheLogoIsInsideTheMail(t *testing.T) {
	t.Parallel()
	b := branded(t)
	list, err := example(t).Samples("en", b)
	if err != nil {
		t.Fatal(err)
	}
	m := list[0]
	msg, err := netmail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	if _, err := parts.NextPart(); err != nil {
		t.Fatal(err)
	}
	picture, err := parts.NextPart()
	if err != nil {
		t.Fatal(err)
	}
	if kind, _, err := mime.ParseMediaType(picture.Header.Get("Content-Type")); err != nil || kind != "image/png" {
		t.Errorf("the picture is %s (%v)", kind, err)
	}
	if d := picture.Header.Get("Content-Disposition"); !strings.HasPrefix(d, "inline") {
		t.Errorf("the picture is %s", d)
	}
	id := strings.Trim(picture.Header.Get("Content-Id"), "<>")
	if !strings.Contains(m.HTML, `src="cid:`+id+`"`) {
		t.Errorf("the HTML does not show the picture %s", id)
	}
	encoded, err := io.ReadAll(picture)
	if err != nil {
		t.Fatal(err)
	}
	if got := decodeBase64(t, encoded); !bytes.Equal(got, b.Logo.Data) {
		t.Error("another picture arrives")
	}
	if page := m.Page(); !strings.Contains(page, `src="data:image/png;base64,`) || strings.Contains(page, "cid:") {
		t.Error("a browser would not show the picture")
	}
}

// The name of an account is told once: when it is that of the brand, it is there already.
func TestTheBrandsOwnAccountIsNotRepeated(t *testing.T) {
	t.Parallel()
	l := linkMail(t)
	l.Brand = branded(t)
	for name, labelled := range map[string]bool{"Ärzte & Co.": false, "Notes": true} {
		l.User.Accounts = []reset.Account{{ID: 1, Name: name}}
		m, err := example(t).Link(l)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(m.Text, "Account: "); got != labelled {
			t.Errorf("for %q: %v\n%s", name, got, m.Text)
		}
	}
}

func TestNoBrandInjectsAnything(t *testing.T) {
	t.Parallel()
	server := smtptest.Start(t)
	m := newMailer(t, server.URL())
	for i, name := range append(hostile, `a"b\c`, "日本語 😀", "שלום") {
		l := linkMail(t)
		l.Brand = branded(t)
		// What set it has refused such names; a directory of somebody else's may not.
		l.Brand.Name, l.Brand.SenderName, l.Brand.Support = name, name, "help@example.com"
		if err := m.SendLink(t.Context(), l); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		got := server.Messages()[i]
		p := parse(t, got.Raw)
		from, err := p.header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "hello@aerzte.example.com" || strings.ContainsAny(from[0].Name, "\r\n") {
			t.Fatalf("%q is from %v (%v)", name, from, err)
		}
		if len(p.header) != 10 || len(got.To) != 1 || strings.Contains(p.html, "<script") || strings.Count(p.html, "<img") != 1 {
			t.Fatalf("%q made\n%s", name, got.Raw)
		}
		if r := references(p.html); r.script || r.loaded != "" || len(r.links) != 3 {
			t.Errorf("%q made %+v", name, r)
		}
	}
}

// TestColoursAreNotMixedUp: many brands at once, more than are kept ready.
func TestColoursAreNotMixedUp(t *testing.T) {
	t.Parallel()
	templates, err := LoadTemplates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := composer(t, Sender{From: "Example <no-reply@example.com>", Templates: templates})
	for i := range mostFolded + 10 {
		l := linkMail(t)
		l.Brand = branded(t)
		l.Brand.Accent = reset.Color("#0000" + string("0123456789abcdef"[i/16]) + string("0123456789abcdef"[i%16]))
		for range 2 {
			m, err := c.Link(l)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(m.HTML, "background:"+string(l.Brand.Accent)) || !strings.Contains(m.HTML, "background: "+string(l.Brand.Dark().Accent)) {
				t.Fatalf("of the accent %s nothing is in\n%s", l.Brand.Accent, m.HTML)
			}
		}
	}
	if n := len(c.templates.folding.kept); n > mostFolded {
		t.Errorf("%d templates are kept", n)
	}
}
