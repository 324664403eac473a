package mail

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
)

// laid writes template files into a folder of their own.
func laid(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestOwnTemplatesAreLaidOverOurs(t *testing.T) {
	t.Parallel()
	folder := laid(t, map[string]string{
		"notes.md":     "{{",
		"layout.html":  `{{define "bottom"}}<hr>{{end}}`,
		"link.txt":     "{{define \"subject\"}}\n{{.Service}}: your\r\nlink{{end}}Dear {{.Name}},\n{{.Link}}\n",
		"link.de.html": `<p title="{{.Name}}"><a href="{{.Link}}">Hier</a> {{.Light.Text}} {{.Start}} {{with .Several}}{{$.Lang}}{{end}}</p>`,
	})
	templates, err := LoadTemplates(folder)
	if err != nil {
		t.Fatal(err)
	}
	c := composer(t, Sender{From: "Example <no-reply@example.com>", Templates: templates})
	for locale, html := range map[string]string{
		"en": "<hr>",
		"de": `<p title="Eve &#34;&lt;b&gt;"><a href="https://reset.example.com/reset/0b9cdd3c-2f6e-4c5e-8f43-4e6c2b1f7a90">Hier</a> #1b1f23 left de</p>`,
	} {
		l := linkMail(t)
		l.User.Locale, l.User.Name = locale, `Eve "<b>`
		m, err := c.Link(l)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject != "Example: your link" || m.Text != "Dear Eve \"<b>,\n"+l.Link+"\n" || !strings.Contains(m.HTML, html) {
			t.Errorf("in %s it is %q\n%s\n%s", locale, m.Subject, m.Text, m.HTML)
		}
		parse(t, m.Raw)
	}
	// What is not laid over is ours.
	if m, err := c.Notice(noticeMail(t)); err != nil || !strings.Contains(m.HTML, "Your password was changed") || !strings.HasSuffix(strings.TrimSpace(m.HTML), "<hr>") {
		t.Errorf("the notice is %v", err)
	}
}

func TestTemplatesThatDoNotDoAreRefusedWithFileAndLine(t *testing.T) {
	t.Parallel()
	const link = `<a href="{{.Link}}">x</a>`
	for name, c := range map[string]struct{ file, text, want string }{
		"syntax":                {"link.html", "\n{{if}}", ":2: "},
		"syntax of text":        {"notice.he.txt", "\n\n{{end}}", ":3: "},
		"layout":                {"layout.html", "{{define \"top\"}}\n{{.Nope}}{{end}}", ":2:"},
		"a field in one branch": {"link.html", link + "{{if not .Several}}\n{{.Nope}}{{end}}", ":2:"},
		"no such function":      {"link.html", "{{upper .Name}}", ":1: "},
		"an ambiguous place":    {"link.html", link + "\n<a href=\"{{if .For}}x\"{{end}}>", "link.html"},
		"empty":                 {"link.html", "", "link.html:1: it ends without the link"},
		"no link as text":       {"link.ja.txt", "{{.ForgotURL}}\n\nNo.\n", "link.ja.txt:3: it ends without the link; put {{.Link}} on a line of its own"},
		"no link in HTML":       {"link.html", "{{.Link}}\n<a href=\"{{.ForgotURL}}\">x</a>", "link.html:2: it ends without the link"},
		"a value not there":     {"notice.html", `{{.Rich "link.once"}}`, `notice.html:1:`},
		"a picture":             {"notice.html", `<img src="//cdn.example.com/a.png">`, "loads //cdn.example.com/a.png from elsewhere"},
		"a style sheet":         {"notice.html", `<link rel="stylesheet" href="https://a.test/a.css">`, "loads <link> from elsewhere"},
		"a style":               {"notice.html", `<p style="background:url(https://a.test/a.png)">`, "loads something by its style"},
		"a style element":       {"notice.html", "<style>@import 'https://a.test/a.css';</style>", "loads something by its style"},
		"a script":              {"notice.html", "<script>1</script>", "script"},
		"an empty subject":      {"address.txt", `{{define "subject"}} {{end}}x`, `the template "subject" in it is empty`},
		"too large":             {"notice.html", strings.Repeat("x", mostTemplate+1), "more than 64 KiB"},
		"another name":          {"reset.html", link, "is the name of no template"},
		"another language":      {"link.xx.html", link, "is the name of no template"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := laid(t, map[string]string{c.file: c.text})
			_, err := LoadTemplates(folder)
			e := reset.AsError(err)
			if err == nil || e.Kind != reset.Invalid || !strings.Contains(e.Message, filepath.Join(folder, c.file)) || !strings.Contains(e.Message, c.want) {
				t.Errorf("got %v, want the path of %s and %q", err, c.file, c.want)
			}
		})
	}
}

func TestTemplatesOfNobodyAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := LoadTemplates(filepath.Join(t.TempDir(), "nowhere")); reset.AsError(err).Kind != reset.Invalid {
		t.Errorf("got %v", err)
	}
	// A link out of the folder may be somebody else's to change.
	folder := t.TempDir()
	if err := os.Symlink("/etc/hostname", filepath.Join(folder, "link.txt")); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTemplates(folder); err == nil {
		t.Error("a file outside of the folder is read")
	}
}

// TestDocumentationListsEveryField: whoever writes a template reads docs/mails.md and not our code.
func TestDocumentationListsEveryField(t *testing.T) {
	t.Parallel()
	contents, err := os.ReadFile(filepath.Join("..", "..", "docs", "mails.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for f := range reflect.TypeFor[view]().Fields() {
		if f.IsExported() {
			names = append(names, "`."+f.Name)
		}
	}
	for m := range reflect.TypeFor[*view]().Methods() {
		names = append(names, "`."+m.Name)
	}
	for f := range reflect.TypeFor[reset.Palette]().Fields() {
		names = append(names, "`"+f.Name)
	}
	for _, k := range kinds {
		names = append(names, "`"+string(k)+".html`", "`"+string(k)+".txt`")
	}
	for _, name := range names {
		if !strings.Contains(string(contents), name) {
			t.Errorf("docs/mails.md does not tell of %s`", name)
		}
	}
}
