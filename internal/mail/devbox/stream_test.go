package devbox

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/reset"
)

// serve has a box answer over a real connection, as long as until lasts.
func serve(until context.Context, t *testing.T, b *Box) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(b.Handler(until))
	t.Cleanup(server.Close)
	return server
}

// answer is how a stream was answered.
type answer struct {
	status int
	header http.Header
}

// stream opens a stream of events.
func stream(t *testing.T, server *httptest.Server, query, lastID string) (answer, *bufio.Reader) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/dev/mail/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		request.Header.Set("Last-Event-ID", lastID)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return answer{response.StatusCode, response.Header}, bufio.NewReader(response.Body)
}

// event reads the next event; "" at the end of the stream.
func event(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	for {
		var lines []string
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return ""
			}
			if line = strings.TrimRight(line, "\n"); line == "" {
				break
			}
			lines = append(lines, line)
		}
		if text := strings.Join(lines, "|"); strings.HasPrefix(text, "event: ") {
			return text
		}
	}
}

func TestEveryMailIsToldAtOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	sendNotice(t, b, user(t, "ada@example.com"))
	server := serve(t.Context(), t, b)
	response, events := stream(t, server, "?seen=1", "")
	if got := response.header.Get("Content-Type"); got != "text/event-stream" || response.header.Get("Cache-Control") != "no-store" {
		t.Errorf("it is %s, kept as %q", got, response.header.Get("Cache-Control"))
	}
	for _, want := range []string{"event: mail|id: 2|data: 2", "event: mail|id: 3|data: 3"} {
		sendLink(t, b, user(t, "ada@example.com"))
		if got := event(t, events); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	// Whoever comes back, or from a page that is older, is told of what came meanwhile.
	for _, c := range []struct{ query, lastID string }{{"?seen=1", "2"}, {"?seen=2", ""}, {"", ""}, {"?seen=99", ""}, {"?seen=x", ""}} {
		_, again := stream(t, server, c.query, c.lastID)
		if got := event(t, again); got != "event: mail|id: 3|data: 3" {
			t.Errorf("after %+v: got %q", c, got)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	server := serve(t.Context(), t, b)
	for range maxStreams {
		if response, _ := stream(t, server, "", ""); response.status != http.StatusOK {
			t.Fatalf("got %d", response.status)
		}
	}
	response, _ := stream(t, server, "", "")
	if response.status != http.StatusServiceUnavailable || response.header.Get("Retry-After") == "" {
		t.Errorf("one more answers %d", response.status)
	}
}

// TestStreamsEndWithTheServer: whoever stops `sparekey dev` does not wait for a browser.
func TestStreamsEndWithTheServer(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	until, stop := context.WithCancel(t.Context())
	defer stop()
	server := serve(until, t, b)
	_, events := stream(t, server, "", "")
	waiting := make(chan int, 1)
	go func() {
		response, err := server.Client().Get(server.URL + "/dev/mail/next?to=ada@example.com")
		if err != nil {
			waiting <- 0
			return
		}
		_ = response.Body.Close()
		waiting <- response.StatusCode
	}()
	start := time.Now()
	stop()
	if got := event(t, events); got != "" {
		t.Errorf("got %q after the end", got)
	}
	if took := time.Since(start); took > streamTime/2 {
		t.Errorf("it ended after %v, by itself", took)
	}
	if status := <-waiting; status != http.StatusNotFound {
		t.Errorf("whoever waited for a mail was answered %d", status)
	}
	if len(b.streams) != 0 {
		t.Error("a stream still has its place")
	}
}

func TestALogoIsShown(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	brand, err := reset.Branding{Name: "Acme", Sender: "a@example.com", LinkBase: "https://example.com", Accent: "#0b6e4f"}.Default()
	if err != nil {
		t.Fatal(err)
	}
	brand.Logo = reset.Logo{Type: "image/png", Width: 10, Height: 10, Data: []byte("picture")}
	u := user(t, "ada@example.com")
	if err := b.SendNotice(t.Context(), reset.NoticeMail{User: u, ChangedAt: time.Now(), ForgotURL: base + "/forgot", Brand: brand}); err != nil {
		t.Fatal(err)
	}
	for _, page := range frames(t, get(t, b, "/dev/mail/1").Body.String()) {
		if !strings.Contains(page, `src="data:image/png;base64,cGljdHVyZQ=="`) || !strings.Contains(page, "#0b6e4f") {
			t.Errorf("the frame shows\n%s", page)
		}
	}
}

var _ reset.Mailer = (*mail.Mailer)(nil)
