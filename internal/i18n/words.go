package i18n

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/bidi"
)

// Moment is a time for people anywhere, such as "23 November 2026, 14:05 UTC".
func (l Localizer) Moment(t time.Time) string {
	t = t.UTC()
	day := strconv.Itoa(t.Day())
	if t.Day() == 1 {
		day = l.Text("first", nil)
	}
	return l.Text("moment", Data{
		"Day": day, "Month": l.Text("month."+strconv.Itoa(int(t.Month())), nil), "Year": t.Year(), "Time": t.Format("15:04"),
	})
}

// Clock is the time of a day alone, such as "14:05 UTC".
func (l Localizer) Clock(t time.Time) string {
	return l.Text("clock", Data{"Time": t.UTC().Format("15:04")})
}

// Span says how long d is, to the nearest minute: "1 hour", "1 hour and 30
// minutes"; nothing if that is less than a minute. It is in the case that
// follows "for" and "wait".
func (l Localizer) Span(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	var hours, rest string
	if h := minutes / 60; h > 0 {
		hours = l.Text("span.hours", Data{count: h})
	}
	if m := minutes % 60; m > 0 {
		rest = l.Text("span.minutes", Data{count: m})
	}
	if hours != "" && rest != "" {
		return l.Text("span.both", Data{"Hours": hours, "Minutes": rest})
	}
	return hours + rest
}

// Wait says how long somebody has to wait who waits for d, rounded up: to the second under a minute,
// and to the minute above. At least a second.
func (l Localizer) Wait(d time.Duration) string {
	if d > time.Minute-time.Second {
		return l.Span((d + time.Minute - 1).Truncate(time.Minute))
	}
	seconds := int((d + time.Second - 1) / time.Second)
	return l.Text("span.seconds", Data{count: max(1, seconds)})
}

// List is "A", "A and B", "A, B and C". Of more than most names, if that is not 0, the
// end says how many more there are: "A, B and 3 more".
func (l Localizer) List(names []string, most int) string {
	parts := make([]string, 0, len(names))
	for i, name := range names {
		if most > 0 && i == most {
			parts = append(parts, l.Text("list.more", Data{count: len(names) - most}))
			break
		}
		parts = append(parts, l.Isolate(name))
	}
	if len(parts) == 0 {
		return ""
	}
	list := parts[0]
	for i, part := range parts[1:] {
		key := "list.next"
		if i == len(parts)-2 {
			key = "list.last"
		}
		list = l.join(key, list, part)
	}
	return list
}

// join puts into a text what is isolated already, as far as it has to be.
func (l Localizer) join(key, a, b string) string {
	var text strings.Builder
	for _, p := range l.Parts(key, Data{"A": a, "B": b}) {
		text.WriteString(p.Text)
	}
	return text.String()
}

// numbers are the params of refusals that are placeholders, by code.
var numbers = map[string]map[string]string{
	"too_short":      {count: "min", "Length": "length"},
	"too_long":       {count: "max"},
	"too_many_bytes": {"Most": "max"},
}

// Refusal says why a password is not taken, by the code and the params of a reset.Refusal. It
// answers false if it knows no such reason; the refusal has a message in English.
func (l Localizer) Refusal(code string, params map[string]any) (string, bool) {
	key, data := "refusal."+code, Data{}
	if what, ok := params["what"].(string); ok {
		key += "." + what
	}
	for name, param := range numbers[code] {
		n, ok := params[param].(int)
		if !ok {
			return "", false
		}
		data[name] = n
	}
	if !l.Has(key) {
		return "", false
	}
	return l.Text(key, data), true
}

// Marks that keep a text apart from its surroundings (Unicode Standard Annex 9, 2.4.3 and 2.5).
const (
	isolate = "\u2068" // first strong isolate
	restore = "\u2069" // pop directional isolate
)

// Isolate keeps a text, in which something is written in the other direction than the language, from getting mixed up with
// what stands around it. Nothing else is changed.
func (l Localizer) Isolate(s string) string {
	for _, r := range s {
		p, _ := bidi.LookupRune(r)
		switch c := p.Class(); {
		case l.Dir == "rtl" && c == bidi.L, l.Dir != "rtl" && (c == bidi.R || c == bidi.AL):
			return isolate + s + restore
		}
	}
	return s
}
