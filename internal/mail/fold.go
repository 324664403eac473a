package mail

import (
	htmltemplate "html/template"
	"strings"
	"sync"
	tree "text/template/parse"

	"github.com/sparekey/sparekey/internal/reset"
)

// mostFolded is how many templates are kept with their constants folded in, and how many palettes.
const (
	mostFolded   = 64
	mostPalettes = 1024
)

// look is what of a brand decides about colours.
type look struct{ accent, background reset.Color }

func lookOf(b reset.Brand) look { return look{b.Accent, b.Background} }

// palettes keeps the colours of brands, since to make them readable takes longer than all else in a mail.
type palettes struct {
	mu   sync.Mutex
	kept map[look]schemes
}

type schemes struct{ light, dark reset.Palette }

func (p *palettes) of(b reset.Brand) schemes {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.kept[lookOf(b)]
	if !ok {
		s = schemes{light: b.Light(), dark: b.Dark()}
		if p.kept == nil || len(p.kept) >= mostPalettes {
			p.kept = map[look]schemes{}
		}
		p.kept[lookOf(b)] = s
	}
	return s
}

// folding keeps HTML templates in which language and colours are text already: half of
// what is to be filled in is the same in every mail, and each costs about a microsecond.
type folding struct {
	mu   sync.Mutex
	kept map[folded]*htmltemplate.Template
}

type folded struct {
	kind kind
	lang string
	look look
}

// page is what the HTML of a mail is made with. Once there are many brands, those that come later get the template as it is.
func (t *Templates) page(k kind, v *view) (*htmltemplate.Template, error) {
	key := folded{k, v.Lang, v.look}
	t.folding.mu.Lock()
	defer t.folding.mu.Unlock()
	if page, ok := t.folding.kept[key]; ok {
		return page, nil
	}
	if len(t.folding.kept) >= mostFolded {
		return t.pair(k, v.Lang).html, nil
	}
	p, err := t.source.pair(k, v.Lang)
	if err != nil {
		return nil, err
	}
	constants := v.constants()
	for _, part := range p.html.Templates() {
		if part.Tree != nil {
			fold(part.Tree.Root, constants)
		}
	}
	if t.folding.kept == nil {
		t.folding.kept = map[folded]*htmltemplate.Template{}
	}
	t.folding.kept[key] = p.html
	return p.html, nil
}

// constants are the fields that are the same in all mails of a language and a
// look: letters, digits and #, which mean the same wherever they stand in HTML.
func (v *view) constants() map[string]string {
	m := map[string]string{"Lang": v.Lang, "Dir": v.Dir, "Start": v.Start, "End": v.End}
	for name, p := range map[string]reset.Palette{"Light": v.Light, "Dark": v.Dark} {
		for field, c := range map[string]reset.Color{
			"Ground": p.Ground, "Sheet": p.Sheet, "Text": p.Text, "Quiet": p.Quiet, "Problem": p.Problem, "Accent": p.Accent, "OnAccent": p.OnAccent,
		} {
			m[name+"."+field] = string(c)
		}
	}
	return m
}

// fold replaces actions that show a constant by its text.
func fold(n tree.Node, constants map[string]string) {
	switch n := n.(type) {
	case *tree.ListNode:
		if n == nil {
			return
		}
		for i, child := range n.Nodes {
			if text, ok := constants[shown(child)]; ok {
				n.Nodes[i] = &tree.TextNode{NodeType: tree.NodeText, Pos: child.Position(), Text: []byte(text)}
				continue
			}
			fold(child, constants)
		}
	case *tree.IfNode:
		fold(n.List, constants)
		fold(n.ElseList, constants)
	case *tree.RangeNode:
		fold(n.List, constants)
		fold(n.ElseList, constants)
	case *tree.WithNode:
		fold(n.List, constants)
		fold(n.ElseList, constants)
	}
}

// shown is the field that an action shows and does nothing else with, such as "Light.Text"; empty for any other node.
func shown(n tree.Node) string {
	action, ok := n.(*tree.ActionNode)
	if !ok || len(action.Pipe.Decl) > 0 || len(action.Pipe.Cmds) != 1 || len(action.Pipe.Cmds[0].Args) != 1 {
		return ""
	}
	switch field := action.Pipe.Cmds[0].Args[0].(type) {
	case *tree.FieldNode:
		return strings.Join(field.Ident, ".")
	case *tree.VariableNode:
		if field.Ident[0] == "$" {
			return strings.Join(field.Ident[1:], ".")
		}
	}
	return ""
}
