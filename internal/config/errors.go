package config

import (
	"slices"
	"strings"
)

// Error holds every fault that was found, so that they can be mended in one go.
type Error struct {
	Faults []Fault
	// Hint is where to look, if that is not docs/configuration.md.
	Hint string
}

// Error returns one line per fault. It never repeats a value, for a value in
// the wrong place may be a secret.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	// Source says where it is: "flag --x", "environment SPAREKEY_X", "file
	// PATH" or "default"; empty for a setting that is missing.
	Source string
	// Path is the setting or the key in the file; empty where Source says it all.
	Path string
	// Problem says what is wrong, Fix what to do next.
	Problem string
	Fix     string
}

// String returns the fault in one line.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Source)
	if f.Source != "" && f.Path != "" {
		b.WriteString(": ")
	}
	b.WriteString(f.Path)
	b.WriteString(" " + f.Problem + "; " + f.Fix)
	return b.String()
}

// Needed returns the paths of the settings without which a command cannot
// work, for Require.
func Needed(command string) []string {
	var paths []string
	for _, s := range Settings() {
		if slices.Contains(s.NeededBy, command) {
			paths = append(paths, s.Path)
		}
	}
	return paths
}

// Require returns an *Error that names every one of the settings that is not
// set, with the ways to set it, or nil.
func Require(cfg *Config, paths ...string) error {
	var faults []Fault
	for _, path := range paths {
		s, ok := find(path)
		switch {
		case !ok:
			faults = append(faults, Fault{Path: path, Problem: "is demanded but is no setting", Fix: "this is a mistake in Sparekey; please report it"})
		case s.get(cfg) == "":
			faults = append(faults, Fault{Path: path, Problem: "is not set (" + s.About + ")", Fix: s.howToSet()})
		}
	}
	if len(faults) > 0 {
		return &Error{Faults: faults}
	}
	return nil
}

// howToSet names each place where the setting can be set.
func (s Setting) howToSet() string {
	text := "set " + s.Env()
	if s.Example != "" {
		text += "='" + s.Example + "'"
	}
	if s.Secret {
		return text + ", or " + s.EnvFile() + " to a file that holds it, or " + s.Path + " in " + DefaultFile
	}
	return text + ", or --" + s.Flag() + ", or " + s.Path + " in " + DefaultFile
}
