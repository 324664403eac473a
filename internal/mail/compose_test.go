package mail

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/reset"
)

func composer(tb testing.TB, s Sender) *Composer {
	tb.Helper()
	c, err := NewComposer(s, func() time.Time { return testNow })
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func example(tb testing.TB) *Composer {
	return composer(tb, Sender{From: "Example <no-reply@example.com>", BaseURL: "https://reset.example.com"})
}

func noticeMail(tb testing.TB) reset.NoticeMail {
	return reset.NoticeMail{User: ada(tb), ChangedAt: testNow, ForgotURL: "https://reset.example.com/forgot"}
}

// parsedMail is a mail as a mail program sees it.
type parsedMail struct {
	header     netmail.Header
	text, html string
}

// parse reads a mail of two parts, beside a logo perhaps, and fails the test on any other.
func parse(t *testing.T, raw []byte) parsedMail {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	body := msg.Body
	if kind == "multipart/related" {
		first, err := multipart.NewReader(body, params["boundary"]).NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if kind, params, err = mime.ParseMediaType(first.Header.Get("Content-Type")); err != nil {
			t.Fatal(err)
		}
		body = first
	}
	if kind != "multipart/alternative" {
		t.Fatalf("the mail is %s", kind)
	}
	var bodies []string
	parts := multipart.NewReader(body, params["boundary"])
	for _, want := range []string{"text/plain", "text/html"} { // the richest last (RFC 2046, 5.1.4)
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || kind != want || !strings.EqualFold(params["charset"], "utf-8") {
			t.Fatalf("a part is %s in %s (%v), want %s in UTF-8", kind, params["charset"], err, want)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Fatalf("there is a third part, or %v", err)
	}
	return parsedMail{header: msg.Header, text: bodies[0], html: bodies[1]}
}

func decodeBase64(t *testing.T, text []byte) []byte {
	t.Helper()
	out, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTheLinkMailSaysWhatItMust(t *testing.T) {
	t.Parallel()
	l := linkMail(t)
	m, err := example(t).Link(l)
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, m.Raw)
	want := `Hello Ada Lovelace,

Somebody, hopefully you, asked Example for a new password.

Email address: ada@example.com
Accounts: Analytical Engines and Notes

To choose a new password, open this link:

` + l.Link + `

The link works once. It is good until 23 November 2026, 14:05 UTC, that
is for 1 hour.
The new password will hold in all of these accounts.

If it was not you, you can safely ignore this email: nothing has
changed, and your password stays as it is.

Example
This is an automatic email from Example.
`
	if diff := cmp.Diff(want, got.text); diff != "" {
		t.Errorf("the text part differs (-want +got):\n%s", diff)
	}
	if s := got.header.Get("Subject"); s != "Example: choose a new password for ada@example.com" {
		t.Errorf("the subject is %q", s)
	}
	for _, word := range []string{
		"Hello Ada Lovelace,", "asked Example for", "Choose a new password</a>", "ada@example.com", "Analytical Engines and Notes", "23 November 2026, 14:05 UTC", "1 hour",
		"safely ignore", "nothing has changed", `href="` + l.Link + `"`,
	} {
		if !strings.Contains(got.html, word) {
			t.Errorf("the HTML part lacks %q", word)
		}
	}
	links(t, got, l.Link)
}

// Of a new address both addresses are told, and neither which the other one is.
func TestTheNoticeOfAnAddressSaysWhatItMust(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		former bool
		where  string
	}{
		{true, "Links for a new password no longer come to this address, but to the new\none. Links that came before no longer work.\n"},
		{false, "Links for a new password come to this address from now on. Links that\ncame before no longer work.\n"},
	} {
		n := noticeMail(t)
		n.Matter, n.Former = reset.MatterAddress, c.former
		m, err := example(t).Notice(n)
		if err != nil {
			t.Fatal(err)
		}
		got := parse(t, m.Raw)
		want := `Hello Ada Lovelace,

Your email address at Example was changed.

Email address: ada@example.com
Accounts: Analytical Engines and Notes
Changed: 23 November 2026, 13:05 UTC

` + c.where + `
If you know of this, there is nothing to do.

If you do not, somebody else may be about to take over your account.
Tell your administrator at once.

Example
This is an automatic email from Example.
`
		if diff := cmp.Diff(want, got.text); diff != "" {
			t.Errorf("the text part differs (-want +got):\n%s", diff)
		}
		for _, sentence := range []string{strings.ReplaceAll(strings.TrimSpace(c.where), "\n", " "), "Tell your administrator at once."} {
			if !strings.Contains(got.html, sentence) {
				t.Errorf("the HTML part lacks %q", sentence)
			}
		}
		if s := got.header.Get("Subject"); s != "Example: your email address was changed" {
			t.Errorf("the subject is %q", s)
		}
		if strings.Contains(got.text+got.html, "://") {
			t.Error("it has a link")
		}
	}
}

func TestTheNoticeSaysWhatItMust(t *testing.T) {
	t.Parallel()
	n := noticeMail(t)
	m, err := example(t).Notice(n)
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, m.Raw)
	want := `Hello Ada Lovelace,

Your password at Example was changed.

Email address: ada@example.com
Accounts: Analytical Engines and Notes
Changed: 23 November 2026, 13:05 UTC

If that was you, there is nothing to do.

If it was not you, somebody else may have your account. Choose another
password at once, and tell your administrator.

Ask for a link here:

https://reset.example.com/forgot

Example
This is an automatic email from Example.
`
	if diff := cmp.Diff(want, got.text); diff != "" {
		t.Errorf("the text part differs (-want +got):\n%s", diff)
	}
	for _, word := range []string{"Your password was changed", "23 November 2026, 13:05 UTC", "ada@example.com", `href="` + n.ForgotURL + `"`, "tell your administrator"} {
		if !strings.Contains(got.html, word) {
			t.Errorf("the HTML part lacks %q", word)
		}
	}
	links(t, got, n.ForgotURL)
}

