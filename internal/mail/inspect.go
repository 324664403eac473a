package mail

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/reset"
)

// mostHTML is the largest HTML part, in bytes: Gmail cuts off what is beyond 102 KB.
const mostHTML = 100 << 10

// inspect says what is wrong with a mail that a template made: a mail without its
// link helps nobody, and one that loads something from elsewhere tells there who reads it.
func (t *Templates) inspect(s sample, lang string, m *Message) error {
	text, textLine := t.file(s.kind, lang, ".txt")
	page, pageLine := t.file(s.kind, lang, ".html")
	refs := references(m.HTML)
	switch {
	case s.link != "" && !strings.Contains(m.Text, s.link):
		return reset.Invalidf("%s:%d: it ends without the link; put {{.Link}} on a line of its own", text, textLine)
	case s.link != "" && !slices.Contains(refs.links, s.link):
		return reset.Invalidf(`%s:%d: it ends without the link; put it in: <a href="{{.Link}}">`, page, pageLine)
	case refs.loaded != "":
		return reset.Invalidf("%s:%d: up to here it loads %s from elsewhere; mails load nothing, so that nobody learns who reads them: use {{.Logo}}, or nothing",
			page, pageLine, refs.loaded)
	case refs.script:
		return reset.Invalidf("%s:%d: up to here it has a script or a form, which mail programs remove; take it out", page, pageLine)
	case len(m.HTML) > mostHTML:
		return reset.Invalidf("%s:%d: it makes HTML of %d KB, and mail programs cut off what is beyond %d; make it smaller",
			page, pageLine, len(m.HTML)>>10, mostHTML>>10)
	case strings.TrimSpace(m.Subject) == "":
		return reset.Invalidf(`%s:%d: the template "subject" in it is empty; take it out, or write a subject`, text, textLine)
	}
	return nil
}

// file is what a mail is made with, and how many lines that has.
func (t *Templates) file(k kind, lang, ext string) (name string, lines int) {
	name, text, err := t.source.find(string(k), lang, ext)
	if err != nil {
		return string(k) + ext, 1
	}
	return name, strings.Count(strings.TrimRight(text, "\n"), "\n") + 1
}

// referred is what HTML refers to.
type referred struct {
	links  []string // where one can go
	loaded string   // the first thing that would be fetched, or empty
	script bool
}

var (
	// loading are attributes by which something is fetched without being asked for.
	loading = []string{"src", "srcset", "background", "poster", "data", "code", "xlink:href"}
	// inStyle finds what styles fetch.
	inStyle = regexp.MustCompile(`(?i)(url\s*\(|@import|image-set\s*\(|expression\s*\(|\\)`)
)

// references looks through HTML as a browser would.
func references(page string) referred {
	var r referred
	load := func(what string) {
		low := strings.ToLower(strings.TrimSpace(what))
		if r.loaded == "" && low != "" && !strings.HasPrefix(low, "cid:") && !strings.HasPrefix(low, "data:image/") {
			r.loaded = what
		}
	}
	style := false
	for tokens := html.NewTokenizer(strings.NewReader(page)); ; {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			return r
		}
		token := tokens.Token()
		if kind == html.TextToken && style && inStyle.MatchString(token.Data) {
			load("something by its style")
		}
		style = kind == html.StartTagToken && token.Data == "style"
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			continue
		}
		switch token.Data {
		case "script", "form", "iframe", "object", "embed":
			r.script = true
		case "link", "base":
			load("<" + token.Data + ">")
		}
		for _, a := range token.Attr {
			switch {
			case a.Key == "href" && token.Data == "a":
				r.links = append(r.links, a.Val)
			case slices.Contains(loading, a.Key):
				load(a.Val)
			case a.Key == "style" && inStyle.MatchString(a.Val):
				load("something by its style")
			}
		}
	}
}
