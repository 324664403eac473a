package mail

import (
	"fmt"
	"html"
	htmltemplate "html/template"
	"strings"

	"github.com/sparekey/sparekey/internal/i18n"
	"github.com/sparekey/sparekey/internal/reset"
)

// view is what the templates may show; docs/mails.md lists it for those who
// write their own. Every text in it is one line of plain text.
type view struct {
	Lang, Dir  string // the language's tag; "ltr" or "rtl"
	Start, End string // "left" and "right", or the other way round

	Subject, Title, Preheader, Greeting string

	Service      string // who asks
	Name         string // the user's, or empty
	Address      string // the user's
	Accounts     string // "A, B and C", or empty
	AccountNames []string
	Several      bool     // more than one account
	Details      []Detail // what the mail is about, in labelled lines

	Link, Until, For string // of the mail with the link; For is empty in the last minute
	Rest             bool   // it is for what an earlier one failed to change
	ChangedAt        string // of the notices
	ForgotURL        string // where to ask for a link
	Former           bool   // it goes to the address that the user had before

	Support, SupportURL string // whom to ask for help, or empty

	Logo                  htmltemplate.URL // of the picture inside the mail, or empty
	LogoWidth, LogoHeight int              // in pixels, as it is shown
	Light, Dark           reset.Palette

	say  i18n.Localizer
	look look
	once bool // nothing is kept for the next mail of its kind
}

// Detail is a labelled line.
type Detail struct{ Label, Value string }

// Button is what a button leads to and says.
type Button struct {
	URL, Text string
	Light     reset.Palette
}

// Button makes a button with one of our texts.
func (v *view) Button(url, key string) (Button, error) {
	text, err := v.Say(key)
	return Button{URL: url, Text: text, Light: v.Light}, err
}

// Say is one of our texts in the mail's language, such as "link.intro". Values
// are kept apart from what surrounds them where they are written in the other
// direction; but not Support, which somebody may copy.
func (v *view) Say(key string) (string, error) {
	var b strings.Builder
	err := v.pieces(key, func(name, text string) {
		if name != "" && name != "Support" {
			text = v.say.Isolate(text)
		}
		b.WriteString(text)
	})
	return b.String(), err
}

// Rich is Say as HTML: what matters is bold, and whom to ask is linked.
func (v *view) Rich(key string) (htmltemplate.HTML, error) {
	var b strings.Builder
	err := v.pieces(key, func(name, text string) {
		escaped := html.EscapeString(text)
		switch name {
		case "":
		case "Until", "ChangedAt", "Address":
			escaped = "<strong>" + v.say.Isolate(escaped) + "</strong>"
		case "Support":
			escaped = v.supportLink()
		default:
			escaped = v.say.Isolate(escaped)
		}
		b.WriteString(escaped)
	})
	return htmltemplate.HTML(b.String()), err //nolint:gosec // each piece is escaped above
}

// SupportLink is Support as HTML, linked.
func (v *view) supportLink() string {
	return `<a class="accent" href="` + html.EscapeString(v.SupportURL) + `" style="color:` + html.EscapeString(string(v.Light.Accent)) + `" dir="ltr">` +
		html.EscapeString(v.Support) + `</a>`
}

// pieces goes through a text: pieces without a name are ours, those with one are values.
func (v *view) pieces(key string, visit func(name, text string)) error {
	if !v.say.Has(key) {
		return fmt.Errorf("there is no text %q; docs/mails.md lists those that there are", key)
	}
	for _, p := range v.say.Parts(key, nil) {
		text := p.Text
		if p.Name != "" {
			if text = v.value(p.Name); text == "" {
				return fmt.Errorf("the text %q speaks of %s, which this mail has not", key, p.Name)
			}
		}
		visit(p.Name, text)
	}
	return nil
}

// value is the value of a placeholder of our texts.
func (v *view) value(name string) string {
	switch name {
	case "Service":
		return v.Service
	case "Name":
		return v.Name
	case "Address":
		return v.Address
	case "Until":
		return v.Until
	case "For":
		return v.For
	case "ChangedAt":
		return v.ChangedAt
	case "Support":
		return v.Support
	}
	return ""
}

// Line is a detail in one line, such as "Account: A".
func (v *view) Line(d Detail) string {
	var b strings.Builder
	for _, p := range v.say.Parts("detail", i18n.Data{"Label": d.Label, "Value": d.Value}) {
		b.WriteString(p.Text)
	}
	return b.String()
}

// The most that a logo is shown with, in pixels.
const (
	logoHeight = 48
	logoWidth  = 240
)

// wear has the mail look as the brand does.
func (v *view) wear(b reset.Brand, s schemes) {
	v.Service = oneLine(b.Name)
	v.Support, v.SupportURL = b.Support, b.SupportURL()
	v.Light, v.Dark, v.look = s.light, s.dark, lookOf(b)
	l := b.Logo
	if len(l.Data) == 0 || l.Width < 1 || l.Height < 1 {
		return
	}
	v.Logo = htmltemplate.URL("cid:" + logoID(b)) //nolint:gosec // made of a digest and a checked domain
	shrink := min(1, float64(logoHeight)/float64(l.Height), float64(logoWidth)/float64(l.Width))
	v.LogoWidth, v.LogoHeight = max(1, int(float64(l.Width)*shrink)), max(1, int(float64(l.Height)*shrink))
}

// speak sets the language.
func (v *view) speak(l i18n.Localizer) {
	v.say, v.Lang, v.Dir = l, l.Tag, l.Dir
	v.Start, v.End = "left", "right"
	if l.Dir == "rtl" {
		v.Start, v.End = v.End, v.Start
	}
}

// about fills in what is to say of a user.
func (v *view) about(u reset.User) {
	v.Name, v.Address = plainName(u.Name), u.Email.Raw()
	for _, a := range u.ActiveAccounts() {
		if name := plainName(a.Name); name != "" {
			v.AccountNames = append(v.AccountNames, name)
		}
	}
	v.Several = len(v.AccountNames) > 1
	v.Accounts = v.say.List(v.AccountNames, maxAccounts)
	v.detail("address", v.say.Isolate(v.Address))
	switch {
	case v.Several:
		v.detail("accounts", v.Accounts)
	case v.Accounts != "" && v.AccountNames[0] != v.Service: // whose name it has said already
		v.detail("account", v.Accounts)
	}
}

// names adds a labelled line with names of accounts, if there are any.
func (v *view) names(label string, names []string) {
	var list []string
	for _, name := range names {
		if name = plainName(name); name != "" {
			list = append(list, name)
		}
	}
	if len(list) > 0 {
		v.detail(label, v.say.List(list, maxAccounts))
	}
}

// detail adds a labelled line. The value is isolated already: a list of names is of both directions.
func (v *view) detail(label, value string) {
	v.Details = append(v.Details, Detail{Label: v.say.Text("label."+label, nil), Value: value})
}
