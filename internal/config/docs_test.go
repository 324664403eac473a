package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/config"
)

// row is the line of a setting in the table of docs/configuration.md.
func row(s config.Setting) string {
	standard := "–"
	if s.Default != "" {
		standard = s.Default
		if !strings.Contains(standard, " ") { // a value, not words about it
			standard = "`" + standard + "`"
		}
	}
	about := strings.ToUpper(s.About[:1]) + s.About[1:] + "."
	if s.Secret {
		about += " Secret."
	}
	for _, command := range s.NeededBy {
		about += " `sparekey " + command + "` needs it."
	}
	cells := []string{"`" + s.Path + "`", "`" + s.Env() + "`", standard, strings.ReplaceAll(s.Allowed, "<", `\<`), about}
	return "| " + strings.Join(cells, " | ") + " |"
}

func TestDocumentationListsEverySetting(t *testing.T) {
	t.Parallel()
	contents, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(contents)
	rows := map[string]bool{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") {
			rows[strings.TrimSpace(line)] = true
		}
	}
	for _, s := range config.Settings() {
		if !rows[row(s)] {
			t.Errorf("docs/configuration.md lacks the line\n%s", row(s))
		}
		delete(rows, row(s))
	}
	for line := range rows {
		t.Errorf("docs/configuration.md has a line of no setting:\n%s", line)
	}

	_, example, found := strings.Cut(text, "```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	if !found || !closed {
		t.Fatal("docs/configuration.md has no example of a file")
	}
	cfg := load(t, config.Source{File: write(t, example), Environ: []string{"SPAREKEY_MAIL_SMTP=smtps://mail.example.com"}})
	if err := config.Require(cfg, config.Needed("serve")...); err != nil {
		t.Errorf("the example is not enough to serve: %v", err)
	}
}

func TestNamesDeriveFromThePath(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, s := range config.Settings() {
		for _, name := range []string{s.Path, s.Env(), s.EnvFile(), s.Flag()} {
			if other, twice := seen[name]; twice && other != s.Path {
				t.Errorf("%s names both %s and %s", name, other, s.Path)
			}
			seen[name] = s.Path
		}
		if s.About == "" || s.Allowed == "" || s.Kind == "" {
			t.Errorf("%s is not described: %+v", s.Path, s)
		}
	}
	for name, path := range map[string]string{
		"SPAREKEY_MAIL_SERVICE_NAME": "mail.service_name", "mail-service-name": "mail.service_name", "SPAREKEY_BASE_URL": "base_url",
	} {
		if seen[name] != path {
			t.Errorf("%s names %q instead of %s", name, seen[name], path)
		}
	}
}
