package i18n

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
)

// compare says what is wrong with a language's texts, held against the English ones. Both are sorted.
func compare(l Language, model, messages []*goi18n.Message) (faults []error) {
	byKey := make(map[string]*goi18n.Message, len(messages))
	for _, m := range messages {
		byKey[m.ID] = m
		faults = append(faults, wellFormed(l, m)...)
	}
	for _, want := range model {
		got := byKey[want.ID]
		if got == nil {
			faults = append(faults, fmt.Errorf("the key %s is missing", want.ID))
			continue
		}
		delete(byKey, want.ID)
		if len(l.forms) > 1 && plural(want) != plural(got) {
			faults = append(faults, fmt.Errorf("%s: it has plural forms here or in English, and not in both", want.ID))
		}
		if a, b := placeholders(want.Other), placeholders(got.Other); !slices.Equal(a, b) {
			faults = append(faults, fmt.Errorf("%s: its placeholders are %v and have to be %v", want.ID, b, a))
		}
	}
	for _, m := range messages {
		if byKey[m.ID] != nil {
			faults = append(faults, fmt.Errorf("the key %s is not there in English; please remove it", m.ID))
		}
	}
	return faults
}

// wellFormed says what is wrong with a text by itself.
func wellFormed(l Language, m *goi18n.Message) (faults []error) {
	want := []string{"other"}
	if plural(m) {
		want = l.forms
	}
	whole := placeholders(m.Other)
	for f, text := range formsOf(m) {
		name := formNames[f]
		switch {
		case (text != "") != slices.Contains(want, name):
			faults = append(faults, fmt.Errorf("%s: the form %q is missing, or there and not used; this language has %v", m.ID, name, want))
			continue
		case text == "":
			continue
		}
		if err := readable(text); err != nil {
			faults = append(faults, fmt.Errorf("%s, %s: %w", m.ID, name, err))
		}
		// A form that fits one number alone may say it in a word, or not at all.
		for _, p := range whole {
			if p != count && !slices.Contains(placeholders(text), p) {
				faults = append(faults, fmt.Errorf("%s, %s: the placeholder %s is missing", m.ID, name, p))
			}
		}
	}
	return faults
}

// plural says whether a text has plural forms.
func plural(m *goi18n.Message) bool {
	return m.Zero+m.One+m.Two+m.Few+m.Many != ""
}

var placeholder = regexp.MustCompile(`^[A-Z][A-Za-z]*$`)

// readable says whether all braces of a text are placeholders.
func readable(text string) error {
	for literal, name := range pieces(text) {
		if strings.ContainsAny(literal, "{}") || name != "" && !placeholder.MatchString(name) {
			return errors.New("what is in braces is no placeholder; write one such as {{.Name}}")
		}
	}
	return nil
}

// placeholders are the names of a text's placeholders, sorted, each once.
func placeholders(text string) []string {
	var names []string
	for _, name := range pieces(text) {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
