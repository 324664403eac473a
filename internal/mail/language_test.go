package mail

import (
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/bidi"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/i18n/i18ntest"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestTextsAreWhole: no key is missing, none is left over, and each text fits into its place:
// a subject shows whole on a phone's screen turned sideways, a button on one at 320 pixels.
func TestTextsAreWhole(t *testing.T) {
	t.Parallel()
	texts, err := spoken()
	if err != nil {
		t.Fatal(err)
	}
	i18ntest.Check(t, texts, []i18ntest.Limit{
		{Key: ".subject", Most: 45},
		{Key: ".title", Most: 45},
		{Key: ".button", Most: 34},
		{Key: "label.", Most: 30},
		{Key: "detail", Most: 4},
		{Key: "greeting", Most: 20},
		{Key: "greeting_unnamed", Most: 20},
		{Key: "help", Most: 30},
		{Key: "automatic", Most: 60},
		{Key: ".open", Most: 70},
		{Key: "link.fallback", Most: 75},
		{Key: "link.", Most: 180},
		{Key: "notice.", Most: 190},
		{Key: "address.", Most: 200},
		{Key: "unsure.", Most: 200},
		{Key: "partly.", Most: 200},
		{Key: "unknown.", Most: 220},
	}, os.DirFS("."))
}

// mostMail is how large a mail may be without its logo, as it is sent.
const mostMail = 20 << 10

// TestEveryMailInEveryLanguage: what holds for all of them.
func TestEveryMailInEveryLanguage(t *testing.T) {
	t.Parallel()
	c := example(t)
	for _, l := range i18n.Languages() {
		for _, b := range []reset.Brand{{}, branded(t)} {
			list, err := c.Samples(l.Tag, b)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				t.Run(l.Tag+"/"+s.Name+"/"+b.Name, func(t *testing.T) {
					t.Parallel()
					m := parse(t, s.Raw)
					if n := len(s.Raw) - 2*len(b.Logo.Data); n > mostMail {
						t.Errorf("it has %d bytes, at most %d are wanted", n, mostMail)
					}
					if got := m.header.Get("Content-Language"); got != l.Tag || s.Lang != l.Tag {
						t.Errorf("it says that it is in %s", got)
					}
					if m.text != s.Text || m.html != s.HTML {
						t.Error("what arrives is not what was composed")
					}
					speaks(t, l, m)
					harmless(t, m)
				})
			}
		}
	}
}

// speaks fails the test unless a mail says which language it is in, and is.
func speaks(t *testing.T, l i18n.Language, m parsedMail) {
	t.Helper()
	// Gmail takes <html> away, so the element inside of it says the same.
	told := map[string]bool{}
	for tokens := html.NewTokenizer(strings.NewReader(m.html)); tokens.Next() != html.ErrorToken; {
		token := tokens.Token()
		attrs := map[string]string{}
		for _, a := range token.Attr {
			attrs[a.Key] = a.Val
		}
		if token.Data == "html" || attrs["role"] == "article" {
			told[token.Data] = told[token.Data] || attrs["lang"] == l.Tag && attrs["dir"] == l.Dir
		}
	}
	if !told["html"] || !told["div"] {
		t.Errorf("of its elements these say that it is in %s, from %s: %v", l.Tag, l.Dir, told)
	}
	start, end := "left", "right"
	if l.Dir == "rtl" {
		start, end = end, start
	}
	if !strings.Contains(m.html, "text-align:"+start) || strings.Contains(m.html, "text-align:"+end) || strings.Contains(m.html, "border-"+end) {
		t.Errorf("it does not begin at the %s", start)
	}
	foreign, own := 0, 0
	for _, r := range m.text {
		p, _ := bidi.LookupRune(r)
		switch c := p.Class(); {
		case c == bidi.R || c == bidi.AL:
			own++
		case unicode.IsLetter(r):
			foreign++
		}
	}
	if (own > foreign) != (l.Dir == "rtl") {
		t.Errorf("%d letters run to the left, and %d to the right", own, foreign)
	}
	for _, left := range []string{"{{", "}}", "<no value>", "ZgotmplZ", "%!"} {
		if strings.Contains(m.text+m.html, left) {
			t.Errorf("it has %q in it", left)
		}
	}
}

// harmless fails the test if a mail loads something, is not prepared for dark
// mode, or if its parts do not lead to the same places.
func harmless(t *testing.T, m parsedMail) {
	t.Helper()
	r := references(m.html)
	if r.loaded != "" || r.script {
		t.Errorf("it loads %q, or has a script", r.loaded)
	}
	slices.Sort(r.links)
	for _, link := range slices.Compact(r.links) {
		if text := strings.TrimPrefix(link, "mailto:"); !strings.Contains(m.text, text) {
			t.Errorf("the HTML part leads to %s, and the text part does not", link)
		}
	}
	for _, link := range urlLike.FindAllString(m.text, -1) {
		if !slices.Contains(r.links, link) {
			t.Errorf("the text part leads to %s, and the HTML part does not", link)
		}
	}
	for _, want := range []string{`name="color-scheme" content="light dark"`, "prefers-color-scheme: dark", "mso-padding-alt"} {
		if !strings.Contains(m.html, want) && (want != "mso-padding-alt" || strings.Contains(m.html, `class="button"`)) {
			t.Errorf("it lacks %q", want)
		}
	}
	if m.header.Get("Auto-Submitted") != "auto-generated" || m.header.Get("List-Unsubscribe") != "" {
		t.Error("its headers are not those of a mail that somebody has just asked for")
	}
	// The preheader is the first text that is shown beside the subject.
	body := false
	for tokens := html.NewTokenizer(strings.NewReader(m.html)); tokens.Next() != html.ErrorToken; {
		token := tokens.Token()
		body = body || token.Data == "body"
		if text := strings.TrimSpace(token.Data); body && token.Type == html.TextToken && text != "" {
			first, _, _ := strings.Cut(text, "\n")
			if !strings.Contains(strings.ReplaceAll(m.text, "\n", ""), first[:min(len(first), 20)]) {
				t.Errorf("the preheader is %q", first)
			}
			break
		}
	}
}

func TestTheLanguageIsTheUsers(t *testing.T) {
	t.Parallel()
	const from = "Example <a@example.com>"
	for _, c := range []struct{ service, locale, want string }{
		{"", "", "en"},
		{"", "de", "de"},
		{"", "de-AT", "de"},
		{"", "pt-PT", "pt"},
		{"", "xx", "en"},
		{"fr", "", "fr"},
		{"fr", "xx", "fr"},
		{"fr", "not a tag", "fr"},
		{"fr", "uk", "uk"},
		{"fr", "en", "en"},
		{"fr", "zh", "fr"},
	} {
		sender := Sender{From: from, Language: c.service}
		l := linkMail(t)
		l.User.Locale = c.locale
		m, err := composer(t, sender).Link(l)
		if err != nil {
			t.Fatal(err)
		}
		if m.Lang != c.want {
			t.Errorf("to %q, of a service that speaks %q, it is in %s, want %s", c.locale, c.service, m.Lang, c.want)
		}
	}
	m, err := composer(t, Sender{From: from, Language: "ja"}).Unknown(reset.UnknownMail{To: address(t, "x@example.com"), ForgotURL: "https://reset.example.com/forgot"})
	if err != nil || m.Lang != "ja" {
		t.Errorf("to a stranger it is in %s (%v)", m.Lang, err)
	}
}
