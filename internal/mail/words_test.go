package mail

import (
	"mime"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestParagraphsAreWrapped(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for text, want := range map[string]string{
		"": "", "a b": "a b",
		strings.Repeat("word ", 15) + "end":      strings.TrimSpace(strings.Repeat("word ", 14)) + "\nword end",
		"a " + long + " b":                       "a\n" + long + "\nb",
		strings.Repeat("漢", 30) + "。" + "次の文です。": strings.Repeat("漢", 30) + "。\n次の文です。",
	} {
		if got := wrap(text); got != want {
			t.Errorf("%q is wrapped as %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(strings.Fields(rapid.StringMatching(`([a-zäß漢。 ]{0,20} ?){0,30}`).Draw(t, "text")), " ")
		got := wrap(text)
		if strings.Join(strings.Fields(got), "") != strings.Join(strings.Fields(text), "") {
			t.Fatalf("%q became %q", text, got)
		}
		for line := range strings.Lines(got) {
			if columns(strings.TrimSpace(line)) > textWidth && strings.Contains(strings.TrimSpace(line), " ") {
				t.Fatalf("the line %q is too long", line)
			}
		}
	})
}

func TestNamesStayNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Ada Lovelace": "Ada Lovelace", "  Ada \t Lovelace ": "Ada Lovelace", "J.R. Smith": "J. R. Smith", "Łukasz 😀": "Łukasz 😀",
		"Acme GmbH & Co. KG": "Acme GmbH & Co. KG", "https://evil.test/x": "https evil. test x", "a@b.test": "a b. test",
		"O'Neil-Müller": "O'Neil-Müller", "\r\n": "", "👩‍👧 family": "👩‍👧 family", "محمد": "محمد",
	} {
		if got := plainName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func TestOneLineIsOneLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := oneLine(string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")))
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxName || strings.ContainsAny(got, "\r\n\v\f\u0085\u2028\u2029\x00") {
			t.Fatalf("%q", got)
		}
		if again := oneLine(got); again != got {
			t.Fatalf("%q becomes %q", got, again)
		}
	})
}

func TestHeaderTextArrivesAsItWas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := oneLine(rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zäß =?]{0,60}=\?utf-8\?[QB]\?[=0-9A-Za-z]{0,20}\?=[ä ]{0,40}`)).Draw(t, "text"))
		written := headerText(want)
		if strings.ContainsAny(written, "\r\n") || !isASCII(written) {
			t.Fatalf("%q is written as %q", want, written)
		}
		for word := range strings.FieldsSeq(written) {
			if strings.HasPrefix(word, "=?") && len(word) > 75 {
				t.Fatalf("the word %q is too long", word)
			}
		}
		got, err := new(mime.WordDecoder).DecodeHeader(written)
		if err != nil || got != want {
			t.Fatalf("%q arrives as %q (%v)", want, got, err)
		}
	})
}