// What became of a password elsewhere is said as plainly as it is known, with the way to another link.
func TestTheNoticesOfChangesElsewhereSayWhatTheyMust(t *testing.T) {
	t.Parallel()
	for matter, c := range map[reset.Matter]struct {
		subject string
		has     []string
		hasNot  []string
	}{
		reset.MatterUnsure: {
			"Example: was the password of ada@example.com changed?",
			[]string{"could not find out whether it took effect", "the link from our email", "try to log in with the new password", "Accounts: Analytical Engines and Notes", "If it was not you, somebody else"},
			[]string{"was changed.", "nothing to do"},
		},
		reset.MatterPartly: {
			"Example: the password of ada@example.com was changed in some places",
			[]string{"was changed, but not everywhere", "Changed in: Notes and evil. test x", "Not changed yet in: Analytical Engines", "an email with a link for the rest", "If it was not you, somebody else"},
			[]string{"Accounts:", "nothing to do", "evil.test"},
		},
	} {
		n := noticeMail(t)
		n.Matter = matter
		if matter == reset.MatterPartly {
			n.Done, n.Failed = []string{"Notes", "evil.test/x"}, []string{"Analytical Engines"}
		}
		m, err := example(t).Notice(n)
		if err != nil {
			t.Fatal(err)
		}
		got := parse(t, m.Raw)
		if m.Subject != c.subject {
			t.Errorf("the subject is %q", m.Subject)
		}
		text := strings.Join(strings.Fields(got.text), " ")
		for _, word := range c.has {
			if !strings.Contains(text, word) {
				t.Errorf("%s: the text lacks %q:\n%s", matter, word, got.text)
			}
		}
		for _, word := range c.hasNot {
			if strings.Contains(text, word) || strings.Contains(got.html, word) {
				t.Errorf("%s: it says %q:\n%s", matter, word, got.text)
			}
		}
		links(t, got, n.ForgotURL)
	}
}

// The mail with a link for what a reset left undone says for what it is, and not that nothing has changed.
func TestTheLinkForTheRestSaysWhatItMust(t *testing.T) {
	t.Parallel()
	l := linkMail(t)
	l.Only = []string{"Notes"}
	m, err := example(t).Link(l)
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, m.Raw)
	text := strings.Join(strings.Fields(got.text), " ")
	for _, word := range []string{"does not hold everywhere yet", "Not changed yet in: Notes", l.Link, "The link works once."} {
		if !strings.Contains(text, word) {
			t.Errorf("the text lacks %q:\n%s", word, got.text)
		}
	}
	for _, word := range []string{"Analytical", "nothing has changed", "asked Example"} {
		if strings.Contains(text, word) || strings.Contains(got.html, word) {
			t.Errorf("it says %q:\n%s", word, got.text)
		}
	}
	links(t, got, l.Link)
}

// A user without a name or an account is spoken to all the same.
func TestAUserMayHaveNoNameAndNoAccount(t *testing.T) {
	t.Parallel()
	l := linkMail(t)
	l.User.Name, l.User.Accounts = "", nil
	m, err := example(t).Link(l)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(m.Text, "Hello,\n") || strings.Contains(strings.ToLower(m.Text), "account") {
		t.Errorf("the text is\n%s", m.Text)
	}
	if strings.Contains(m.HTML, "Hello ,") || strings.Contains(m.HTML, "Account") {
		t.Errorf("the HTML is\n%s", m.HTML)
	}
}

var urlLike = regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s"'<>]*`)

