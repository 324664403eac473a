package password

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// mostCommon is the longest that a common password is, in characters; what is
// longer is common only if it repeats one that is not.
const mostCommon = 128

//go:embed common.txt
var commonText string

// commonWord is one that passwords are made of, folded and after unleet.
type commonWord struct{ folded, bare string }

// commonWords are the words of common.txt.
var commonWords = sync.OnceValue(func() (words []commonWord) {
	for line := range strings.Lines(commonText) {
		if text := strings.TrimSuffix(line, "\n"); !strings.HasPrefix(text, "#") {
			words = append(words, commonWord{fold(text), unleet(fold(text))})
		}
	}
	return words
})

// common says whether a password is one that everybody knows, or one of its
// usual forms. Published lists hold few of fifteen characters: people lengthen what is
// short. So these are rules over a small list of words, all without regard to
// case, accents and letters written as digits (p@ssw0rd):
//
//   - a well-known word, forwards or backwards, once or over and over, with
//     little besides (see little): letmeinletmein1, Password Password!,
//     drowssap12345678;
//   - rows of keys, of digits or of the alphabet: qwertyuiopasdfgh, 1qaz2wsx3edc4rfv;
//   - up to four characters over and over: aaaaaaaaaaaaaaa, 123123123123123.
//
// A phrase is known by its words written together, correcthorsebatterystaple.
// With spaces between them it is left to the lists of leaked passwords: whoever takes
// the trouble to type words is not refused for a likeness.
func common(normal string) bool {
	s := fold(normal)
	text, times := unit(s)
	if times >= 3 && utf8.RuneCountInString(text) <= 4 {
		return true
	}
	if isRow(s) || times > 1 && isRow(text) {
		return true
	}
	if times > 1 {
		s = text
	}
	if utf8.RuneCountInString(s) > mostCommon {
		return false
	}
	for _, s := range []string{s, reverse(s)} {
		bare := unleet(s)
		for _, w := range commonWords() {
			if rest, ok := without(s, s, w.folded); ok && little(rest) {
				return true
			}
			if rest, ok := without(s, bare, w.bare); ok && little(rest) {
				return true
			}
		}
	}
	return false
}

// rows are what fingers run along, each also backwards and round the end.
var rows = sync.OnceValue(func() (all []string) {
	for _, row := range []string{
		"1234567890", "0123456789", "abcdefghijklmnopqrstuvwxyz", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
		"!@#$%^&*()_+", "!\"§$%&/()=?", // the digits with Shift, in the US and in Germany
		"qwertyuiop", "asdfghjkl", "zxcvbnm", // QWERTY
		"qwertzuiop", "yxcvbnm", // QWERTZ
		"azertyuiop", "qsdfghjklm", "wxcvbn", // AZERTY
		"йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", // ЙЦУКЕН
		"1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn", "7ujm", // downwards
		"147", "258", "369", "159", "357", // on a keypad
	} {
		all = append(all, row+row, reverse(row+row))
	}
	return all
})

// isRow says whether a text is made of pieces of rows, of three or more keys
// each, or of three keys in all. A key that is repeated counts once; spaces not at
// all, nor one or two different marks between letters and digits.
func isRow(s string) bool {
	keys := keysOf(s)
	if len(keys) == 0 || len(keys) > mostCommon {
		return false
	}
	if len(keys) <= 3 {
		return true
	}
	reached := make([]bool, len(keys)+1)
	reached[0] = true
	for i := range keys {
		if !reached[i] {
			continue
		}
		for j := i + 3; j <= len(keys) && inRow(string(keys[i:j])); j++ {
			reached[j] = true
		}
	}
	return reached[len(keys)]
}

func inRow(piece string) bool {
	for _, row := range rows() {
		if strings.Contains(row, piece) {
			return true
		}
	}
	return false
}

func keysOf(s string) (keys []rune) {
	counts := map[rune]bool{} // the marks; whether they count
	letters := false
	for _, r := range s {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			letters = true
		case !unicode.IsSpace(r):
			counts[r] = true
		}
	}
	if letters && len(counts) <= 2 {
		clear(counts)
	}
	for _, r := range s {
		isKey := unicode.IsLetter(r) || unicode.IsDigit(r) || counts[r]
		if isKey && (len(keys) == 0 || keys[len(keys)-1] != r) {
			keys = append(keys, r)
		}
	}
	return keys
}
