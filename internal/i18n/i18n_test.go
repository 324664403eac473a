package i18n_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/i18n/i18ntest"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/formats"
	"github.com/sparekey/sparekey/internal/reset"
)

// room makes the files of a room: the same text in every language, but for those that change changes.
func room(text string, change map[string]string) fs.FS {
	files := fstest.MapFS{}
	for _, l := range i18n.Languages() {
		content := text
		if other, ok := change[l.Tag]; ok {
			content = other
		}
		if content != "" {
			files["texts/room."+l.Tag+".toml"] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return files
}

func in(t testing.TB, tag string) i18n.Localizer {
	t.Helper()
	texts, err := i18n.Load(room(`greeting = "Hello {{.Name}}, at {{.Place}}!"`, nil), "room")
	if err != nil {
		t.Fatal(err)
	}
	l, ok := i18n.Lookup(tag)
	if !ok {
		t.Fatalf("there is no language %q", tag)
	}
	return texts.In(l)
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		preferences []string
		want        string
	}{
		{nil, "en"},
		{[]string{""}, "en"},
		{[]string{"de"}, "de"},
		{[]string{"de-AT"}, "de"},
		{[]string{"de_CH"}, "de"}, // as POSIX writes it
		{[]string{"pt-PT,pt;q=0.9,en;q=0.8"}, "pt"},
		{[]string{"ja-JP"}, "ja"},
		{[]string{"iw"}, "he"},
		{[]string{"ar-EG"}, "ar"},
		{[]string{"gsw"}, "de"}, // who speaks Swiss German reads German
		{[]string{"zh-CN,zh;q=0.9,fr;q=0.5"}, "fr"},
		{[]string{"en;q=0.2, uk;q=0.9"}, "uk"},
		{[]string{"zh"}, "en"},
		{[]string{"*"}, "en"},
		{[]string{"de;q=0"}, "en"},
		{[]string{"de;q=0, pl;q=0.1"}, "pl"},
		{[]string{"", "zh", "it", "de"}, "it"}, // the first that fits
		{[]string{"<script>", "es"}, "es"},
		{[]string{"\x00\xff", "es"}, "es"},
		{[]string{strings.Repeat("de,", 400), "es"}, "es"}, // nobody prefers that much
		{[]string{strings.Repeat("-", 511)}, "en"},
	} {
		if got := i18n.Match(c.preferences...); got.Tag != c.want {
			t.Errorf("%.60q: got %s, want %s", c.preferences, got.Tag, c.want)
		}
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, l := range i18n.Languages() {
		if got, ok := i18n.Lookup(l.Tag); !ok || got.Name != l.Name || i18n.Match(l.Tag).Tag != l.Tag {
			t.Errorf("%s is not found: %v", l.Tag, got)
		}
		if want := l.Tag == "ar" || l.Tag == "he"; (l.Dir == "rtl") != want || l.Dir != "rtl" && l.Dir != "ltr" {
			t.Errorf("%s is written %q", l.Tag, l.Dir)
		}
	}
	for _, tag := range []string{"", "DE", "de-AT", "zh", "../de"} {
		if _, ok := i18n.Lookup(tag); ok {
			t.Errorf("%q is a language", tag)
		}
	}
}

// TestPluralForms: the forms that a language is said to have are those that its rules give to any number, and that
// go-i18n picks them.
func TestPluralForms(t *testing.T) {
	t.Parallel()
	forms := &goi18n.Message{ID: "f", Zero: "zero", One: "one", Two: "two", Few: "few", Many: "many", Other: "other"}
	for _, l := range i18n.Languages() {
		bundle := goi18n.NewBundle(language.English)
		bundle.MustAddMessages(language.MustParse(l.Tag), forms)
		found := map[string]bool{}
		for n := range 202 {
			for _, number := range []any{n, n * 1_000_000, fmt.Sprintf("%d.5", n)} {
				got, err := goi18n.NewLocalizer(bundle, l.Tag).Localize(&goi18n.LocalizeConfig{MessageID: "f", PluralCount: number})
				if err != nil {
					t.Fatal(err)
				}
				found[got] = true
			}
		}
		if len(found) != len(l.Forms()) {
			t.Errorf("%s: has %v and is said to have %v", l.Tag, found, l.Forms())
		}
		for _, form := range l.Forms() {
			if !found[form] {
				t.Errorf("%s: no number takes the form %s", l.Tag, form)
			}
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 15, 5, 0, 0, time.FixedZone("CET", 3600))
	first := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for tag, want := range map[string][]string{
		"en": {"23 November 2026, 14:05 UTC", "1 May 2026, 00:00 UTC", "14:05 UTC", "1 hour and 30 minutes", "2 hours", "A, B and C"},
		"de": {"23. November 2026, 14:05 Uhr UTC", "1. Mai 2026, 00:00 Uhr UTC", "14:05 Uhr UTC", "1 Stunde und 30 Minuten", "2 Stunden", "A, B und C"},
		"fr": {"23 novembre 2026 à 14:05 UTC", "1er mai 2026 à 00:00 UTC", "14:05 UTC", "1 heure et 30 minutes", "2 heures", "A, B et C"},
		"es": {"23 de noviembre de 2026, 14:05 UTC", "1 de mayo de 2026, 00:00 UTC", "14:05 UTC", "1 hora y 30 minutos", "2 horas", "A, B y C"},
		"it": {"23 novembre 2026, ore 14:05 UTC", "1º maggio 2026, ore 00:00 UTC", "14:05 UTC", "1 ora e 30 minuti", "2 ore", "A, B e C"},
		"pt": {"23 de novembro de 2026, 14:05 UTC", "1 de maio de 2026, 00:00 UTC", "14:05 UTC", "1 hora e 30 minutos", "2 horas", "A, B e C"},
		"pl": {"23 listopada 2026, 14:05 UTC", "1 maja 2026, 00:00 UTC", "14:05 UTC", "1 godzinę i 30 minut", "2 godziny", "A, B i C"},
		"uk": {"23 листопада 2026 р., 14:05 UTC", "1 травня 2026 р., 00:00 UTC", "14:05 UTC", "1 годину і 30 хвилин", "2 години", "A, B і C"},
		"ja": {"2026年11月23日 14:05（UTC）", "2026年5月1日 00:00（UTC）", "14:05（UTC）", "1時間30分", "2時間", "A、B、C"},
		"ar": {"23 نوفمبر 2026، الساعة 14:05 UTC", "1 مايو 2026، الساعة 00:00 UTC", "14:05 UTC", "ساعة واحدة و30 دقيقة", "ساعتين", "\u2068A\u2069 و\u2068B\u2069 و\u2068C\u2069"},
		"he": {"23 בנובמבר 2026, 14:05 UTC", "1 במאי 2026, 00:00 UTC", "14:05 UTC", "שעה אחת ו-30 דקות", "שעתיים", "\u2068A\u2069, \u2068B\u2069 ו-\u2068C\u2069"},
	} {
		l := in(t, tag)
		got := []string{
			l.Moment(at), l.Moment(first), l.Clock(at), l.Span(90 * time.Minute), l.Span(2*time.Hour + 20*time.Second), l.List([]string{"A", "B", "C"}, 0),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", tag, diff)
		}
	}
}

func TestSpans(t *testing.T) {
	t.Parallel()
	l := in(t, "en")
	for d, want := range map[time.Duration][2]string{
		-time.Minute:                   {"", "1 second"},
		0:                              {"", "1 second"},
		29 * time.Second:               {"", "29 seconds"},
		30*time.Second + 1:             {"1 minute", "31 seconds"},
		59 * time.Second:               {"1 minute", "59 seconds"},
		59*time.Second + 1:             {"1 minute", "1 minute"},
		time.Minute:                    {"1 minute", "1 minute"},
		61 * time.Second:               {"1 minute", "2 minutes"},
		time.Hour:                      {"1 hour", "1 hour"},
		time.Hour - time.Second:        {"1 hour", "1 hour"},
		24 * time.Hour:                 {"24 hours", "24 hours"},
		90*time.Minute + 5*time.Second: {"1 hour and 30 minutes", "1 hour and 31 minutes"},
	} {
		if got := [2]string{l.Span(d), l.Wait(d)}; got != want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	l := in(t, "en")
	for want, names := range map[string][]string{
		"": nil, "A": {"A"}, "A and B": {"A", "B"}, "A, B and C": {"A", "B", "C"}, "A, B, C and 2 more": {"A", "B", "C", "D", "E"},
		"A and \u2068שלום\u2069": {"A", "שלום"},
	} {
		if got := l.List(names, 3); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := l.List([]string{"{{.B}}", "{{.A}}"}, 0); got != "{{.B}} and {{.A}}" {
		t.Errorf("names are read as texts: %q", got)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	l := in(t, "en")
	if got := l.Text("greeting", i18n.Data{"Name": "{{.Place}}", "Place": 7}); got != "Hello {{.Place}}, at 7!" {
		t.Errorf("got %q", got)
	}
	if got := in(t, "he").Text("greeting", i18n.Data{"Name": "Ada", "Place": "תל אביב"}); got != "Hello \u2068Ada\u2069, at תל אביב!" {
		t.Errorf("got %q", got)
	}
	if got := l.Text("nothing", nil); got != "nothing" || l.Has("nothing") {
		t.Errorf("got %q", got)
	}
	want := []i18n.Part{{Text: "Hello "}, {Text: "<b>", Name: "Name"}, {Text: ", at "}, {Text: "x", Name: "Place"}, {Text: "!"}}
	if diff := cmp.Diff(want, l.Parts("greeting", i18n.Data{"Name": "<b>", "Place": "x"})); diff != "" {
		t.Error(diff)
	}
}

func TestLoadRefusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	const fine = "a = \"{{.X}} and {{.Y}}\"\n[b]\none = \"{{.Count}} thing\"\nother = \"{{.Count}} things\"\n"
	forms := func(names ...string) string {
		text := "a = \"{{.X}} and {{.Y}}\"\n[b]\n"
		for _, n := range names {
			text += n + " = \"{{.Count}}\"\n"
		}
		return text
	}
	whole := map[string]string{}
	for _, l := range i18n.Languages() {
		whole[l.Tag] = forms(l.Forms()...)
	}
	for name, c := range map[string]struct{ tag, text, complaint string }{
		"fine":                     {"de", fine, ""},
		"a number in words":        {"ar", strings.Replace(whole["ar"], `two = "{{.Count}}"`, `two = "a pair"`, 1), ""},
		"a file missing":           {"ja", "", "room.ja.toml"},
		"no TOML":                  {"de", "a = ", "room.de.toml"},
		"a key missing":            {"de", "a = \"{{.X}} and {{.Y}}\"", "room.de.toml: the key b is missing"},
		"a key too many":           {"de", "c = \"x\"\n" + fine, "the key c is not there in English"},
		"a common key":             {"", "moment = \"x\"\n", "the key moment is a common one"},
		"a placeholder missing":    {"de", strings.Replace(fine, "{{.X}}", "X", 1), "a: its placeholders are [Y] and have to be [X Y]"},
		"a placeholder misspelled": {"de", strings.Replace(fine, "{{.X}}", "{{.Z}}", 1), "a: its placeholders are [Y Z]"},
		"a form missing":           {"pl", strings.Replace(whole["pl"], "few", "#", 1), `room.pl.toml: b: the form "few" is missing`},
		"a form too many":          {"de", fine + "many = \"{{.Count}}\"\n", `b: the form "many" is missing, or there and not used`},
		"no forms":                 {"de", "a = \"{{.X}} and {{.Y}}\"\nb = \"{{.Count}}\"\n", "b: it has plural forms here or in English"},
		"a template":               {"de", strings.Replace(fine, "{{.X}}", "{{if .X}}{{end}}{{.X}}", 1), "what is in braces is no placeholder"},
		"an open brace":            {"de", strings.Replace(fine, "and", "and {{.", 1), "what is in braces is no placeholder"},
		"a single brace":           {"de", strings.Replace(fine, "and", "{.X}", 1), "what is in braces is no placeholder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := map[string]string{}
			for tag, text := range whole {
				change[tag] = text
				if c.tag == "" {
					change[tag] = c.text
				}
			}
			if c.tag != "" {
				change[c.tag] = c.text
			}
			texts, err := i18n.Load(room("", change), "room")
			if (err == nil) != (c.complaint == "") || err != nil && !strings.Contains(err.Error(), c.complaint) || (texts == nil) != (err != nil) {
				t.Errorf("got %v, want an error with %q", err, c.complaint)
			}
		})
	}
}

// TestRefusals: whatever the policy has against a password is said in every language.
func TestRefusals(t *testing.T) {
	t.Parallel()
	address, err := reset.ParseAddress("bartholomew@fitzgerald.example")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := password.NewPolicy(password.Options{
		MinLength: 15, MaxLength: 64, MinStrength: 1, ServiceName: "Carpathian Services", Leaked: leaked{},
	})
	if err != nil {
		t.Fatal(err)
	}
	user := reset.User{Email: address, Name: "Emmanuela Underwood", Standing: reset.Standing{Accounts: []reset.Account{{Name: "Amalgamated Widgets"}}}}
	for typed, want := range map[string]string{
		"short":                           "Use at least 15 characters; this one has 5.",
		"a bird in the hand, " + long(50): "Use at most 64 characters.",
		long(4000):                        "Use at most 64 characters.",
		"not text at all\xff":             "The password did not arrive as readable text. Please type it again.",
		"bartholomew@fitzgerald.example":  "Use something that is not mostly your email address.",
		"bartholomewbartholomew":          "Use something that is not mostly the name in your email address.",
		"fitzgerald.example 12":           "Use something that is not mostly the domain of your email address.",
		"emmanuela underwood":             "Use something that is not mostly your name.",
		"amalgamated widgets":             "Use something that is not mostly the name of your account.",
		"carpathian services":             "Use something that is not mostly the name of this service.",
		"passwordpassword":                "This is a well-known password, a row of keys or a repetition. A few words that have nothing to do with each other work well.",
		"a bird in the hand":              "This password is in a list of leaked ones. A few words that have nothing to do with each other work well.",
		"monkeydragonmaster":              "This password is easy to guess. A few more words that have nothing to do with each other work well.",
		"a bird\tin the bush":             "Leave out control characters such as tabs and line breaks. All other characters are welcome, spaces and emoji too.",
	} {
		refusals, err := policy.Check(t.Context(), typed, user)
		if err != nil || len(refusals) != 1 {
			t.Errorf("%q: %v, %v", typed, refusals, err)
			continue
		}
		for _, l := range i18n.Languages() {
			got, ok := in(t, l.Tag).Refusal(refusals[0].Code, refusals[0].Params)
			if !ok || l.Tag == "en" && got != want || strings.Contains(got, "{{") || utf8.RuneCountInString(got) > 180 {
				t.Errorf("%s, %v: got %q, %v, want %q", l.Tag, refusals[0], got, ok, want)
			}
		}
	}
}

// TestRefusalsOfADirectory: some come from where the password is to be kept, not from the policy.
func TestRefusalsOfADirectory(t *testing.T) {
	t.Parallel()
	h, err := password.NewHasher(password.DefaultParams(), 1, 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	f, err := formats.Parse("bcrypt")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.Writer(f).Hash(t.Context(), strings.Repeat("é", 37), nil)
	refused, ok := errors.AsType[*reset.Error](err)
	if !ok {
		t.Fatal(err)
	}
	reasons, _ := refused.Details["password"].([]reset.Refusal)
	if len(reasons) != 1 {
		t.Fatalf("the reasons are %v", reasons)
	}
	said := map[string]bool{}
	for _, l := range i18n.Languages() {
		got, ok := in(t, l.Tag).Refusal(reasons[0].Code, reasons[0].Params)
		if !ok || said[got] || !strings.Contains(got, "72") || strings.Contains(got, "{{") {
			t.Errorf("%s: %q, %v", l.Tag, got, ok)
		}
		said[got] = true
	}
}

// TestRefusalsOfLDAP: each reason that a directory behind LDAP has of its own is said in every language, in its own words.
func TestRefusalsOfLDAP(t *testing.T) {
	t.Parallel()
	for _, code := range []string{
		ldapdir.CodeTooShortThere, ldapdir.CodeTooLongThere, ldapdir.CodeComplexity, ldapdir.CodeContainsName, ldapdir.CodeUsedBefore,
		ldapdir.CodeTooSoon, ldapdir.CodeTooSimple, ldapdir.CodeNotAllowed,
	} {
		said := map[string]bool{}
		for _, l := range i18n.Languages() {
			got, ok := in(t, l.Tag).Refusal(code, nil)
			if !ok || said[got] || strings.Contains(got, "{{") || utf8.RuneCountInString(got) > 180 {
				t.Errorf("%s, %s: %q, %v", l.Tag, code, got, ok)
			}
			said[got] = true
		}
	}
}

func TestRefusalsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	l := in(t, "de")
	for code, params := range map[string]map[string]any{
		"":          nil,
		"new":       nil,
		"context":   {"what": "colour"},
		"too_short": {"min": 15},
		"too_long":  nil,
	} {
		if got, ok := l.Refusal(code, params); ok {
			t.Errorf("%s %v: %q", code, params, got)
		}
	}
}

// TestRefusalsArePlural: the least length is the operator's, and its noun follows it.
func TestRefusalsArePlural(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{8: "8 znaków", 21: "21 znaków", 22: "22 znaki"} {
		got, _ := in(t, "pl").Refusal("too_short", map[string]any{"min": n, "length": 3})
		if !strings.Contains(got, want) {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// TestLanguagesAreTranslated: no text was left in English.
func TestLanguagesAreTranslated(t *testing.T) {
	t.Parallel()
	english := in(t, "en")
	for _, l := range i18n.Languages()[1:] {
		got := in(t, l.Tag)
		for _, code := range []string{"invalid_utf8", "control_character", "common", "breached", "too_weak"} {
			a, _ := english.Refusal(code, nil)
			if b, _ := got.Refusal(code, nil); a == b {
				t.Errorf("%s: %s is %q", l.Tag, code, b)
			}
		}
	}
}

// TestCommonTexts: none is missing, left over or too long.
func TestCommonTexts(t *testing.T) {
	t.Parallel()
	texts, err := i18n.LoadCommon()
	if err != nil {
		t.Fatal(err)
	}
	i18ntest.Check(t, texts, []i18ntest.Limit{
		{Key: "moment", Most: 20},
		{Key: "clock", Most: 10},
		{Key: "first", Most: 4},
		{Key: "month.", Most: 12},
		{Key: "span.", Most: 16},
		{Key: "list.", Most: 10},
		{Key: "refusal.", Most: 180},
	}, os.DirFS("."))
}

func long(n int) string {
	return strings.Repeat(strings.Join(slices.Collect(strings.SplitSeq("abcdefghij klmnop", "")), ""), n/10+1)
}

type leaked struct{}

func (leaked) Has(_ context.Context, d password.Digest) (bool, error) {
	return d == password.DigestOf("a bird in the hand"), nil
}

func BenchmarkLoadCommon(b *testing.B) {
	for b.Loop() {
		if _, err := i18n.LoadCommon(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkText(b *testing.B) {
	l := in(b, "pl")
	data := i18n.Data{"Count": 5}
	for b.Loop() {
		l.Text("span.hours", data)
	}
}
