// Package formats writes password hashes as other people's applications read
// them. A Format is chosen by the operator of a directory, by its name and, if the
// defaults do not suit, its parameters: "argon2id", "bcrypt-2y cost=11".
//
// Defaults are those of the OWASP Password Storage Cheat Sheet, where it has the
// format, and nothing below the least that it gives is taken. Passwords are hashed
// as they are: the application verifies what its users type, without normalising it.
//
// No error or text of this package contains a password or a hash.
package formats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sparekey/sparekey/internal/reset"
)

// Format is how an application reads a password's hash. Its zero value writes nothing; Parse makes others.
type Format struct {
	kind   *kind
	values []int // of kind.params, in their order
}

// Param is a number that an operator may set of a format.
type Param struct {
	Name                 string
	Default, Least, Most int
	// Meaning says what it counts.
	Meaning string
}

// kind is one row of the table of formats.
type kind struct {
	name, example string
	params        []Param
	// check says what the bounds of single parameters do not, or nil.
	check func(values []int) error
	// most is how many bytes of a password those who read the hash look at, or take at all; 0: every one.
	most int
	// ends says that some of them, being written in C, take a NUL for the end of the password.
	ends   bool
	encode func(password []byte, values []int) (string, error)
}

// Parse reads a format's name and parameters: "argon2id", "argon2id m=65536 t=3 p=4".
// The error is Invalid, and its message says what there is.
func Parse(s string) (Format, error) {
	words := strings.Fields(s)
	if len(words) == 0 {
		return Format{}, reset.Invalidf("no format is named; there are %s", strings.Join(Names(), ", "))
	}
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == words[0] })
	if i < 0 {
		return Format{}, reset.Invalidf("there is no format of that name; there are %s", strings.Join(Names(), ", "))
	}
	f := Format{kind: &kinds[i]}
	for _, p := range f.kind.params {
		f.values = append(f.values, p.Default)
	}
	seen := map[string]bool{}
	for _, word := range words[1:] {
		name, digits, _ := strings.Cut(word, "=")
		at := slices.IndexFunc(f.kind.params, func(p Param) bool { return p.Name == name })
		n, err := strconv.Atoi(digits)
		switch {
		case at < 0:
			return Format{}, reset.Invalidf("%s has no parameter of that name; %s", f.kind.name, f.kind.bounds())
		case seen[name]:
			return Format{}, reset.Invalidf("the parameter %s is there twice", name)
		case err != nil || n < f.kind.params[at].Least || n > f.kind.params[at].Most:
			return Format{}, reset.Invalidf("the parameter %s is out of range; %s", name, f.kind.bounds())
		}
		seen[name], f.values[at] = true, n
	}
	if f.kind.check != nil {
		if err := f.kind.check(f.values); err != nil {
			return Format{}, err
		}
	}
	return f, nil
}

// bounds says what parameters may be.
func (k *kind) bounds() string {
	if len(k.params) == 0 {
		return "it has none at all"
	}
	parts := make([]string, len(k.params))
	for i, p := range k.params {
		parts[i] = fmt.Sprintf("%s=%d (%s, %d to %d)", p.Name, p.Default, p.Meaning, p.Least, p.Most)
	}
	return "write " + strings.Join(parts, " ")
}

// Names are the names of all formats.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// Name is the format's name alone.
func (f Format) Name() string { return f.kind.name }

// String is what Parse reads, with every parameter: "argon2id m=19456 t=2 p=1".
func (f Format) String() string {
	var b strings.Builder
	b.WriteString(f.kind.name)
	for i, p := range f.kind.params {
		fmt.Fprintf(&b, " %s=%d", p.Name, f.values[i])
	}
	return b.String()
}

// Example is how a hash of this format begins.
func (f Format) Example() string { return f.kind.example }

// Params are what can be set of the format.
func (f Format) Params() []Param { return slices.Clone(f.kind.params) }

// MaxBytes is the longest password that the format can take in whole, in bytes; 0: there is none.
func (f Format) MaxBytes() int { return f.kind.most }

// TakesNUL reports whether a password may have a NUL in it: those who read some formats take it for the end.
func (f Format) TakesNUL() bool { return !f.kind.ends }

// Encode hashes a password with a fresh salt. It takes as long, and as much memory,
// as the parameters say. A password that the format cannot take in whole is an error, and is never cut.
func (f Format) Encode(password string) (string, error) {
	if f.kind == nil {
		return "", fmt.Errorf("no format was chosen")
	}
	if f.kind.most > 0 && len(password) > f.kind.most || f.kind.ends && strings.Contains(password, "\x00") {
		return "", fmt.Errorf("%s cannot take this password in whole", f.kind.name)
	}
	secret := []byte(password)
	defer clear(secret)
	return f.kind.encode(secret, f.values)
}
