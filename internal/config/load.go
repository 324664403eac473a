package config

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"github.com/knadh/koanf/providers/file"
	"github.com/spf13/pflag"
)

// DefaultFile is the file that is read, if it is there, when none is named.
const DefaultFile = "sparekey.yaml"

// fileEnv names the variable that holds the path of the configuration file.
const fileEnv = envPrefix + "CONFIG"

// Source is what Load takes settings from. A flag wins over the environment,
// that over the file, and the file over the defaults.
type Source struct {
	// Flags are the parsed flags, see AddFlags; nil for none. Only those that were given count.
	Flags *pflag.FlagSet
	// Environ is the environment as os.Environ returns it. Of a name that comes
	// twice the last counts. A variable with an empty value counts as not set.
	Environ []string
	// File is the path of the configuration file. If it is empty, the flag
	// --config, SPAREKEY_CONFIG and DefaultFile, if it exists, are tried in that order.
	File string
	// Defaults replace the table's defaults, by path; a command such as dev has its own.
	Defaults map[string]string
}

// given is a value as one layer gives it.
type given struct {
	text   string
	source string
	// problem, if not empty, says why there is no text to read; it counts only if no higher layer has a value.
	problem string
}

// layer is what one source gives, by path.
type layer map[string]given

// Load reads the configuration. Its error is an *Error with every fault of
// every source: unknown names, values that do not fit, files that cannot be
// read. Settings that have no default and are not set are no fault; see Require.
func Load(src Source) (*Config, error) {
	set := variables(src.Environ)
	contents, path, fault := readConfigFile(src, set[fileEnv])
	fromFile, directories, ofFile := readYAML(contents, "file "+showPath(path))
	settings := Settings()
	for _, d := range directories {
		settings = append(settings, DirectorySettings(d.Name, d.Type)...)
	}
	environ, faults := readEnviron(set, settings)
	if fault != nil {
		faults = append(faults, *fault)
	}
	faults = append(faults, ofFile...)
	faults = append(faults, checkDefaults(src.Defaults)...)

	cfg := &Config{Directories: directories}
	layers := []layer{flagLayer(src.Flags), environ, fromFile, defaultLayer(src.Defaults)}
	for _, s := range settings {
		if f := cfg.take(s, layers); f != nil {
			faults = append(faults, *f)
		}
	}
	if faults = append(faults, crossFaults(cfg)...); len(faults) > 0 {
		return nil, &Error{Faults: faults}
	}
	return cfg, nil
}

// take sets one setting from the first layer that has it.
func (c *Config) take(s Setting, layers []layer) *Fault {
	var v given
	var found bool
	for _, l := range layers {
		if v, found = l[s.Path]; found {
			break
		}
	}
	if !found {
		v = given{text: s.Default, source: "default"}
	}
	problem := v.problem
	// A setting without a default starts empty, which its parser need not take;
	// one that is worked out has only words for a default.
	if problem == "" && (found || s.derive == nil && v.text != "") {
		problem = s.read(c, v.text)
	}
	if problem == "" && s.derive != nil && (!found || s.get(c) == "") {
		if text := s.derive(c); text != "" {
			problem = s.read(c, text)
		}
	}
	if problem != "" {
		return &Fault{Source: v.source, Path: s.Path, Problem: problem, Fix: "write " + s.Allowed}
	}
	c.values = append(c.values, Value{Path: s.Path, Value: s.get(c), Source: v.source})
	return nil
}

// read sets the value and returns what is wrong with it, or "".
func (s Setting) read(c *Config, text string) (problem string) {
	if err := s.set(c, text); err != nil {
		return err.Error()
	}
	return ""
}

// readConfigFile returns the contents of the configuration file and its path;
// no contents if there is none and none was named.
func readConfigFile(src Source, fromEnv string) ([]byte, string, *Fault) {
	path, source := src.File, ""
	if path == "" && src.Flags != nil {
		if f := src.Flags.Lookup(fileFlag); f != nil && f.Changed {
			path, source = f.Value.String(), "flag --"+fileFlag
		}
	}
	if path == "" && fromEnv != "" {
		path, source = fromEnv, "environment "+fileEnv
	}
	named := path != ""
	if !named {
		path = DefaultFile
	}
	contents, err := file.Provider(path).ReadBytes()
	if err == nil || !named && errors.Is(err, fs.ErrNotExist) {
		return contents, path, nil
	}
	return nil, path, &Fault{
		Source: source, Path: "the configuration file " + showPath(path),
		Problem: "cannot be read (" + why(err) + ")", Fix: "check its path and who may read it",
	}
}

// why returns the reason of a file error without the path, which might not be
// one: a secret is easily put where the name of its file should be.
func why(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return "reading it failed"
}

func defaultLayer(defaults map[string]string) layer {
	l := layer{}
	for path, text := range defaults {
		l[path] = given{text: text, source: "default"}
	}
	return l
}

func checkDefaults(defaults map[string]string) []Fault {
	var faults []Fault
	for _, path := range slices.Sorted(maps.Keys(defaults)) {
		if _, ok := find(path); !ok {
			faults = append(faults, unknown("default: "+showName(path), nearest(path, settingPaths())))
		}
	}
	return faults
}

func settingPaths() []string {
	var paths []string
	for _, s := range Settings() {
		paths = append(paths, s.Path)
	}
	return paths
}
