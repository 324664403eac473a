// Package archtest holds the house together: it fails when a file imports what
// its room in ARCHITECTURE.md does not allow, reads a clock of its own, or
// outgrows its subject.
//
// It reads the files itself and does not ask the go tool: so files of other
// systems and build tags count too, and `go test` sees what the result depends
// on and never answers with an old one.
package archtest

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestHouse(t *testing.T) {
	t.Parallel()
	house := os.DirFS("../..")
	files := productFiles(t, house)
	for _, known := range []string{"cmd/sparekey/main.go", "internal/reset/doc.go"} {
		if !slices.Contains(files, known) {
			t.Fatalf("%s is not among the %d files found; is this still the root of the module?", known, len(files))
		}
	}
	for _, name := range files {
		source, err := fs.ReadFile(house, name)
		if err != nil {
			t.Fatal(err)
		}
		faults, err := inspect(name, source)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults {
			t.Error(fault)
		}
	}
}

// productFiles returns the Go files of this module that are no tests, as the go
// tool would: not those of a module within it, and none under testdata.
func productFiles(t *testing.T, house fs.FS) (files []string) {
	t.Helper()
	err := fs.WalkDir(house, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != "." && strings.ContainsAny(path.Base(name)[:1], "._")
		switch {
		case entry.IsDir() && (hidden || isOtherTree(house, name)):
			return fs.SkipDir
		case !entry.IsDir() && !hidden && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func isOtherTree(house fs.FS, dir string) bool {
	if slices.Contains([]string{"testdata", "vendor", "node_modules"}, path.Base(dir)) {
		return true
	}
	_, err := fs.Stat(house, path.Join(dir, "go.mod"))
	return err == nil && dir != "."
}

func TestProductFiles(t *testing.T) {
	t.Parallel()
	house := fstest.MapFS{}
	for _, name := range []string{
		"go.mod", "a.go", "a_test.go", "README.md", "internal/a/a.go", "internal/a/a_windows.go", "internal/a/a_test.go",
		"internal/a/testdata/b.go", "internal/a/_b.go", "internal/a/.b.go", "_old/b.go", ".git/b.go",
		"clients/js/node_modules/b/b.go", "tools/go.mod", "tools/b.go", "tools/below/b.go", "vendor/b.go",
	} {
		house[name] = &fstest.MapFile{}
	}
	want := []string{"a.go", "internal/a/a.go", "internal/a/a_windows.go"}
	if got := productFiles(t, house); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