// The tags and attributes that a mail may have.
var (
	mailTags  = strings.Fields("html head meta title style body div table tbody tr td h1 p span strong bdi br a img")
	mailAttrs = strings.Fields("lang dir charset name content class style role aria-hidden aria-label aria-roledescription " +
		"width height border cellpadding cellspacing align bgcolor alt")
)

// links fails the test unless the only reference in each part is want: once and
// alone on its line in the text part, by a button and as text in the HTML part.
func links(t *testing.T, m parsedMail, want string) {
	t.Helper()
	if got := urlLike.FindAllString(m.text, -1); len(got) != 1 || got[0] != want {
		t.Errorf("the text part refers to %q, want %s once", got, want)
	}
	if got := urlLike.FindAllString(m.html, -1); !slices.Equal(got, []string{want, want, want}) {
		t.Errorf("the HTML part refers to %q, want %s three times", got, want)
	}
	if !strings.Contains(m.text, "\n\n"+want+"\n\n") {
		t.Error("the link is not alone on its line in the text part")
	}
	var hrefs []string
	for tokens := html.NewTokenizer(strings.NewReader(m.html)); tokens.Next() != html.ErrorToken; {
		token := tokens.Token()
		if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
			continue
		}
		if !slices.Contains(mailTags, token.Data) {
			t.Errorf("the HTML part has a <%s>", token.Data)
		}
		for _, a := range token.Attr {
			switch {
			case a.Key == "href":
				hrefs = append(hrefs, a.Val)
			case a.Key == "style" && strings.ContainsAny(a.Val, "(@\\"):
				t.Errorf("the HTML part has the style %s", a.Val)
			case token.Data == "img" && a.Key == "src" && strings.HasPrefix(a.Val, "cid:"):
			case !slices.Contains(mailAttrs, a.Key):
				t.Errorf("the HTML part has the attribute %s", a.Key)
			}
		}
	}
	if !slices.Equal(hrefs, []string{want, want}) {
		t.Errorf("the HTML part links to %q, want %s", hrefs, want)
	}
	if r := references(m.html); r.loaded != "" || r.script {
		t.Errorf("the HTML part loads %q, or has a script", r.loaded)
	}
}

func TestTheHeadersAreThoseOfAutomaticMailAndNoMore(t *testing.T) {
	t.Parallel()
	m, err := example(t).Link(linkMail(t))
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, m.Raw).header
	want := map[string]string{
		"From": `"Example" <no-reply@example.com>`, "To": "<ada@example.com>", "Date": "Mon, 23 Nov 2026 13:05:00 +0000",
		"Auto-Submitted": "auto-generated", "Content-Language": "en", "Mime-Version": "1.0", "Subject": "Example: choose a new password for ada@example.com",
	}
	for name, value := range want {
		if got.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got.Get(name), value)
		}
	}
	if id := got.Get("Message-Id"); !regexp.MustCompile(`^<[A-Z2-7]{26}@example\.com>$`).MatchString(id) {
		t.Errorf("Message-ID is %q", id)
	}
	for name, values := range got {
		if _, known := want[name]; !known && name != "Message-Id" && name != "Content-Type" {
			t.Errorf("there is a header %s", name)
		}
		if len(values) != 1 {
			t.Errorf("%s is there %d times", name, len(values))
		}
	}
	for line := range bytes.SplitSeq(m.Raw, []byte("\r\n")) {
		if len(line) > 100 || bytes.ContainsAny(line, "\r\n") {
			t.Errorf("the line %q is too long, or not ended by CRLF", line)
		}
	}
}

func TestTheServiceNameHasDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sender Sender
		want   string
	}{
		{Sender{From: "A <a@example.com>", ServiceName: "S", BaseURL: "https://b.example.com"}, "S"},
		{Sender{From: "A <a@example.com>", BaseURL: "https://b.example.com"}, "A"},
		{Sender{From: "a@example.com", BaseURL: "https://b.example.com/x"}, "b.example.com"},
	} {
		if got := composer(t, c.sender).brand.Name; got != c.want {
			t.Errorf("%+v asks as %q, want %q", c.sender, got, c.want)
		}
	}
}

func TestLinksAreWrittenAsConfigured(t *testing.T) {
	t.Parallel()
	for _, link := range []string{
		"http://127.0.0.1:8080/reset/0b9cdd3c-2f6e-4c5e-8f43-4e6c2b1f7a90",
		"https://example.com/" + strings.Repeat("a-very-long-prefix/", 8) + "reset/0b9cdd3c-2f6e-4c5e-8f43-4e6c2b1f7a90",
	} {
		l := linkMail(t)
		l.Link = link
		m, err := example(t).Link(l)
		if err != nil {
			t.Fatal(err)
		}
		links(t, parse(t, m.Raw), link)
	}
}
