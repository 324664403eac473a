package i18n

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
	goi18n "github.com/nicksnyder/go-i18n/v2/i18n"
)

//go:embed texts/common.*.toml
var commonFiles embed.FS

// Texts are the texts of a room, in all languages.
//
// They are kept as a few long strings and lists of positions in them, without a pointer in any: an object for each text would be
// some ten thousand, which every collection of garbage looks at, and each hash of a password brings one on.
type Texts struct {
	keys      []string // sorted
	languages []spoken // in the order of languages
	common    *Texts   // nil: these are the common ones
}

// spoken are the texts of one language: all forms one after the other. Text i
// in form f ends at ends[i*len(forms)+f] and begins where the one before ends; a text without plural forms is its form "other",
// and the rest of its forms are empty.
type spoken struct {
	all  string
	ends []uint32
}

// formNames are all plural forms there are (CLDR).
var formNames = []string{"zero", "one", "two", "few", "many", "other"}

const other = 5 // the position of "other" in formNames

// Load reads the texts of a room from the files texts/ROOM.LANG.toml, one for each language. Its error
// tells all that is missing or too many in them, by file and key.
func Load(fsys fs.FS, room string) (*Texts, error) {
	common, err := commonTexts()
	if err != nil {
		return nil, err
	}
	t, err := load(fsys, room)
	if err != nil {
		return nil, err
	}
	for _, key := range t.keys {
		if _, double := slices.BinarySearch(common.keys, key); double {
			err = errors.Join(err, fmt.Errorf("texts/%s: the key %s is a common one; please name it otherwise", room, key))
		}
	}
	if err != nil {
		return nil, err
	}
	t.common = common
	return t, nil
}

var commonTexts = sync.OnceValues(func() (*Texts, error) { return load(commonFiles, "common") })

func load(fsys fs.FS, room string) (*Texts, error) {
	t := &Texts{languages: make([]spoken, len(languages))}
	var model []*goi18n.Message // English, which the others are held against
	var faults []error
	for i, l := range languages {
		name := "texts/" + room + "." + l.Tag + ".toml"
		messages, err := read(fsys, name)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			model = messages
			t.keys = make([]string, len(messages))
			for k, m := range messages {
				t.keys[k] = strings.Clone(m.ID)
			}
		}
		for _, fault := range compare(l, model, messages) {
			faults = append(faults, fmt.Errorf("%s: %w", name, fault))
		}
		t.languages[i] = pack(messages)
	}
	return t, errors.Join(faults...)
}

// read reads a file, sorted by key.
func read(fsys fs.FS, name string) ([]*goi18n.Message, error) {
	content, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	// The key of a text is its path in the file, such as "refusal.too_short".
	file, err := goi18n.ParseMessageFileBytes(content, name, map[string]goi18n.UnmarshalFunc{"toml": toml.Unmarshal})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	slices.SortFunc(file.Messages, func(a, b *goi18n.Message) int { return cmp.Compare(a.ID, b.ID) })
	return file.Messages, nil
}

func pack(messages []*goi18n.Message) spoken {
	var s spoken
	var all strings.Builder
	s.ends = make([]uint32, 0, len(messages)*len(formNames))
	for _, m := range messages {
		for _, text := range formsOf(m) {
			all.WriteString(text)
			s.ends = append(s.ends, uint32(all.Len())) //nolint:gosec // texts are some kilobytes
		}
	}
	s.all = all.String()
	return s
}

// formsOf are the forms of a text in the order of formNames.
func formsOf(m *goi18n.Message) []string {
	return []string{m.Zero, m.One, m.Two, m.Few, m.Many, m.Other}
}

// form is a text in one form; empty if it has none of that.
func (s spoken) form(text, form int) string {
	at := text*len(formNames) + form
	from := uint32(0)
	if at > 0 {
		from = s.ends[at-1]
	}
	return s.all[from:s.ends[at]]
}

// In says them in a language, which is one of Languages.
func (t *Texts) In(l Language) Localizer {
	return Localizer{Language: l, texts: t, at: max(0, index(l.Tag))}
}

// Keys are the keys of the room's own texts, sorted.
func (t *Texts) Keys() []string { return slices.Clone(t.keys) }
