package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"Ada Adams":                "Ada Adams",
		"Zoë 田中 👩\u200d💻":          "Zoë 田中 👩\u200d💻",
		"می\u200cخواهم":            "می\u200cخواهم",
		"\x1b[31mred\x07":          `\x1b[31mred\a`,
		"two\nlines\tand\rmore":    `two\nlines\tand\rmore`,
		"c1 \u009b31m":             `c1 \u009b31m`,
		"right \u202eto left":      `right \u202eto left`,
		"line\u2028break":          `line\u2028break`,
		"tag \U000e0041 of flags":  `tag \U000e0041 of flags`,
		"a bare \x9b31m":           "a bare \ufffd31m",
		"invalid \xff UTF-8 \x7f.": "invalid \ufffd UTF-8 " + `\x7f.`,
	} {
		if got := visible(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// TestListsAreSafe: whatever is in the database, a terminal sees plain lines, and JSON loses nothing.
func TestListsAreSafe(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		row := func(s string) []string { return []string{s, "end"} }
		for _, asJSON := range []bool{false, true} {
			var out strings.Builder
			if err := printList(&out, asJSON, []string{name}, []string{"NAME", "X"}, row); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), hidden) {
					t.Errorf("a terminal would obey %q", line)
				}
			}
			if !asJSON {
				if got := strings.Count(out.String(), "\n"); got != 2 {
					t.Errorf("%d lines, want 2: %q", got, out.String())
				}
				continue
			}
			var back []string
			if err := json.Unmarshal([]byte(out.String()), &back); err != nil || len(back) != 1 {
				t.Fatalf("%q is no list of one: %v", out.String(), err)
			}
			if utf8.ValidString(name) && back[0] != name {
				t.Errorf("%q came back as %q", name, back[0])
			}
		}
	})
}

func TestEmptyListIsAnArray(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := printList(&out, true, []userRow(nil), nil, nil); err != nil || out.String() != "[]\n" {
		t.Errorf("got %q, %v; want an empty array", out.String(), err)
	}
}
