package password

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/reset"
)

// leastWord is how many characters a word must have to count: a shorter one is in any text by chance.
const leastWord = 3

// word is a word that goes with the user or the service, folded.
type word struct{ text, what string }

// contextWords are the words that go with a user: the mail address and its
// parts, the names of the user, of the accounts and of the service, each as a
// whole and word by word (NIST SP 800-63B-4, 3.1.1.2; OWASP ASVS 6.2.11). The
// longest come first.
func contextWords(u reset.User, service string) (words []word) {
	seen := map[string]bool{}
	add := func(what, text string) {
		text = strings.TrimSpace(fold(text))
		if utf8.RuneCountInString(text) >= leastWord && !seen[text] {
			seen[text] = true
			words = append(words, word{text, what})
		}
	}
	local, domain, _ := strings.Cut(u.Email.Raw(), "@")
	_, ascii, _ := strings.Cut(u.Email.Key(), "@")
	add(WhatAddress, u.Email.Raw())
	add(WhatAddress, u.Email.Key())
	add(WhatMailbox, local)
	add(WhatDomain, domain)
	add(WhatDomain, ascii)
	named := [][2]string{{WhatName, u.Name}}
	for _, a := range u.Accounts {
		named = append(named, [2]string{WhatAccount, a.Name})
	}
	named = append(named, [2]string{WhatService, service})
	for _, n := range named {
		add(n[0], n[1])
		add(n[0], strings.Join(parts(n[1]), "")) // written as one word
	}
	if i := strings.LastIndexByte(domain, '.'); i >= 0 {
		domain = domain[:i] // com and its like are nobody's
	}
	for _, n := range append(named, [2]string{WhatMailbox, local}, [2]string{WhatDomain, domain}) {
		for _, part := range parts(n[1]) {
			add(n[0], part)
		}
	}
	slices.SortStableFunc(words, func(a, b word) int { return len(b.text) - len(a.text) })
	return words
}

// parts are the words of a name.
func parts(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// plainOf are the words alone.
func plainOf(words []word) []string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = w.text
	}
	return texts
}

// mostlyContext says what a password is little more than, or "". All words are
// taken out of it, the longest first, and what is left has to be more than a
// little: a year behind a name is not, a sentence around it is.
func mostlyContext(normal string, words []word) (what string) {
	rest := fold(normal)
	if text, times := unit(rest); times > 1 {
		rest = text
	}
	for _, w := range words {
		left, ok := without(rest, rest, w.text)
		if ok && what == "" {
			what = w.what
		}
		rest = left
	}
	if what != "" && little(rest) {
		return what
	}
	return ""
}
