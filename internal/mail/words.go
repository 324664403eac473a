package mail

import (
	"encoding/base64"
	"iter"
	"mime"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest a name may be in a mail, in characters, how many accounts are
// listed, and how wide the text part is, in columns.
const (
	maxName     = 80
	maxAccounts = 20
	textWidth   = 72
)

// oneLine makes any text one line that hides nothing: control characters, line
// and paragraph separators and the marks that turn the direction of writing
// become spaces, runs of spaces one space, and what is longer than a name is cut. Without line breaks nothing can be put into a
// header or pose as a paragraph of ours (CWE-93).
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.IsSpace(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\ufeff':
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > maxName {
		s = strings.TrimSpace(string([]rune(s)[:maxName-1])) + "…"
	}
	return s
}

// oneSubject makes a subject one line, whatever a template wrote.
func oneSubject(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r)
	}), " ")
}

// plainName is oneLine for names that users and accounts gave themselves. Mail
// programs make links of whatever looks like an address, and the only link in
// a mail is ours: so / \ : @ become spaces and a dot inside a word gets one after it.
func plainName(s string) string {
	var b strings.Builder
	var last rune
	for _, r := range s {
		switch {
		case strings.ContainsRune(`/\:@`, r):
			r = ' '
		case last == '.' && (unicode.IsLetter(r) || unicode.IsDigit(r)):
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		last = r
	}
	return oneLine(b.String())
}

// wrap breaks a paragraph into lines of at most textWidth columns: at spaces,
// and after the stops of languages that have none. A word that is longer, such as
// an address, stays whole.
func wrap(s string) string {
	var b strings.Builder
	column := 0
	for word := range words(s) {
		bare := strings.TrimRight(word, " ")
		if w := columns(bare); column > 0 && column+w > textWidth {
			b.WriteByte('\n')
			column = 0
		}
		b.WriteString(word)
		column += columns(word)
	}
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

// words are the pieces between which a line may be broken, each with what follows it.
func words(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		from := 0
		for i, r := range s {
			end := i + utf8.RuneLen(r)
			if strings.ContainsRune(" 。、？！", r) {
				if !yield(s[from:end]) {
					return
				}
				from = end
			}
		}
		if from < len(s) {
			yield(s[from:])
		}
	}
}

// columns is how wide a text is where letters have one width: those of East Asia take two.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
		case r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r >= 0x3000 && r <= 0x303f, r >= 0xff01 && r <= 0xff60:
			n += 2
		default:
			n++
		}
	}
	return n
}

// headerText is a header's text (RFC 2047). Text that looks like an encoded
// word itself is encoded whole: it would be decoded on arrival otherwise, into
// line breaks for example.
func headerText(s string) string {
	if !strings.Contains(s, "=?") {
		return mime.QEncoding.Encode("utf-8", s)
	}
	const most = 45 // bytes in a word of at most 75 characters (RFC 2047, 2)
	var words []string
	for s != "" {
		n := min(len(s), most)
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		words = append(words, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(words, " ")
}

// displayName is a name as it stands before an address (RFC 5322, 3.4).
func displayName(name string) string {
	if strings.Contains(name, "=?") {
		return headerText(name)
	}
	written := (&netmail.Address{Name: name, Address: "a@a"}).String()
	return strings.TrimSuffix(written, " <a@a>")
}
