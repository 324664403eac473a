package web

import "strings"

// What the pages say outside of the templates with forms. A translation will
// replace these and the texts in templates/.

const (
	msgBadAddress        = "Please type one mail address, such as name@example.com."
	msgBusy              = "Very many people are changing passwords at this moment. Your link still works: please wait a few seconds and try again."
	msgTooOften          = "There were too many attempts from your network. Nothing was changed: please wait a few minutes and try again."
	msgSendAgain         = "The small calculation that your browser does had run out, or was sent already, and it is doing a new one. If no mail comes, please send the form once more."
	msgNeedsScript       = "To keep robots out, this page has your browser do a small calculation, and that takes JavaScript. Please switch it on and open this page again, or ask those who run this service for help."
	msgManyWithoutScript = "To keep robots out, this page takes only a few requests from browsers that do no small calculation for it, and just now there were too many. Please switch JavaScript on and open this page again, wait a while, or ask those who run this service for help."
	msgBroken            = "Something went wrong on our side. Please try again."
)

// note is a page that only says something, and offers a way on.
type note struct {
	Title string
	Lines []string
	// Way is the path that is offered, and Offer what the link says; empty: none.
	Way, Offer string
}

// notes are the pages without a form of their own.
var notes = map[string]note{
	"sent": {
		Title: "Look into your mailbox",
		Lines: []string{
			"If somebody here has that address, a mail with a link is on its way to it.",
			"It usually arrives within a minute. If it does not, look into the folder for spam, or try another address of yours.",
			"You can close this page.",
		},
		Way: "/forgot", Offer: "Try another address",
	},
	"done": {
		Title: "Your password is changed",
		Lines: []string{
			"You can log in with it now. We have also sent you a mail that says so.",
			"You can close this page.",
		},
	},
	"expired": {
		Title: "This link has expired",
		Lines: []string{"Links are only good for a short while. Nothing was changed."},
		Way:   "/forgot", Offer: "Get a new link",
	},
	"used": {
		Title: "This link does not work any more",
		Lines: []string{
			"It was used already, or a newer one has replaced it. If you asked several times, please use the link in the newest mail.",
			"If you have changed your password with it, all is well: log in with the new one.",
		},
		Way: "/forgot", Offer: "Get a new link",
	},
	"unknown": {
		Title: "We do not know this link",
		Lines: []string{"Perhaps the mail program cut it off. Please copy the whole link from the mail, or get a new one."},
		Way:   "/forgot", Offer: "Get a new link",
	},
	"nolink": {
		Title: "Please open the link again",
		Lines: []string{
			"This page needs the link from the mail, and a cookie to remember it while you choose a password.",
			"If you came from the mail, please allow cookies for this page and open the link once more.",
		},
		Way: "/forgot", Offer: "Get a new link",
	},
	"throttled": {
		Title: "That was too often",
		Lines: []string{"Please wait a few minutes before you try again."},
		Way:   "/forgot", Offer: "Back to the start",
	},
	"busy": {
		Title: "Just a moment, please",
		Lines: []string{"We cannot answer right now. Please wait a few seconds and try again. Nothing was changed."},
		Way:   "/forgot", Offer: "Try again",
	},
	// Whoever holds a link is not sent away to ask for another one.
	"throttledlink": {
		Title: "That was too often",
		Lines: []string{"Please wait a few minutes. Then open the link in the mail again. Nothing was changed."},
	},
	"busylink": {
		Title: "Just a moment, please",
		Lines: []string{"We cannot answer right now. Please wait a few seconds. Then open the link in the mail again. Nothing was changed."},
	},
	"broken": {
		Title: "Something went wrong",
		Lines: []string{"It was our mistake, not yours. Please try again."},
		Way:   "/forgot", Offer: "Back to the start",
	},
	"missing": {
		Title: "There is no such page",
		Lines: []string{"Perhaps the address was cut off."},
		Way:   "/forgot", Offer: "Forgot your password?",
	},
	"method": {
		Title: "That does not work here",
		Lines: []string{"This page cannot be used that way."},
		Way:   "/forgot", Offer: "Back to the start",
	},
	"foreign": {
		Title: "This form came from another site",
		Lines: []string{"To keep you safe it was not taken. Please use the form on our own page."},
		Way:   "/forgot", Offer: "To our own page",
	},
	"badform":  {Title: "This form was not complete", Lines: []string{"Please fill it in once more."}, Way: "/forgot", Offer: "Back to the start"},
	"formtype": {Title: "This form was not readable", Lines: []string{"Please use the form on our page."}, Way: "/forgot", Offer: "Back to the start"},
	"toolarge": {Title: "That was too long", Lines: []string{"A form with so much text cannot be taken."}, Way: "/forgot", Offer: "Back to the start"},
}

// template defines the blocks of the layout. Its texts are ours alone.
func (n note) template() string {
	var text strings.Builder
	text.WriteString(`{{define "title"}}` + n.Title + `{{end}}{{define "main"}}<h1>` + n.Title + "</h1>\n")
	for _, line := range n.Lines {
		text.WriteString("<p>" + line + "</p>\n")
	}
	if n.Way != "" {
		text.WriteString(`<p><a class="button" href="{{.Prefix}}` + n.Way + `">` + n.Offer + "</a></p>\n")
	}
	text.WriteString(`{{end}}`)
	return text.String()
}
