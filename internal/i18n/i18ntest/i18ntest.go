// Package i18ntest holds the texts of a room against the room: the keys that it uses, and the places that texts have to fit into.
package i18ntest

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sparekey/sparekey/internal/i18n"
)

// widest is how many times as long as a limit says a text may be in a language whose characters are wider
// than those of Latin script; 1 for those not named.
var widest = map[string]float64{"ja": 0.6}

// Limit is how long the texts of some keys may be, in characters of Latin script, placeholders not counted. Scripts with wide characters get fewer.
type Limit struct {
	// Key is a key, or what keys begin or end with: "done.", ".title"; empty: all others.
	Key  string
	Most int
}

// Check fails if texts do not fit into their place or are used by nobody, or if keys are used that are not there.
//
// Limits are tried in order, and the first whose key fits counts; a key that no limit fits is a fault. Code are the
// files of the room that name keys: in quotes, as in Text("done.title"). A key whose beginning is named with
// a dot at its end, as in "refusal."+code, is in use as well.
func Check(t *testing.T, texts *i18n.Texts, limits []Limit, code fs.FS) {
	t.Helper()
	used := usedKeys(t, code)
	for _, key := range texts.Keys() {
		if !slices.ContainsFunc(used, func(u string) bool { return u == key || strings.HasSuffix(u, ".") && strings.HasPrefix(key, u) }) {
			t.Errorf("the key %s is used by nobody; remove it, or use it", key)
		}
		checkLength(t, texts, key, limits)
	}
	all := texts.In(i18n.English)
	for _, key := range used {
		if looksLikeKey(key, texts.Keys()) && !all.Has(key) {
			t.Errorf("the key %s is used and is in no file", key)
		}
	}
}

func checkLength(t *testing.T, texts *i18n.Texts, key string, limits []Limit) {
	t.Helper()
	at := slices.IndexFunc(limits, func(l Limit) bool {
		return l.Key == "" || key == l.Key || strings.HasSuffix(l.Key, ".") && strings.HasPrefix(key, l.Key) || strings.HasPrefix(l.Key, ".") && strings.HasSuffix(key, l.Key)
	})
	if at < 0 {
		t.Errorf("nobody says how long %s may be", key)
		return
	}
	for _, l := range i18n.Languages() {
		most := float64(limits[at].Most)
		if factor, ok := widest[l.Tag]; ok {
			most *= factor
		}
		for _, form := range texts.In(l).Forms(key) {
			n := utf8.RuneCountInString(placeholders.ReplaceAllString(form, ""))
			if n > int(most) {
				t.Errorf("%s in %s has %d characters, at most %d fit: %q", key, l.Tag, n, int(most), form)
			}
		}
	}
}

var (
	placeholders = regexp.MustCompile(`\{\{\.\w+\}\}`)
	quoted       = regexp.MustCompile("[\"`]([a-z][a-z0-9_]*(?:\\.[a-z0-9_]*)+|[a-z][a-z0-9_]*)[\"`]")
)

// usedKeys are what the files of a room have in quotes and might be keys.
func usedKeys(t *testing.T, code fs.FS) (used []string) {
	t.Helper()
	err := fs.WalkDir(code, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, "_test.go") || !strings.HasSuffix(name, ".go") && !strings.Contains(name, "templates/") {
			return err
		}
		content, err := fs.ReadFile(code, name)
		for _, match := range quoted.FindAllSubmatch(content, -1) {
			used = append(used, string(match[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(used)
	return slices.Compact(used)
}

// looksLikeKey says whether something is the key of a text by its beginning, up to the first dot: no other
// text in quotes has the same.
func looksLikeKey(s string, keys []string) bool {
	first, rest, dotted := strings.Cut(s, ".")
	return dotted && rest != "" && !strings.HasSuffix(s, ".") && slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, first+".") })
}
