package devbox

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	netmail "net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// patience is how long /dev/mail/next waits for a mail.
const patience = 10 * time.Second

//go:embed pages/*.html
var files embed.FS

//go:embed pages/box.js
var script []byte

var pages = template.Must(template.ParseFS(files, "pages/*.html"))

// policy lets the pages and the mails inside the frames, which inherit it, use
// inline styles, pictures that they hold themselves and our one script, which the
// sandbox keeps out of the frames; nothing from elsewhere.
const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'self'; connect-src 'self'; " +
	"frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler answers
//
//	GET /dev/mail                   the mails, newest first
//	GET /dev/mail/{n}               one mail
//	GET /dev/mail/next?to=ADDRESS   text/plain: the id in the next link to that
//	                                address, waiting up to 10 seconds for it; 404 when none came
//	GET /dev/mail/latest?to=ADDRESS text/plain: the id in the newest link to that address, handed
//	                                out before or not, without waiting; 404 when there is none
//	GET /dev/mail/events            server-sent events: the number of the newest mail
//
// What waits for mails ends when until does, so that nobody holds up the server's end.
func (b *Box) Handler(until context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dev/mail", b.list)
	mux.HandleFunc("GET /dev/mail/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/dev/mail", http.StatusMovedPermanently)
	})
	mux.HandleFunc("GET /dev/mail/next", func(w http.ResponseWriter, r *http.Request) { b.nextID(until, w, r) })
	mux.HandleFunc("GET /dev/mail/events", b.events(until))
	mux.HandleFunc("GET /dev/mail/box.js", func(w http.ResponseWriter, _ *http.Request) {
		protect(w, "text/javascript; charset=utf-8")
		_, _ = w.Write(script) // a browser that is gone needs no answer
	})
	mux.HandleFunc("GET /dev/mail/latest", b.latestID)
	mux.HandleFunc("GET /dev/mail/{n}", b.show)
	return mux
}

func (b *Box) list(w http.ResponseWriter, _ *http.Request) {
	type row struct {
		Number            int
		To, Subject, Lang string
		At                time.Time
	}
	var rows []row
	for _, l := range b.newestFirst() {
		rows = append(rows, row{Number: l.number, To: l.message.To.Raw(), Subject: l.message.Subject, Lang: l.message.Lang, At: l.at.UTC()})
	}
	newest := 0
	if len(rows) > 0 { // and not b.newest, which may have risen meanwhile
		newest = rows[0].Number
	}
	render(w, "list.html", map[string]any{"Mails": rows, "Capacity": Capacity, "Newest": newest})
}

func (b *Box) show(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("n"))
	l, ok := b.find(number)
	if err != nil || !ok {
		plain(w, http.StatusNotFound, "there is no such mail; only the newest "+strconv.Itoa(Capacity)+" are kept, and none across a restart")
		return
	}
	headers, err := headersOf(l.message.Raw)
	if err != nil {
		plain(w, http.StatusInternalServerError, "this mail cannot be read")
		return
	}
	before, link, after := splitLink(l.message.Text)
	newest, _ := b.newest()
	page := l.message.Page()
	render(w, "mail.html", map[string]any{
		"Number": l.number, "Newest": newest, "Subject": l.message.Subject, "To": l.message.To.Raw(), "Lang": l.message.Lang, "Size": len(l.message.Raw),
		"HTML": page != "", "Light": inScheme(page, "light"), "Dark": inScheme(page, "dark"),
		"Before": before, "Link": link, "After": after, "Headers": headers, "Source": string(l.message.Raw),
	})
}

var (
	askedScheme = regexp.MustCompile(`\(\s*prefers-color-scheme\s*:\s*(light|dark)\s*\)`)
	ownScheme   = regexp.MustCompile(`(color-scheme:|color-schemes?" content=")(\s*)light dark`)
)

// inScheme is a mail as it looks in one of the schemes, whichever the browser
// prefers: what it asks of that is replaced by what is always, or never, true.
func inScheme(page, scheme string) string {
	page = askedScheme.ReplaceAllStringFunc(page, func(asked string) string {
		if strings.Contains(asked, scheme) {
			return "(min-width: 0)"
		}
		return "(max-width: 0)"
	})
	return ownScheme.ReplaceAllString(page, "${1}${2}"+scheme)
}

func (b *Box) nextID(until context.Context, w http.ResponseWriter, r *http.Request) {
	to, ok := recipient(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	defer context.AfterFunc(until, cancel)()
	id, came := b.next(ctx, to)
	if !came {
		plain(w, http.StatusNotFound, fmt.Sprintf("no new mail with a link came to this address within %d seconds; "+
			"does a user have it, and was it asked for too often?", int(patience.Seconds())))
		return
	}
	plain(w, http.StatusOK, id)
}

func (b *Box) latestID(w http.ResponseWriter, r *http.Request) {
	to, ok := recipient(w, r)
	if !ok {
		return
	}
	id := b.latest(to)
	if id == "" {
		plain(w, http.StatusNotFound, "no mail with a link has come to this address; /dev/mail/next waits for one")
		return
	}
	plain(w, http.StatusOK, id)
}

// recipient reads to=, or answers what is wrong with it.
func recipient(w http.ResponseWriter, r *http.Request) (to reset.Address, ok bool) {
	to, err := reset.ParseAddress(r.URL.Query().Get("to"))
	if err != nil {
		plain(w, http.StatusBadRequest, "to= is "+reset.AsError(err).Message+"; write "+r.URL.Path+"?to=ada@example.com")
	}
	return to, err == nil
}

// header is one header of a mail, decoded.
type header struct{ Name, Value string }

func headersOf(raw []byte) ([]header, error) {
	parsed, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var list []header
	for name, values := range parsed.Header {
		for _, value := range values {
			if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
				value = decoded
			}
			list = append(list, header{Name: name, Value: value})
		}
	}
	slices.SortFunc(list, func(a, b header) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// splitLink finds the line of the text part that is a link and nothing else.
func splitLink(text string) (before, link, after string) {
	at := 0
	for line := range strings.Lines(text) {
		bare := strings.TrimSpace(line)
		if strings.HasPrefix(bare, "https://") || strings.HasPrefix(bare, "http://") {
			return text[:at], bare, text[at+len(bare):]
		}
		at += len(line)
	}
	return text, "", ""
}

func render(w http.ResponseWriter, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		plain(w, http.StatusInternalServerError, "this page cannot be shown")
		return
	}
	protect(w, "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // a browser that is gone needs no answer
}

func plain(w http.ResponseWriter, status int, text string) {
	protect(w, "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) //nolint:gosec // it is text/plain, and nosniff
}

// protect sets the headers of every answer: what it holds are secrets.
func protect(w http.ResponseWriter, contentType string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}
