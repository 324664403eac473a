package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// longest is how many lines a file may have; funlen bounds the functions.
const longest = 400

// clocks are the files that may read the time, and why; everybody else has a
// reset.Clock handed in. Suites are free.
var clocks = map[string]string{
	"client/do.go":                       "whether a context lasts as long as a pause; contexts know no other clock",
	"cmd/sparekey/clock.go":              "the wiring: it is handed to all others",
	"cmd/sparekey/clock_offset.go":       "the same, off by as much as a test wants",
	"cmd/sparekey/doctor_checks.go":      "how long a step took, which a clock that stands still would hide",
	"internal/directory/joint/change.go": "how long a context lasts, to share that among directories",
	"internal/directory/ldapdir/conn.go": "the deadline of a connection",
	"internal/httpapi/httpapi.go":        "the deadline of a connection, which knows no other clock",
	"internal/mail/conn.go":              "the deadline of a connection",
	"internal/mail/pool.go":              "how long a connection has been idle, which the mail server measures too",
}

// inspect returns what is wrong with a file of this module, each fault with its
// place, its rule and what to do. The file is named by its path inside the module.
func inspect(name string, source []byte) (faults []string, err error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	pkg := path.Dir(name)
	_, k := roomOf(pkg)
	if k == unknown {
		faults = append(faults, fmt.Sprintf("%s: %s is no room of this house; give it a row in ARCHITECTURE.md and in rooms", name, pkg))
	}
	if n := bytes.Count(source, []byte("\n")); n > longest {
		faults = append(faults, fmt.Sprintf("%s: %d lines; split it by meaning, at most %d", name, n, longest))
	}
	add := func(at token.Pos, what, rule string) {
		faults = append(faults, fmt.Sprintf("%s:%d: %s: %s", name, files.Position(at).Line, what, rule))
	}
	clock := "" // what this file calls the package time
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if rule := broken(pkg, imported); rule != "" {
			add(spec.Pos(), "imports "+imported, rule)
		}
		if imported == "time" {
			clock = "time"
			if spec.Name != nil {
				clock = spec.Name.Name
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				add(n.Pos(), "an init function", "nothing happens by being imported; wire it in cmd/sparekey")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == clock && k != suite && k != sample {
				if rule := timeRule(name, n.Sel.Name); rule != "" {
					add(n.Pos(), "time."+n.Sel.Name, rule)
				}
			}
		}
		return true
	})
	return faults, nil
}

// timeRule returns the rule that a file breaks by using a function of package time.
func timeRule(name, function string) string {
	switch {
	case function == "Sleep":
		return "wait for a signal, a timer or a context, which can end early"
	case !slices.Contains([]string{"Now", "Since", "Until"}, function), under(name, "bench"), clocks[name] != "":
		return ""
	}
	return "take a reset.Clock; if no handed-in clock would do, say why in clocks"
}

// TestInspect tries inspect on made-up files.
func TestInspect(t *testing.T) {
	t.Parallel()
	const head = "package p\n\nimport \"time\"\n\n"
	for _, c := range []struct {
		about, name, source string
		want                []string // a part of each fault
	}{
		{"a good file", "internal/web/a.go", head + "const day = 24 * time.Hour\n", nil},
		{"an unknown room", "internal/misc/a.go", "package p\n", []string{"internal/misc is no room"}},
		{"a package in the root", "a.go", "package p\n", []string{". is no room"}},
		{"a new directory", "internal/directory/ldap/a.go", "package p\n", nil},
		{"an import", "internal/web/a.go", "package p\n\nimport _ \"database/sql\"\n", []string{"internal/web/a.go:3: imports database/sql: SQL"}},
		{"a file for another system", "internal/web/a_windows.go", "//go:build windows\n\npackage p\n\nimport _ \"net/smtp\"\n", []string{":5: imports net/smtp"}},
		{"two imports", "internal/reset/a.go", "package p\n\nimport (\n\t_ \"C\"\n\t_ \"net/http\"\n)\n", []string{":4: imports C", ":5: imports net/http"}},
		{"the clock called", "internal/web/a.go", head + "var a = time.Now()\n", []string{":5: time.Now: take a reset.Clock"}},
		{"the clock handed on", "internal/web/a.go", head + "var a = time.Now\n", []string{":5: time.Now"}},
		{"the clock hidden", "internal/web/a.go", head + "var a, b = time.Since(z), time.Until(z)\n", []string{":5: time.Since", ":5: time.Until"}},
		{"the clock renamed", "internal/web/a.go", "package p\n\nimport t \"time\"\n\nvar a = t.Now()\n", []string{":5: time.Now"}},
		{"another thing of that name", "internal/web/a.go", "package p\n\nvar a = time.Now()\n", nil},
		{"the wiring's clock", "cmd/sparekey/clock.go", head + "var a = time.Now\n", nil},
		{"a command's clock", "cmd/sparekey/user.go", head + "var a = time.Now()\n", []string{":5: time.Now"}},
		{"the benchmark's clock", "bench/a.go", head + "var a = time.Now()\n", nil},
		{"a suite's clock", "internal/mail/smtptest/a.go", head + "var a = time.Now()\n", nil},
		{"a sample's clock", "examples/a/a.go", head + "var a = time.Now()\n", nil},
		{"sleeping", "internal/web/a.go", head + "func a() { time.Sleep(1) }\n", []string{":5: time.Sleep: wait for"}},
		{"sleeping in the wiring", "cmd/sparekey/clock.go", head + "func a() { time.Sleep(1) }\n", []string{":5: time.Sleep"}},
		{"init", "internal/web/a.go", "package p\n\nfunc init() {}\n", []string{":3: an init function"}},
		{"a method named init", "internal/web/a.go", "package p\n\ntype a int\n\nfunc (a) init() {}\n", nil},
		{"a file as long as may be", "internal/web/a.go", "package p\n" + strings.Repeat("\n", longest-1), nil},
		{"a file too long", "internal/web/a.go", "package p\n" + strings.Repeat("\n", longest), []string{"401 lines; split it"}},
	} {
		faults, err := inspect(c.name, []byte(c.source))
		if err != nil {
			t.Errorf("%s: %v", c.about, err)
		}
		if !slices.EqualFunc(faults, c.want, strings.Contains) {
			t.Errorf("%s: got %q, want %q", c.about, faults, c.want)
		}
	}
}
