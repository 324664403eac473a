package config

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// directoryPrefix begins the paths of directories' settings: directories.NAME.type.
const directoryPrefix = "directories."

// mostDirectories is how many directories there may be: each link asks all of
// those that its address concerns.
const mostDirectories = 16

// Builtin names the directory that Sparekey brings along.
const Builtin = "builtin"

// The types of directories.
const (
	TypeSQL     = "sql"
	TypeLDAP    = "ldap"
	TypeWebhook = "webhook"
)

var directoryTypes = []string{TypeSQL, TypeLDAP, TypeWebhook}

// Directory is a place where users live. Of what belongs to types, only that of its own is set.
type Directory struct {
	// Name is Sparekey's own for it: in commands, in the log, in the ids of users. It never changes.
	Name string
	// Type is sql, ldap or webhook; builtin for Builtin, which the file may have a section for.
	Type string
	// Domains are the mail domains that it is asked for, in ASCII; empty: all.
	Domains []string
	// Account names the account that its users are in, besides those that it tells of itself.
	Account string
	// Timeout is how long each call may take.
	Timeout time.Duration
	// Connections is how many there are at most.
	Connections int

	SQL     SQLDirectory
	LDAP    LDAPDirectory
	Webhook WebhookDirectory
}

// directory is a directory by its name, which there must be.
func (c *Config) directory(name string) *Directory {
	i := slices.IndexFunc(c.Directories, func(d Directory) bool { return d.Name == name })
	return &c.Directories[i]
}

// DirectorySettings is the table of settings of a directory of that name and
// type; empty for a type that there is not. They are set in the file and in the environment.
func DirectorySettings(name, kind string) []Setting {
	b := directoryBinder{name: name}
	switch kind {
	case Builtin:
		return b.under(b.typed(Builtin), b.concerns())
	case TypeSQL:
		return b.under(b.typed(), b.common(), b.sql())
	case TypeLDAP:
		return b.under(b.typed(), b.common(), b.ldap())
	case TypeWebhook:
		return b.under(b.typed(), b.common(), b.webhook())
	}
	return nil
}

// directoryBinder makes the settings of one directory.
type directoryBinder struct{ name string }

// under puts settings below the directory's section.
func (b directoryBinder) under(groups ...[]Setting) []Setting {
	all := slices.Concat(groups...)
	for i := range all {
		all[i].Path = directoryPrefix + b.name + "." + all[i].Path
	}
	return all
}

// in is where a directory's value is kept.
func in[T any](b directoryBinder, field func(*Directory) *T) func(*Config) *T {
	return func(c *Config) *T { return field(c.directory(b.name)) }
}

func (b directoryBinder) typed(types ...string) []Setting {
	if types == nil {
		types = directoryTypes
	}
	return []Setting{text(Setting{
		Path: "type", Allowed: strings.Join(types, ", "), About: "what it is",
	}, in(b, func(d *Directory) *string { return &d.Type }), oneOf(types...))}
}

func (b directoryBinder) concerns() []Setting {
	return []Setting{
		list(Setting{
			Path: "domains", Allowed: "mail domains such as example.com",
			About: "addresses in which domains it is asked for; without any, all",
		}, in(b, func(d *Directory) *[]string { return &d.Domains }), parseMailDomain, func(s string) string { return s }),
	}
}

func (b directoryBinder) common() []Setting {
	return append(b.concerns(),
		text(Setting{
			Path: "account", Allowed: "the name of an account, which sparekey account add has made",
			About: "which account its users are in, besides those that it tells of",
		}, in(b, func(d *Directory) *string { return &d.Account }), parseName),
		duration(Setting{
			Path: "timeout", Default: "5s", About: "how long each call to it may take",
		}, 100*time.Millisecond, 10*time.Second, in(b, func(d *Directory) *time.Duration { return &d.Timeout })),
		number(Setting{
			Path: "connections", Default: "4", About: "how many connections to it one process has at most",
		}, "", 1, 64, in(b, func(d *Directory) *int { return &d.Connections })))
}

// parseMailDomain takes what stands after the @ of addresses, in either form.
func parseMailDomain(s string) (string, error) {
	a, err := reset.ParseAddress("x@" + s)
	if err != nil {
		return "", errors.New("holds an entry that is no mail domain")
	}
	return strings.TrimPrefix(a.Key(), "x@"), nil
}

// plainText is a text of a directory that its connector looks at more closely: in one line, and without what is not meant for people.
// A default in words is the connector's to work out.
func (b directoryBinder) plainText(s Setting, field func(*Directory) *string) Setting {
	if strings.Contains(s.Default, " ") {
		s.derive = func(*Config) string { return "" }
	}
	return text(s, in(b, field), func(v string) (string, error) {
		v = strings.TrimSpace(v)
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
			return "", errors.New("has a control character")
		}
		return v, nil
	})
}

func (b directoryBinder) flag(s Setting, field func(*Directory) *bool) Setting {
	return boolean(s, in(b, field))
}

// directoryName is what a directory may be called: it is part of users' ids and of variables' names.
var directoryName = regexp.MustCompile(`^[a-z][a-z0-9]{0,19}$`)

// directories finds which directories the file has, by their names, and knows their settings from then on.
func (r *yamlReader) directories(raw map[string]any) []Directory {
	section, _ := raw["directories"].(map[string]any)
	var list []Directory
	for _, name := range slices.Sorted(maps.Keys(section)) {
		path := directoryPrefix + showName(name)
		settings, ok := section[name].(map[string]any)
		fail := func(path, problem, fix string) {
			r.faults = append(r.faults, Fault{Source: r.source, Path: path, Problem: problem, Fix: fix})
		}
		kind, isText := settings["type"].(string)
		if name == Builtin && settings["type"] == nil {
			kind, isText = Builtin, true
		}
		switch {
		case !directoryName.MatchString(name):
			fail(path, "is no name of a directory", "write a small letter, and up to 19 more or digits")
		case !ok:
			fail(path, "is a section and has no value of its own", "write its settings below it, such as type: ldap")
		case !isText || (kind == Builtin) != (name == Builtin) || kind != Builtin && !slices.Contains(directoryTypes, kind):
			fail(path+".type", "does not say what the directory is", "write "+strings.Join(directoryTypes, ", "))
		case len(list) == mostDirectories:
			fail(path, "is one directory too many", "keep to 16 of them")
		default:
			r.know(DirectorySettings(name, kind))
			list = append(list, Directory{Name: name, Type: kind})
			continue
		}
		delete(section, name) // what is in it nobody can judge
	}
	if len(section) == 0 {
		delete(raw, "directories")
	}
	return list
}

// secretFile reads a secret of a directory from the file that the configuration file names.
func (r *yamlReader) secretFile(path string, v any) {
	name, ok := v.(string)
	switch _, twice := r.values[path]; {
	case v == nil:
	case !ok:
		r.faults = append(r.faults, Fault{Source: r.source, Path: path + "_file", Problem: "is not text", Fix: "write the path of a file"})
	case twice:
		r.faults = append(r.faults, Fault{Source: r.source, Path: path, Problem: "is set twice, itself and by a file", Fix: "keep one of the two"})
	default:
		r.values[path] = readSecretFile(name, r.source+", "+path+"_file")
	}
}
