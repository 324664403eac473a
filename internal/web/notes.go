package web

// note is a page that only says something, and offers a way on. All its texts are keys.
type note struct {
	Title string
	Lines []string
	// Way is the path that is offered, and Offer what the link says; empty: none.
	Way, Offer string
	// Later says that the way is offered only after a minute: before, asking again brings no mail.
	Later bool
}

// notes are the pages without a form of their own.
var notes = map[string]note{
	"sent": {
		Title: "sent.title", Lines: []string{"sent.text", "sent.wait", "sent.spam", "sent.later"},
		Way: "/forgot", Offer: "sent.again", Later: true,
	},
	"done": {Title: "done.title", Lines: []string{"done.text", "done.mail", "done.close"}},
	// What a reset may end with where the password lives elsewhere: status 503, and the link is used up.
	"unsure":   {Title: "unsure.title", Lines: []string{"unsure.text", "unsure.try", "unsure.mail"}, Way: "/forgot", Offer: "offer.link"},
	"partly":   {Title: "partly.title", Lines: []string{"partly.done", "partly.failed", "partly.mail"}},
	"used":     {Title: "used.title", Lines: []string{"used.text", "used.not_you"}, Way: "/forgot", Offer: "offer.link"},
	"replaced": {Title: "replaced.title", Lines: []string{"replaced.text", "replaced.why"}},
	"gone":     {Title: "gone.title", Lines: []string{"gone.text"}, Way: "/forgot", Offer: "offer.link"},
	"unknown":  {Title: "unknown.title", Lines: []string{"unknown.text"}, Way: "/forgot", Offer: "offer.link"},
	"nolink":   {Title: "nolink.title", Lines: []string{"nolink.text", "nolink.cookies"}, Way: "/forgot", Offer: "offer.link"},

	"throttled": {Title: "throttled.title", Lines: []string{"throttled.text"}, Way: "/forgot", Offer: "offer.start"},
	"busy":      {Title: "busy.title", Lines: []string{"busy.text"}, Way: "/forgot", Offer: "offer.again"},
	// Whoever holds a link is not sent away to ask for another one.
	"throttledlink": {Title: "throttled.title", Lines: []string{"throttled.link"}},
	"busylink":      {Title: "busy.title", Lines: []string{"busy.link"}},

	"broken":  {Title: "broken.title", Lines: []string{"broken.text"}, Way: "/forgot", Offer: "offer.start"},
	"missing": {Title: "missing.title", Lines: []string{"missing.text"}, Way: "/forgot", Offer: "forgot.title"},
	// Where no page of ours is, no way leads on.
	"badhost":  {Title: "missing.title", Lines: []string{"missing.text"}},
	"method":   {Title: "method.title", Lines: []string{"method.text"}, Way: "/forgot", Offer: "offer.start"},
	"foreign":  {Title: "foreign.title", Lines: []string{"foreign.text"}, Way: "/forgot", Offer: "offer.own"},
	"badform":  {Title: "badform.title", Lines: []string{"badform.text"}, Way: "/forgot", Offer: "offer.start"},
	"formtype": {Title: "formtype.title", Lines: []string{"formtype.text"}, Way: "/forgot", Offer: "offer.start"},
	"toolarge": {Title: "toolarge.title", Lines: []string{"toolarge.text"}, Way: "/forgot", Offer: "offer.start"},
}
