// Package archtest holds the house together: it fails when a package imports
// what its room in ARCHITECTURE.md does not allow.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sparekey/sparekey"

// pkg is a package and what it imports, tests aside.
type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

// local is the path inside the module; empty for other packages.
func local(path string) string {
	if rest, ok := strings.CutPrefix(path, module+"/"); ok {
		return rest
	}
	return ""
}

// adapters are the rooms that know the outside; they never import each other.
// A room may import what is inside of it.
var adapters = []string{
	"internal/store/sqlite", "internal/store/postgres", "internal/directory/builtin", "internal/outbox", "internal/mail",
	"internal/password", "internal/throttle", "internal/httpapi", "internal/web", "internal/httpserver", "internal/config", "internal/logs",
}

// forTests are packages that tests alone may import.
var forTests = []string{
	"internal/servicetest", "internal/store/storetest", "internal/directory/directorytest",
	"internal/mail/smtptest", "internal/httpapi/contracttest",
}

// reserved says which imports from outside belong to which rooms.
var reserved = []struct {
	imported string // or anything below it
	rooms    []string
	why      string
}{
	{"github.com/riverqueue/river", []string{"internal/outbox", "internal/store"}, "the outbox and the stores alone know River; ask reset.Tx.Enqueue"},
	{"database/sql", []string{"internal/store", "internal/directory", "internal/servicetest", "cmd/sparekey", "bench"}, "SQL belongs into a store or a directory"},
	{"modernc.org/sqlite", []string{"internal/store/sqlite", "bench"}, "SQLite belongs into its store"},
	{"github.com/wneessen/go-mail", []string{"internal/mail"}, "SMTP belongs into internal/mail"},
	{"github.com/spf13/cobra", []string{"cmd/sparekey"}, "the command line belongs into cmd/sparekey"},
	{"net/http", []string{"internal/httpapi", "internal/web", "internal/httpserver", "internal/mail/devbox", "cmd/sparekey", "bench"}, "HTTP belongs into the API, the pages and their server"},
	{"testing", forTests, "what ships does not import testing"},
}

func under(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func in(path string, rooms []string) bool {
	return slices.ContainsFunc(rooms, func(room string) bool { return under(path, room) })
}

func adapterOf(path string) string {
	for _, a := range adapters {
		if under(path, a) {
			return a
		}
	}
	return ""
}

// broken returns the rule that an import breaks, and what to do; empty if none.
func broken(from, imported string) string {
	to := local(imported)
	switch {
	case in(from, []string{"api", "client", "internal/reset"}) && to != "":
		return "it imports nothing of this module; what it needs from outside is an interface of its own"
	case in(to, forTests) && !in(from, forTests):
		return "only tests import it"
	case adapterOf(from) != "" && adapterOf(to) != "" && adapterOf(from) != adapterOf(to) && !in(from, forTests):
		return "adapters never import each other; join them in cmd/sparekey, through an interface in internal/reset"
	case under(to, "cmd"):
		return "nobody imports a command"
	}
	for _, r := range reserved {
		if under(imported, r.imported) && !in(from, r.rooms) && !in(from, forTests) {
			return r.why
		}
	}
	return ""
}

func TestHouse(t *testing.T) {
	t.Parallel()
	packages := list(t)
	if len(packages) < 10 {
		t.Fatalf("only %d packages were found", len(packages))
	}
	for _, p := range packages {
		for _, imported := range p.Imports {
			if rule := broken(local(p.ImportPath), imported); rule != "" {
				t.Errorf("%s imports %s: %s", local(p.ImportPath), imported, rule)
			}
		}
	}
}

// list asks the go tool, so build tags and test files are told apart as it does.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,Imports,GoFiles", module+"/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// TestRules tests the rules themselves on made-up imports.
func TestRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, imported string
		ok             bool
	}{
		{"internal/reset", "fmt", true},
		{"internal/reset", module + "/internal/logs", false},
		{"internal/reset", "net/http", false},
		{"internal/reset", "database/sql", false},
		{"internal/web", module + "/internal/reset", true},
		{"internal/web", module + "/internal/httpapi", false},
		{"internal/httpapi", module + "/api", true},
		{"internal/httpapi", module + "/internal/store/sqlite", false},
		{"internal/mail/devbox", module + "/internal/mail", true},
		{"internal/mail", module + "/internal/mail/smtptest", false},
		{"internal/store/sqlite", module + "/internal/outbox", false},
		{"internal/store/sqlite", "github.com/riverqueue/river/riverdriver", true},
		{"internal/throttle", "github.com/riverqueue/river", false},
		{"internal/store/postgres", module + "/internal/store/sqlite", false},
		{"internal/servicetest", module + "/internal/store/sqlite", true},
		{"cmd/sparekey", module + "/internal/web", true},
		{"cmd/sparekey", module + "/internal/servicetest", false},
		{"internal/web", module + "/cmd/sparekey", false},
		{"client", module + "/internal/reset", false},
		{"internal/password", "testing", false},
		{"internal/mail", "net/http", false},
		{"internal/mail/devbox", "net/http", true},
	} {
		if rule := broken(c.from, c.imported); (rule == "") != c.ok {
			t.Errorf("%s importing %s: %q, want allowed: %v", c.from, c.imported, rule, c.ok)
		}
	}
}

// clocks may read the time; everybody else has a clock handed in.
var clocks = []string{
	"cmd/sparekey",             // the wiring
	"bench",                    // it measures
	"internal/mail",            // deadlines of sockets, which know no other clock
	"internal/httpapi",         // likewise
	"internal/mail/smtptest",   // a server for tests
	"internal/servicetest",     // the hasher's moving average
	"internal/store/storetest", // measures nothing, but may
}

// TestSource looks at the code itself: no init functions, no clock but the
// injected one, no file that has outgrown its subject.
func TestSource(t *testing.T) {
	t.Parallel()
	const longest = 400 // lines
	for _, p := range list(t) {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			where := local(p.ImportPath) + "/" + name
			if n := bytes.Count(source, []byte("\n")); n > longest {
				t.Errorf("%s has %d lines; split it by meaning, at most %d", where, n, longest)
			}
			for _, fault := range faults(t, local(p.ImportPath), path, source) {
				t.Errorf("%s: %s", where, fault)
			}
		}
	}
}

func faults(t *testing.T, room, path string, source []byte) (list []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				list = append(list, "an init function; wire it in cmd/sparekey")
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name == "Now" && !slices.Contains(clocks, room) {
				list = append(list, fmt.Sprintf("line %d: time.Now; take a reset.Clock", files.Position(n.Pos()).Line))
			}
		}
		return true
	})
	return list
}
