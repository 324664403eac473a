package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/v2"
	yamlv3 "go.yaml.in/yaml/v3"
)

// contents lets koanf read what is in memory already.
type contents []byte

// ReadBytes returns the contents.
func (c contents) ReadBytes() ([]byte, error) { return c, nil }

// Read is not for contents that have yet to be parsed.
func (c contents) Read() (map[string]any, error) { return nil, errors.New("contents need a parser") }

// readYAML reads the settings of a configuration file. A setting is written
// nested or with dots, in one of the two ways only. source names the file.
// Which directories it has decides which settings there are below directories.
func readYAML(b []byte, source string) (layer, []Directory, []Fault) {
	k := koanf.New(".")
	if err := k.Load(contents(b), yaml.Parser()); err != nil {
		return nil, nil, yamlFaults(err, source)
	}
	if extraDocument(b) {
		return nil, nil, []Fault{{Source: source, Path: "the file", Problem: "has a second document after ---", Fix: "put all settings into the first"}}
	}
	r := yamlReader{source: source, values: layer{}, settings: map[string]Setting{}}
	r.know(Settings())
	directories := r.directories(k.Raw())
	r.read("", k.Raw())
	return r.values, directories, r.faults
}

// yamlReader walks the parsed file.
type yamlReader struct {
	source   string
	paths    []string // of settings, in the order of the table
	settings map[string]Setting
	values   layer
	faults   []Fault
}

// know takes settings that the file may have.
func (r *yamlReader) know(settings []Setting) {
	for _, s := range settings {
		r.paths, r.settings[s.Path] = append(r.paths, s.Path), s
	}
}

func (r *yamlReader) read(parent string, m map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		path, v := key, m[key]
		if parent != "" {
			path = parent + "." + key
		}
		section, nested := v.(map[string]any)
		switch {
		case slices.Contains(r.paths, path):
			r.setting(path, v)
		case r.settings[strings.TrimSuffix(path, "_file")].Secret && strings.HasPrefix(path, directoryPrefix):
			r.secretFile(strings.TrimSuffix(path, "_file"), v)
		case !r.isSection(path):
			r.faults = append(r.faults, unknown(r.source+": "+showName(path), nearest(path, r.names())))
		case nested:
			r.read(path, section)
		case v != nil: // a section whose settings are all commented out is nil
			r.faults = append(r.faults, Fault{
				Source: r.source, Path: path, Problem: "is a section and has no value of its own",
				Fix: "write its settings below it, such as " + r.firstOf(path),
			})
		}
	}
}

// setting notes the value of a setting; nil counts as not set, unless it is a colour that became a comment.
func (r *yamlReader) setting(path string, v any) {
	if v == nil {
		if path == "brand.accent" || path == "brand.background" {
			r.faults = append(r.faults, lostColor(r.source, path))
		}
		return
	}
	if _, twice := r.values[path]; twice {
		r.faults = append(r.faults, Fault{Source: r.source, Path: path, Problem: "is set twice, nested and with a dot", Fix: "keep one of the two"})
		return
	}
	s := r.settings[path]
	text, problem := scalar(s.Kind, v)
	r.values[path] = given{text: text, source: r.source, problem: problem}
}

func (r *yamlReader) isSection(path string) bool { return r.firstOf(path) != "" }

// names returns what a key may be: the sections and the settings.
func (r *yamlReader) names() []string {
	var names []string
	for _, path := range r.paths {
		if section, _, nested := strings.Cut(path, "."); nested && !slices.Contains(names, section) {
			names = append(names, section)
		}
	}
	return append(names, r.paths...)
}

// firstOf returns the first setting of a section, or "" if it is none.
func (r *yamlReader) firstOf(section string) string {
	for _, p := range r.paths {
		if strings.HasPrefix(p, section+".") {
			return p
		}
	}
	return ""
}

// scalar turns a YAML value into the text that the environment would hold, or
// says why it cannot be of that kind.
func scalar(kind Kind, v any) (text, problem string) {
	if entries, ok := v.([]any); ok && kind == List {
		parts := make([]string, len(entries))
		for i, e := range entries {
			if parts[i], ok = e.(string); !ok {
				return "", "has an entry that is not text"
			}
		}
		return strings.Join(parts, ","), ""
	}
	switch v := v.(type) {
	case string:
		return v, ""
	case bool:
		if kind == Bool {
			return strconv.FormatBool(v), ""
		}
	case int, int64, uint64:
		if kind == Number {
			return fmt.Sprint(v), ""
		}
	}
	return "", "is " + describe(v) + " instead of " + expected(kind)
}

func describe(v any) string {
	switch v.(type) {
	case map[string]any:
		return "a section"
	case []any:
		return "a list"
	case bool:
		return "true or false"
	case int, int64, uint64:
		return "a number"
	case float64:
		return "a number with a fraction or exponent"
	default:
		return "a date"
	}
}

func expected(k Kind) string {
	switch k {
	case Text:
		return "text (perhaps it needs quotes)"
	case Bool:
		return "true or false"
	case Number:
		return "a whole number"
	case Duration:
		return "a duration with its unit"
	default:
		return "a list"
	}
}

var (
	yamlTwice = regexp.MustCompile(`^line (\d+): mapping key .* already defined at line (\d+)$`)
	yamlLine  = regexp.MustCompile(`line (\d+):`)
)

// yamlFaults turns a parser's error into faults. Of its text only the line
// numbers are kept: the rest quotes the file, and that may hold secrets.
func yamlFaults(err error, source string) []Fault {
	lines := []string{err.Error()}
	if t, ok := errors.AsType[*yamlv3.TypeError](err); ok {
		lines = t.Errors
	}
	var faults []Fault
	for _, line := range lines {
		f := Fault{Source: source, Path: "the file", Problem: "is not valid YAML", Fix: "check indentation, colons and quotes"}
		if m := yamlTwice.FindStringSubmatch(line); m != nil {
			f.Path, f.Problem, f.Fix = "line "+m[1], "repeats a key of line "+m[2], "keep one of the two"
		} else if m := yamlLine.FindStringSubmatch(line); m != nil {
			f.Problem, f.Fix = "is not a YAML mapping of settings (near line "+m[1]+")", f.Fix+" there"
		}
		faults = append(faults, f)
	}
	return faults
}

// extraDocument reports whether there is anything after the first document;
// the parser would pass over it in silence.
func extraDocument(b []byte) bool {
	d := yamlv3.NewDecoder(bytes.NewReader(b))
	var first, second yamlv3.Node
	return d.Decode(&first) == nil && !errors.Is(d.Decode(&second), io.EOF)
}
