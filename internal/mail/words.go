package mail

import (
	"encoding/base64"
	"fmt"
	"mime"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The longest a name may be in a mail, in characters, and how many accounts are listed.
const (
	maxName     = 80
	maxAccounts = 20
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

// list is "A", "A and B", "A, B and C".
func list(names []string) string {
	if len(names) > maxAccounts {
		rest := len(names) - maxAccounts
		names = append(names[:maxAccounts:maxAccounts], fmt.Sprintf("%d more", rest))
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// moment is a time for people anywhere: "23 November 2026, 14:05 UTC".
func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

// span says how long d is, to the nearest minute: "1 hour", "1 hour and 30
// minutes"; nothing if less than a minute is left.
func span(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	if minutes < 1 {
		return ""
	}
	var parts []string
	if h := minutes / 60; h > 0 {
		parts = append(parts, count(h, "hour"))
	}
	if m := minutes % 60; m > 0 {
		parts = append(parts, count(m, "minute"))
	}
	return strings.Join(parts, " and ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
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
