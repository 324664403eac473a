package sqldir

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// statement is one SQL statement with named parameters, taken apart at them.
type statement struct {
	parts []string // one more than names
	names []string
}

// bind returns the text that the driver takes, and its arguments in order. A name that
// comes twice is two parameters, so that each can have the type that its place asks for.
func (s statement) bind(d *dialect, args map[string]any) query {
	var text strings.Builder
	text.WriteString(s.parts[0])
	q := query{}
	for i, name := range s.names {
		text.WriteString(d.placeholder(i + 1))
		text.WriteString(s.parts[i+1])
		q.args = append(q.args, args[name])
	}
	q.text = text.String()
	return q
}

// shown is the statement with values put in for people to read. It is never run.
func (s statement) shown(values map[string]string) string {
	var text strings.Builder
	text.WriteString(s.parts[0])
	for i, name := range s.names {
		text.WriteString(values[name])
		text.WriteString(s.parts[i+1])
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

func (s statement) has(name string) bool { return slices.Contains(s.names, name) }

// isSet reports whether there is one at all.
func (s statement) isSet() bool { return len(s.parts) > 0 }

// parse takes one statement apart. It must begin with one of the verbs and name no other parameters than
// those. What stands in literals, quoted names and comments is left alone.
func (d *dialect) parse(text string, verbs, names []string) (statement, error) {
	p := parser{dialect: d, text: strings.TrimSpace(text)}
	if strings.ContainsRune(text, 0) {
		return statement{}, errors.New("it has a NUL")
	}
	verb := strings.ToUpper(word(p.text))
	if !slices.Contains(verbs, verb) {
		return statement{}, fmt.Errorf("it must begin with %s", strings.Join(verbs, " or "))
	}
	if err := p.run(); err != nil {
		return statement{}, err
	}
	for _, name := range p.out.names {
		if !slices.Contains(names, name) {
			return statement{}, fmt.Errorf("it names the parameter :%s; there are :%s", name, strings.Join(names, ", :"))
		}
	}
	return p.out, nil
}

// parser goes through a statement once.
type parser struct {
	dialect *dialect
	text    string
	at      int // where it is
	from    int // where the part that is under way began
	ended   bool
	out     statement
}

func (p *parser) run() error {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		c := rest[0]
		length, err := p.literal(rest)
		if err != nil {
			return err
		}
		switch {
		case length > 0:
			if comment := rest[0] == '-' || rest[0] == '#' || strings.HasPrefix(rest, "/*"); !comment {
				err = p.more()
			}
			p.at += length
		case c == ';':
			if p.ended {
				return errors.New("it has more than one statement")
			}
			p.out.parts, p.ended = append(p.out.parts, p.text[p.from:p.at]), true
			p.at++
		case strings.HasPrefix(rest, "::"), strings.HasPrefix(rest, ":="):
			err = p.more()
			p.at += 2
		case c == ':' && word(rest[1:]) != "":
			err = p.more()
			name := word(rest[1:])
			p.out.parts = append(p.out.parts, p.text[p.from:p.at])
			p.out.names = append(p.out.names, name)
			p.at += 1 + len(name)
			p.from = p.at
		case c == '?' && p.dialect.numberless, c == '$' && !p.inWord() && isDigit((rest + " ")[1]):
			return errors.New("it has a placeholder without a name; write :id and so on")
		case isWord(c):
			err = p.more()
			p.at += span(rest)
		default:
			if c > ' ' {
				err = p.more()
			}
			p.at++
		}
		if err != nil {
			return err
		}
	}
	if !p.ended {
		p.out.parts = append(p.out.parts, p.text[p.from:])
	}
	return nil
}

// more is called for whatever has a meaning: none of that follows the end of the statement.
func (p *parser) more() error {
	if p.ended {
		return errors.New("it has more than one statement")
	}
	return nil
}

// literal returns the length of the literal, quoted name or comment that a text begins with; 0: there is none.
func (p *parser) literal(rest string) (int, error) {
	d := p.dialect
	switch c := rest[0]; {
	case c == '\'':
		return quoted(rest, c, d.backslash || p.escaping())
	case c == '"':
		return quoted(rest, c, d.backslash)
	case c == '`' && d.backtick:
		return quoted(rest, c, false)
	case c == '[' && d.bracket:
		return until(rest, "]")
	case strings.HasPrefix(rest, "--") && (!d.backslash || len(rest) == 2 || rest[2] <= ' '), c == '#' && d.backslash:
		if i := strings.IndexByte(rest, '\n'); i >= 0 {
			return i, nil
		}
		return len(rest), nil
	case d.backslash && (strings.HasPrefix(rest, "/*!") || strings.HasPrefix(rest, "/*M!")):
		return 0, errors.New("it has a comment that the server would run")
	case strings.HasPrefix(rest, "/*"):
		return comment(rest, d.dollar)
	case c == '$' && d.dollar && !p.inWord():
		if tag := dollarTag(rest); tag != "" {
			n, err := until(rest[len(tag):], tag)
			return len(tag) + n, err
		}
	}
	return 0, nil
}

// escaping tells whether the quote here is that of E'…', in which PostgreSQL knows backslashes.
func (p *parser) escaping() bool {
	return p.at > 0 && (p.text[p.at-1] == 'E' || p.text[p.at-1] == 'e') && (p.at == 1 || !isWord(p.text[p.at-2]))
}

func (p *parser) inWord() bool { return p.at > 0 && isWord(p.text[p.at-1]) }

var errUnended = errors.New("a literal, quoted name or comment in it has no end")

// quoted is the length of what is in quotes; a quote in it is doubled or, with escape, behind a backslash.
func quoted(s string, quote byte, escape bool) (int, error) {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escape:
			i++
		case s[i] != quote:
		case i+1 < len(s) && s[i+1] == quote:
			i++
		default:
			return i + 1, nil
		}
	}
	return 0, errUnended
}

func until(s, end string) (int, error) {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end), nil
	}
	return 0, errUnended
}

// comment is the length of a comment, which PostgreSQL lets have others inside.
func comment(s string, nests bool) (int, error) {
	depth := 0
	for i := 0; i+1 < len(s); i++ {
		switch {
		case s[i:i+2] == "/*" && (nests || depth == 0):
			depth++
			i++
		case s[i:i+2] == "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1, nil
			}
		}
	}
	return 0, errUnended
}

// dollarTag is the $…$ that a dollar-quoted literal begins with, or "".
func dollarTag(s string) string {
	name := word(s[1:])
	if end := 1 + len(name); (name == "" || !isDigit(name[0])) && end < len(s) && s[end] == '$' {
		return s[:end+1]
	}
	return ""
}

// word is the name or keyword that a text begins with, or "".
func word(s string) string {
	if s == "" || isDigit(s[0]) {
		return ""
	}
	return s[:span(s)]
}

// span is how many letters, digits and underscores a text begins with.
func span(s string) (n int) {
	for n < len(s) && isWord(s[n]) {
		n++
	}
	return n
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || isDigit(c) || c >= 0x80
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
