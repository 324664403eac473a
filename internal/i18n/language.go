package i18n

import (
	"slices"

	"golang.org/x/text/language"
)

// Language is one that Sparekey speaks.
type Language struct {
	// Tag is its BCP 47 tag, for lang, Content-Language and ?lang=.
	Tag string
	// Name is what it calls itself.
	Name string
	// Dir is the direction in which it is written: "ltr" or "rtl".
	Dir string
	// forms are the plural forms that it has (CLDR).
	forms []string
}

// English is spoken to whom no other language fits.
var English = languages[0]

// languages are all, English first and the others by what they call themselves: Latin script, then the others.
var languages = []Language{
	{"en", "English", "ltr", []string{"one", "other"}},
	{"de", "Deutsch", "ltr", []string{"one", "other"}},
	{"es", "Español", "ltr", []string{"one", "many", "other"}},
	{"fr", "Français", "ltr", []string{"one", "many", "other"}},
	{"it", "Italiano", "ltr", []string{"one", "many", "other"}},
	{"pl", "Polski", "ltr", []string{"one", "few", "many", "other"}},
	{"pt", "Português", "ltr", []string{"one", "many", "other"}},
	{"uk", "Українська", "ltr", []string{"one", "few", "many", "other"}},
	{"ja", "日本語", "ltr", []string{"other"}},
	{"ar", "العربية", "rtl", []string{"zero", "one", "two", "few", "many", "other"}},
	{"he", "עברית", "rtl", []string{"one", "two", "other"}},
}

var matcher = language.NewMatcher(tags())

func tags() []language.Tag {
	list := make([]language.Tag, len(languages))
	for i, l := range languages {
		list[i] = language.MustParse(l.Tag)
	}
	return list
}

// Languages are all languages, in the order in which a chooser may show them.
func Languages() []Language { return slices.Clone(languages) }

// Lookup is the language with exactly that tag.
func Lookup(tag string) (Language, bool) {
	i := index(tag)
	if i < 0 {
		return Language{}, false
	}
	return languages[i], true
}

func index(tag string) int {
	return slices.IndexFunc(languages, func(l Language) bool { return l.Tag == tag })
}

// mostPreferences is how long a list of preferences may be, in bytes, to be read. Browsers send some fifty.
const mostPreferences = 512

// Match is the language that fits best. Each preference is a BCP 47 tag, such as a user's locale, or
// an Accept-Language header (RFC 9110, 12.5.4); the first of which any language fits decides. Empty ones, and those
// that cannot be read, say nothing. English if nothing fits.
func Match(preferences ...string) Language {
	for _, p := range preferences {
		if p == "" || len(p) > mostPreferences {
			continue
		}
		wanted, quality, err := language.ParseAcceptLanguage(p)
		if err != nil {
			continue
		}
		// What has the quality 0 is not wanted at all.
		if unwanted := slices.Index(quality, 0); unwanted >= 0 {
			wanted = wanted[:unwanted]
		}
		if len(wanted) == 0 {
			continue
		}
		if _, i, confidence := matcher.Match(wanted...); confidence > language.No {
			return languages[i]
		}
	}
	return English
}
