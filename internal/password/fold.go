package password

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// plain returns a text without accents and in compatibility form, so that é is
// e and Ａ is A; a text of nothing but marks stays as it is.
func plain(s string) string {
	bare := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(s))
	if bare == "" {
		return s
	}
	return norm.NFKC.String(bare)
}

// fold returns what texts are compared by: plain, in lower case.
func fold(s string) string { return strings.ToLower(plain(s)) }

// leet are the digits and marks that are most often written for letters.
var leet = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t")

// unleet undoes them. Of l and i, which the same mark stands for, it makes one.
// Every byte keeps its place.
func unleet(folded string) string { return strings.ReplaceAll(leet.Replace(folded), "l", "i") }

// without returns s with a space for each place where view, which is as long,
// has the word; ok says whether there is any.
func without(s, view, word string) (rest string, ok bool) {
	var b strings.Builder
	from := 0
	for word != "" {
		i := strings.Index(view[from:], word)
		if i < 0 {
			break
		}
		b.WriteString(s[from : from+i])
		b.WriteByte(' ')
		from += i + len(word)
		ok = true
	}
	b.WriteString(s[from:])
	return b.String(), ok
}

// little says whether what is left of a password, once a known word is taken
// out of it, adds little to the word: up to four characters, up to eight that
// are no letters, such as a date, or a row of keys. Spaces do not count.
func little(rest string) bool {
	letters, others := 0, 0
	for _, r := range rest {
		switch {
		case unicode.IsSpace(r):
		case unicode.IsLetter(r):
			letters++
		default:
			others++
		}
	}
	return letters+others <= 4 || letters == 0 && others <= 8 || isRow(rest)
}

// unit returns the shortest text that a text repeats from its beginning to its
// end, perhaps cut off there, and how often it is there in full: abcabca repeats abc twice.
func unit(s string) (text string, times int) {
	if s == "" {
		return "", 0
	}
	border := make([]int, len(s)) // of each prefix: how long the longest is that it both begins and ends with
	for i, k := 1, 0; i < len(s); i++ {
		for k > 0 && s[i] != s[k] {
			k = border[k-1]
		}
		if s[i] == s[k] {
			k++
		}
		border[i] = k
	}
	period := len(s) - border[len(s)-1]
	return s[:period], len(s) / period
}

// reverse returns a text backwards, by code points.
func reverse(s string) string {
	b := make([]byte, 0, len(s))
	for s != "" {
		_, size := utf8.DecodeLastRuneInString(s)
		b = append(b, s[len(s)-size:]...)
		s = s[:len(s)-size]
	}
	return string(b)
}
