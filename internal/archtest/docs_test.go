package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromisedTestsExist: a promise in docs/security.md is as good as the test
// that it names, so each has to be there.
func TestPromisedTestsExist(t *testing.T) {
	t.Parallel()
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+) (Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 50 {
		t.Fatalf("only %d tests were found in the text: has its form changed?", len(named))
	}
	sources := make(map[string]string) // by folder
	for _, name := range named {
		folder, test := name[1], name[2]
		if _, read := sources[folder]; !read {
			sources[folder] = testsIn(t, filepath.Join(root, folder))
		}
		if !strings.Contains(sources[folder], "\nfunc "+test+"(t *testing.T) {\n") {
			t.Errorf("docs/security.md names %s in %s, where it is not; name the test that shows the promise", test, folder)
		}
	}
}

// testsIn returns the text of a folder's tests.
func testsIn(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(source)
	}
	return all.String()
}
