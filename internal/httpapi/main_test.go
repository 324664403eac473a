package httpapi_test

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/httpapi/contracttest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	askPath      = "/api/1.0/reset-password/request"
	metadataPath = "/api/1.0/reset-password/metadata/"
	resetPath    = "/api/1.0/reset-password/reset/"
	jobPath      = "/api/1.0/job/status/"
	unknownID    = "0b0f8a52-8a3c-4c53-9d43-4be2ce4a3a10"
	goodPassword = "a rather long sentence"
)

// api is the API on a real server, every exchange with which is held against
// the OpenAPI document.
type api struct {
	*servicetest.World
	URL    string
	addr   string
	client *http.Client
	log    *lockedBuffer
	// canceled counts the calls whose context had ended before they were answered.
	canceled atomic.Int64
}

// client of a call, unless the call says otherwise.
const defaultClient = "192.0.2.7"

// serve runs the API on w. By default no key is needed, no origin is listed
// and the header Test-Client names the client.
func serve(t *testing.T, w *servicetest.World, changes ...func(*httpapi.Options)) *api {
	t.Helper()
	a := &api{World: w, log: &lockedBuffer{}}
	o := httpapi.Options{
		Service: w.Service, Keys: w.Keys,
		ClientOf: func(r *http.Request) string {
			if c := r.Header.Get("Test-Client"); c != "" {
				return c
			}
			return defaultClient
		},
		Log: slog.New(slog.NewTextHandler(a.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, change := range changes {
		change(&o)
	}
	h := httpapi.New(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(wrapped{w}, r)
		if r.Context().Err() != nil {
			a.canceled.Add(1)
		}
	}))
	t.Cleanup(server.Close)
	base := &http.Transport{DisableCompression: true}
	t.Cleanup(base.CloseIdleConnections)
	a.URL, a.addr = server.URL, server.Listener.Addr().String()
	a.client = &http.Client{
		Transport:     contracttest.Transport(t, base),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a
}

// wrapped is a writer inside another, as a server has that counts what it
// answers: it hides what net/http's own writer can do besides http.ResponseWriter.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func requireKey(o *httpapi.Options) { o.RequireKey = true }

func origins(list ...string) func(*httpapi.Options) {
	return func(o *httpapi.Options) { o.CORSOrigins = list }
}

// answer is what came back.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// do makes one call. headers are names and values in turn; Content-Type is
// application/json, as the published clients send it with every call, unless they say otherwise.
func (a *api) do(t *testing.T, method, path, body string, headers ...string) answer {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, a.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Content-Type" {
			r.Header.Del("Content-Type")
			if headers[i+1] == "" {
				continue
			}
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	return a.send(t, r)
}

func (a *api) send(t *testing.T, r *http.Request) answer {
	t.Helper()
	response, err := a.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// raw sends bytes as they are and reads one answer. reached says whether the
// call is one that net/http lets through to the API, so that the document holds for the answer.
func (a *api) raw(t *testing.T, reached bool, text string) answer {
	t.Helper()
	conn := a.dial(t)
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, conn, reached, text)
}

func (a *api) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func readAnswer(t *testing.T, conn net.Conn, reached bool, request string) answer {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reached {
		line, _, _ := strings.Cut(request, "\r\n")
		parts := strings.Split(line, " ")
		r := httptest.NewRequest(parts[0], parts[1], nil)
		if response.StatusCode < 300 {
			r.Header.Set("Content-Type", "application/json")
		}
		_, sent, _ := strings.Cut(request, "\r\n\r\n")
		contracttest.Check(t, r, []byte(sent), response.StatusCode, response.Header, body)
	}
	if response.Close {
		response.Header.Set("Connection", "close") // ReadResponse takes it out
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// wire writes a request the way it goes over the line.
func wire(head, body string) string {
	return strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body
}

// failed requires an ErrorModel of that status and code, and returns its message.
func (got answer) failed(t *testing.T, status int, code reset.Code) string {
	t.Helper()
	var model struct {
		Msg     string         `json:"msg"`
		Code    int            `json:"code"`
		Details map[string]any `json:"details"`
	}
	decode(t, got.Body, &model)
	if got.Status != status || model.Code != int(code) {
		t.Errorf("got %d with code %d, want %d with code %d: %s", got.Status, model.Code, status, int(code), got.Body)
	}
	return model.Msg
}

// is requires that status and exactly that body.
func (got answer) is(t *testing.T, status int, body string) {
	t.Helper()
	if got.Status != status || got.Body != body {
		t.Errorf("got %d %s, want %d %s", got.Status, got.Body, status, body)
	}
}

// comparable leaves out what may differ between any two answers.
func (got answer) comparable() answer {
	header := got.Header.Clone()
	header.Del("Date")
	header.Del("X-Request-Id")
	return answer{got.Status, header, got.Body}
}

func same(t *testing.T, what string, want, got answer) {
	t.Helper()
	if d := cmp.Diff(want.comparable(), got.comparable()); d != "" {
		t.Errorf("%s is answered differently (-want +got):\n%s", what, d)
	}
}

// untouched requires that nothing was asked for and nobody's password changed.
func (a *api) untouched(t *testing.T, before string) {
	t.Helper()
	if n := len(a.Pending()); n != 0 {
		t.Errorf("%d entries in the outbox, want none", n)
	}
	if d := cmp.Diff(before, a.Dump(t)); d != "" {
		t.Errorf("the database changed (-before +after):\n%s", d)
	}
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
