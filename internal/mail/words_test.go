package mail

import (
	"mime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSpansAreWords(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "", 0: "", 20 * time.Second: "", 40 * time.Second: "1 minute", time.Minute: "1 minute", 15 * time.Minute: "15 minutes",
		time.Hour: "1 hour", time.Hour - time.Millisecond: "1 hour", 90 * time.Minute: "1 hour and 30 minutes", 24 * time.Hour: "24 hours",
		61 * time.Minute: "1 hour and 1 minute",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestMomentsAreAbsoluteAndUTC(t *testing.T) {
	t.Parallel()
	there := time.FixedZone("UTC+2", 2*60*60)
	if got := moment(time.Date(2026, 11, 23, 16, 5, 0, 0, there)); got != "23 November 2026, 14:05 UTC" {
		t.Errorf("got %q", got)
	}
}

func TestListsOfNames(t *testing.T) {
	t.Parallel()
	many := make([]string, maxAccounts+3)
	for i := range many {
		many[i] = "A"
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"A"}, "A"},
		{[]string{"A", "B"}, "A and B"},
		{[]string{"A", "B", "C"}, "A, B and C"},
		{many, strings.Repeat("A, ", maxAccounts-1) + "A and 3 more"},
	} {
		if got := list(c.names); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
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
