package config

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// fileFlag names the flag that holds the path of the configuration file.
const fileFlag = "config"

// AddFlags registers --config and one flag per setting that is no secret:
// all of them, or only those named by path or by section ("database", "hash").
// A name that is neither panics, as it would in pflag.
//
// The flags take any text; Load checks it, so that all faults come at once.
func AddFlags(fs *pflag.FlagSet, names ...string) {
	if fs.Lookup(fileFlag) == nil {
		fs.String(fileFlag, "", "read settings from `FILE` (default "+DefaultFile+", if it exists)")
	}
	unused := slices.Clone(names)
	for _, s := range Settings() {
		section, _, _ := strings.Cut(s.Path, ".")
		matches := func(name string) bool { return name == s.Path || name == section }
		if len(names) > 0 && !slices.ContainsFunc(names, matches) {
			continue
		}
		unused = slices.DeleteFunc(unused, matches)
		if s.Secret {
			continue
		}
		f := fs.VarPF(&flagValue{kind: s.Kind}, s.Flag(), "", s.About)
		f.DefValue = s.Default
		if s.Kind == Bool {
			f.NoOptDefVal = "true"
		}
	}
	if len(unused) > 0 {
		panic("config: no setting or section " + unused[0])
	}
}

// flagValue keeps what was written.
type flagValue struct {
	kind Kind
	text string
}

// String returns what was written.
func (v *flagValue) String() string { return v.text }

// Set keeps the text; a list's flag may be repeated.
func (v *flagValue) Set(text string) error {
	if v.kind == List && v.text != "" {
		text = v.text + "," + text
	}
	v.text = text
	return nil
}

// Type names the kind of value in the help.
func (v *flagValue) Type() string { return string(v.kind) }

func flagLayer(fs *pflag.FlagSet) layer {
	l := layer{}
	if fs == nil {
		return l
	}
	for _, s := range Settings() {
		if f := fs.Lookup(s.Flag()); !s.Secret && f != nil && f.Changed {
			l[s.Path] = given{text: f.Value.String(), source: "flag --" + s.Flag()}
		}
	}
	return l
}
