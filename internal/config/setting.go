package config

import (
	"strings"
	"time"
)

// envPrefix begins the name of every environment variable of Sparekey.
const envPrefix = "SPAREKEY_"

// fileSuffix ends the name of a variable that holds the path of a file with the secret.
const fileSuffix = "_FILE"

// Kind is what sort of value a setting has.
type Kind string

// The kinds of values.
const (
	Text     Kind = "text"
	Bool     Kind = "bool"
	Number   Kind = "number"
	Duration Kind = "duration"
	List     Kind = "list"
)

// Setting is one row of the table of settings.
type Setting struct {
	// Path is the setting's name and its place in the file: "mail.from" is
	// from below mail.
	Path string
	Kind Kind
	// Default is the value if nobody sets one, or words that say how it is
	// worked out; empty for none.
	Default string
	// Allowed says what may be written, as the object of "write".
	Allowed string
	// About says in one line what the setting is for.
	About string
	// Secret settings are never shown and have no flag: process lists show
	// those (OWASP ASVS 13.3).
	Secret bool
	// NeededBy are the commands that cannot work without it.
	NeededBy []string
	// Example is a value to show to somebody who has to set it.
	Example string

	// derive works the default out from the settings above it in the table; nil if Default is the value.
	derive func(*Config) string
	// set reads the text into the configuration; its error says what is wrong, without the text.
	set func(*Config, string) error
	get func(*Config) string
}

// Env is the name of the setting's environment variable.
func (s Setting) Env() string { return envName(s.Path) }

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// EnvFile is the name of the variable that names a file with the value. Only
// secrets have one.
func (s Setting) EnvFile() string { return s.Env() + fileSuffix }

// Flag is the name of the setting's flag, without dashes in front. Secrets have none.
func (s Setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Path) }

// find returns the setting of that path.
func find(path string) (Setting, bool) {
	for _, s := range Settings() {
		if s.Path == path {
			return s, true
		}
	}
	return Setting{}, false
}

// bind completes a setting with where its value is kept and how that is read and written.
func bind[T any](s Setting, field func(*Config) *T, parse func(string) (T, error), format func(T) string) Setting {
	s.set = func(c *Config, text string) error {
		v, err := parse(text)
		if err == nil {
			*field(c) = v
		}
		return err
	}
	s.get = func(c *Config) string { return format(*field(c)) }
	return s
}

func text(s Setting, field func(*Config) *string, parse func(string) (string, error)) Setting {
	s.Kind = Text
	return bind(s, field, parse, func(v string) string { return v })
}

func secret(s Setting, field func(*Config) *Secret) Setting {
	s.Kind, s.Secret = Text, true
	return bind(s, field, parseSecret, Secret.String)
}

func boolean(s Setting, field func(*Config) *bool) Setting {
	s.Kind, s.Allowed = Bool, "true or false"
	return bind(s, field, parseBool, formatBool)
}

// number takes whole numbers from low to high; unit, such as " of KiB", follows "number" where the range is told.
func number(s Setting, unit string, low, high int, field func(*Config) *int) Setting {
	r := numberRange{low: low, high: high}
	s.Kind, s.Allowed = Number, "a whole number"+unit+" "+r.String()
	return bind(s, field, r.parse, formatInt)
}

func duration(s Setting, low, high time.Duration, field func(*Config) *time.Duration) Setting {
	r := durationRange{low: low, high: high}
	s.Kind, s.Allowed = Duration, "a duration with its unit "+r.String()
	return bind(s, field, r.parse, formatDuration)
}

func list[T any](s Setting, field func(*Config) *[]T, parse func(string) (T, error), format func(T) string) Setting {
	s.Kind = List
	return bind(s, field, parseList(parse), formatList(format))
}
