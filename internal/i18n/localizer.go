package i18n

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Data are the values of placeholders, by name: strings and whole numbers.
type Data map[string]any

// count is the value that picks the plural form.
const count = "Count"

// Localizer says texts in one language. It is safe for concurrent use.
type Localizer struct {
	Language
	texts *Texts
	at    int // the language's position
}

// Part is a piece of a text: what the value of a placeholder became, or what stands between two.
type Part struct {
	Text string
	Name string // the placeholder's; empty for what stands between
}

// Text is the room's text of that key, or the common one. A key that is nowhere is answered
// itself: the tests of a room hold its keys against its code.
//
// A value that is written in the other direction than the language is kept apart from what
// surrounds it by marks that nobody sees (Isolate). So a link, which somebody may copy, is no value.
func (l Localizer) Text(key string, data Data) string {
	template, ok := l.find(key, data)
	if !ok {
		return key
	}
	if !strings.Contains(template, "{{") {
		return template
	}
	var b strings.Builder
	for literal, name := range pieces(template) {
		b.WriteString(literal)
		if name != "" {
			b.WriteString(l.Isolate(value(data, name)))
		}
	}
	return b.String()
}

// Parts is Text in pieces, for values that become elements of their own in HTML. They are not
// isolated: there <bdi> does that.
func (l Localizer) Parts(key string, data Data) []Part {
	template, ok := l.find(key, data)
	if !ok {
		return []Part{{Text: key}}
	}
	var parts []Part
	for literal, name := range pieces(template) {
		if literal != "" {
			parts = append(parts, Part{Text: literal})
		}
		if name != "" {
			parts = append(parts, Part{Text: value(data, name), Name: name})
		}
	}
	return parts
}

// Has says whether the key is there.
func (l Localizer) Has(key string) bool {
	_, ok := l.find(key, nil)
	return ok
}

// find is the text of a key in the form that the data ask for.
func (l Localizer) find(key string, data Data) (string, bool) {
	t := l.texts
	i, ok := slices.BinarySearch(t.keys, key)
	if !ok && t.common != nil {
		t = t.common
		i, ok = slices.BinarySearch(t.keys, key)
	}
	if !ok {
		return "", false
	}
	s := t.languages[l.at]
	if n, counted := data[count].(int); counted {
		if text := s.form(i, pluralForm(l.Tag, n)); text != "" {
			return text, true
		}
	}
	return s.form(i, other), true
}

// value is the value of a placeholder as it is written.
func value(data Data, name string) string {
	switch v := data[name].(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	default:
		return fmt.Sprint(v)
	}
}

// pieces goes through a text: what stands before a placeholder, and its name; last
// what stands after them all, without a name. What is no whole placeholder is
// left as it is.
func pieces(text string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for {
			before, rest, found := strings.Cut(text, "{{.")
			name, after, closed := strings.Cut(rest, "}}")
			if !found || !closed {
				yield(text, "")
				return
			}
			if !yield(before, name) {
				return
			}
			text = after
		}
	}
}

// Forms are all forms of a room's own text, as they stand in its file; none if it has no such key.
func (l Localizer) Forms(key string) (forms []string) {
	i, ok := slices.BinarySearch(l.texts.keys, key)
	if !ok {
		return nil
	}
	for f := range formNames {
		if form := l.texts.languages[l.at].form(i, f); form != "" {
			forms = append(forms, form)
		}
	}
	return forms
}
