package mail

import (
	"embed"
	"errors"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

//go:embed templates
var files embed.FS

// kind is what a mail is about.
type kind string

// The kinds of mails that have templates.
const (
	mailLink    kind = "link"
	mailNotice  kind = "notice"
	mailAddress kind = "address"
	mailUnknown kind = "unknown"
	mailUnsure  kind = "unsure"
	mailPartly  kind = "partly"
)

var kinds = []kind{mailLink, mailNotice, mailUnsure, mailPartly, mailAddress, mailUnknown}

// layout is the template that the others are put into. It is no kind of mail.
const layout = "layout"

// Templates are what mails are made with: for each kind one of text and one of
// HTML, for some languages perhaps others. They are safe for concurrent use.
type Templates struct {
	pairs   map[kind]map[string]pair // by kind and by language; "" is for the others
	source  *sources
	folding folding
}

type pair struct {
	text *texttemplate.Template
	html *htmltemplate.Template
}

var ownTemplates = sync.OnceValues(func() (*Templates, error) {
	own, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, err
	}
	return (&sources{own: own}).parse()
})

// mostTemplate is the largest template file, in bytes.
const mostTemplate = 64 << 10

// LoadTemplates lays the templates in a folder over our own: layout.html,
// layout.txt, and KIND.html and KIND.txt with link, notice, unsure, partly, address or unknown
// for KIND; with a language between, such as link.de.html, for that language alone. What
// is not there is ours. Every mail is composed once in every language, to see that
// it comes out whole. The error is a *reset.Error of kind Invalid, with file and line.
func LoadTemplates(folder string) (*Templates, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, reset.Invalidf("the folder of templates cannot be opened: %v", err)
	}
	defer func() { _ = root.Close() }() // it was read
	own, err := fs.Sub(files, "templates")
	if err != nil {
		return nil, reset.AsError(err)
	}
	s := &sources{own: own, folder: folder, laid: map[string]string{}}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, reset.Invalidf("the folder of templates cannot be read: %v", err)
	}
	for _, e := range entries {
		name := e.Name()
		if ext := path.Ext(name); e.IsDir() || ext != ".html" && ext != ".txt" {
			continue // somebody's notes
		}
		if !isTemplateName(name) {
			return nil, reset.Invalidf("%s is the name of no template; there are layout, %s, with .html or .txt, or with a language such as .de.html",
				filepath.Join(folder, name), join(kinds))
		}
		if s.laid[name], err = readTemplate(root, name); err != nil {
			return nil, reset.Invalidf("%s: %v", filepath.Join(folder, name), err)
		}
	}
	t, err := s.parse()
	if err != nil {
		return nil, err
	}
	return t, tryOut(t)
}

