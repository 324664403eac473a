package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/sparekey/sparekey/internal/servicetest"
)

// walk visits every element.
func walk(n *html.Node, visit func(*html.Node)) {
	if n.Type == html.ElementNode {
		visit(n)
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		walk(c, visit)
	}
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// TestEveryPageIsWellMade: a language, one heading, a title, labelled fields,
// descriptions that exist, and nothing from elsewhere.
func TestEveryPageIsWellMade(t *testing.T) {
	t.Parallel()
	for name, p := range everyPage(t) {
		doc, err := html.Parse(strings.NewReader(p.body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ids, labelled, headings, title := map[string]bool{}, map[string]bool{}, 0, ""
		walk(doc, func(n *html.Node) {
			if id := attr(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("%s: the id %s is there twice", name, id)
				}
				ids[id] = true
			}
			switch n.Data {
			case "html":
				if attr(n, "lang") == "" {
					t.Errorf("%s: no language", name)
				}
			case "h1":
				headings++
			case "title":
				title = n.FirstChild.Data
			case "label":
				labelled[attr(n, "for")] = true
				walk(n, func(inner *html.Node) {
					if inner.Data == "input" {
						labelled[attr(inner, "id")] = true
					}
				})
			}
			for _, a := range n.Attr {
				here := strings.HasPrefix(a.Val, "?lang=") || strings.HasPrefix(a.Val, "#") // the same page
				if (a.Key == "src" || a.Key == "href" || a.Key == "action") && !here && !strings.HasPrefix(a.Val, "/") {
					t.Errorf("%s: <%s %s=%q> leads elsewhere", name, n.Data, a.Key, a.Val)
				}
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("%s: <%s %s> is inline", name, n.Data, a.Key)
				}
			}
		})
		if headings != 1 || !strings.HasSuffix(title, "– Example") {
			t.Errorf("%s: %d headings, title %q", name, headings, title)
		}
		walk(doc, func(n *html.Node) {
			if n.Data != "input" || attr(n, "type") == "hidden" || has(n, "hidden") {
				return
			}
			if !labelled[attr(n, "id")] {
				t.Errorf("%s: a field without a label", name)
			}
			for described := range strings.FieldsSeq(attr(n, "aria-describedby")) {
				if !ids[described] {
					t.Errorf("%s: %s describes a field and is not there", name, described)
				}
			}
			if attr(n, "type") != "checkbox" && !has(n, "autocomplete") {
				t.Errorf("%s: a field that no password manager knows", name)
			}
			if has(n, "onpaste") || has(n, "maxlength") {
				t.Errorf("%s: a field that hinders pasting", name)
			}
		})
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	p := s.person(t)
	found := 0
	doc, err := html.Parse(strings.NewReader(p.get("/reset/" + s.MailedID(t, ada)).body))
	if err != nil {
		t.Fatal(err)
	}
	walk(doc, func(n *html.Node) {
		for _, name := range []string{"src", "href"} {
			path := attr(n, name)
			if !strings.HasPrefix(path, "/assets/") {
				continue
			}
			found++
			got := p.get(path)
			if got.status != http.StatusOK || !strings.Contains(got.header.Get("Cache-Control"), "immutable") || strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
				t.Errorf("%s: %d %v", path, got.status, got.header)
			}
		}
	})
	if found != 3 {
		t.Errorf("the page has %d assets, want a stylesheet, a script and an icon", found)
	}
	p.get("/assets/").want(t, http.StatusNotFound, "/assets/")
}

// TestHostileNamesAreEscaped: the service's name is on every page, in the title
// and in the text. Users' and accounts' names are on none; what was typed is
// tested in TestBadAddresses.
func TestHostileNamesAreEscaped(t *testing.T) {
	t.Parallel()
	world := servicetest.New(t)
	for _, name := range []string{`"><img src=x onerror=alert(1)>`, `{{.}}`, `</title><script>alert(1)</script>`} {
		w := httptest.NewRecorder()
		newPages(t, world, name, nil, &strings.Builder{}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/forgot", nil))
		doc, err := html.Parse(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		said := 0
		walk(doc, func(n *html.Node) {
			switch {
			case n.Data == "img" || n.Data == "script":
				t.Errorf("%q became an element", name)
			case n.FirstChild != nil && n.FirstChild.Type == html.TextNode && strings.HasSuffix(n.FirstChild.Data, name):
				said++
			}
		})
		if said != 2 {
			t.Errorf("%q is said %d times, want in the title and in the text", name, said)
		}
	}
}