func join(list []kind) string {
	words := make([]string, len(list))
	for i, k := range list {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

func isTemplateName(name string) bool {
	stem, lang, _ := strings.Cut(strings.TrimSuffix(name, path.Ext(name)), ".")
	_, known := i18n.Lookup(lang)
	return (stem == layout || slices.Contains(kinds, kind(stem))) && (lang == "" || known)
}

func readTemplate(root *os.Root, name string) (text string, err error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	contents, err := io.ReadAll(io.LimitReader(f, mostTemplate+1))
	if err == nil && len(contents) > mostTemplate {
		err = reset.Invalidf("it has more than %d KiB", mostTemplate>>10)
	}
	return string(contents), err
}

// sources are the files that templates are read from.
type sources struct {
	own    fs.FS
	folder string
	laid   map[string]string // what lies over our own, by file name
}

// find is the text of a template for a language or else for all, and what it is called in errors: its path, or ours.
func (s *sources) find(stem, lang, ext string) (name, text string, err error) {
	for _, name := range []string{stem + "." + lang + ext, stem + ext} {
		if text, laid := s.laid[name]; laid {
			return filepath.Join(s.folder, name), text, nil
		}
	}
	own, err := fs.ReadFile(s.own, stem+ext)
	return stem + ext, string(own), err
}

// differs says whether a kind of mail is made with something else in that language than in the others.
func (s *sources) differs(k kind, lang string) bool {
	for _, stem := range []string{layout, string(k)} {
		for _, ext := range []string{".txt", ".html"} {
			if _, laid := s.laid[stem+"."+lang+ext]; laid {
				return true
			}
		}
	}
	return false
}

// parse parses all of them, each once.
func (s *sources) parse() (*Templates, error) {
	t := &Templates{pairs: map[kind]map[string]pair{}, source: s}
	for _, k := range kinds {
		t.pairs[k] = map[string]pair{}
		for _, lang := range append([]string{""}, tags()...) {
			if lang != "" && !s.differs(k, lang) {
				continue
			}
			p, err := s.pair(k, lang)
			if err != nil {
				return nil, err
			}
			t.pairs[k][lang] = p
		}
	}
	return t, nil
}

// pair parses what one kind of mail is made with in a language.
func (s *sources) pair(k kind, lang string) (p pair, err error) {
	for _, ext := range []string{".txt", ".html"} {
		parts, err := s.parts(k, lang, ext)
		if err != nil {
			return p, reset.AsError(err)
		}
		for _, part := range parts {
			if err := p.add(ext, part.name, part.text); err != nil {
				return p, templateFault(err)
			}
		}
	}
	return p, nil
}

type part struct{ name, text string }

// parts are the files of a mail in the order in which they are parsed: our
// layout, of which what is laid over it may define a part anew, and the mail itself last.
func (s *sources) parts(k kind, lang, ext string) (parts []part, err error) {
	text, err := fs.ReadFile(s.own, layout+ext)
	if err != nil {
		return nil, err
	}
	parts = append(parts, part{layout + ext, string(text)})
	for _, name := range []string{layout + ext, layout + "." + lang + ext} {
		if text, ok := s.laid[name]; ok {
			parts = append(parts, part{filepath.Join(s.folder, name), text})
		}
	}
	name, content, err := s.find(string(k), lang, ext)
	return append(parts, part{name, content}), err
}

// add parses a file on top; the last is the one that is executed.
func (p *pair) add(ext, name, text string) (err error) {
	if ext == ".txt" {
		if p.text == nil {
			p.text = texttemplate.New(name).Funcs(texttemplate.FuncMap{"wrap": wrap}).Option("missingkey=error")
		} else {
			p.text = p.text.New(name)
		}
		p.text, err = p.text.Parse(text)
		return err
	}
	if p.html == nil {
		p.html = htmltemplate.New(name).Option("missingkey=error")
	} else {
		p.html = p.html.New(name)
	}
	p.html, err = p.html.Parse(text)
	return err
}

// pair is what a kind of mail is made with in a language.
func (t *Templates) pair(k kind, lang string) pair {
	if p, ok := t.pairs[k][lang]; ok {
		return p
	}
	return t.pairs[k][""]
}

// execute makes subject, text and HTML of a mail.
func (t *Templates) execute(k kind, v *view, m *Message) error {
	p := t.pair(k, v.Lang)
	var b strings.Builder
	if subject := p.text.Lookup("subject"); subject != nil {
		if err := subject.Execute(&b, v); err != nil {
			return err
		}
		v.Subject = oneSubject(b.String())
		b.Reset()
	}
	m.Subject = v.Subject
	if err := p.text.Execute(&b, v); err != nil {
		return err
	}
	m.Text = tidy(b.String())
	b.Reset()
	b.Grow(8 << 10)
	page := p.html
	if !v.once {
		var err error
		if page, err = t.page(k, v); err != nil {
			return err
		}
	}
	if err := page.Execute(&b, v); err != nil {
		return err
	}
	m.HTML = b.String()
	return nil
}

// tidy ends a text with one line break, and has no more than one empty line in a row:
// what a template leaves out leaves gaps.
func tidy(s string) string {
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return strings.Trim(s, "\n") + "\n"
}

func tags() []string {
	var list []string
	for _, l := range i18n.Languages() {
		list = append(list, l.Tag)
	}
	return list
}
