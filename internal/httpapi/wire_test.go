package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// impatient lets bodies take only a moment.
func impatient(o *httpapi.Options) { o.BodyTimeout = 100 * time.Millisecond }

func head(target, headers string) string {
	return wire("POST "+target+" HTTP/1.1\nHost: x\nContent-Type: application/json\n"+headers, "")
}

func TestABodyThatIsTooLongIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	// Nothing of the 10 MB is ever sent: the answer must not wait for it.
	got := a.raw(t, true, head(askPath, "Content-Length: 10485760"))
	got.failed(t, 413, reset.CodeRestriction)
	if got.Header.Get("Connection") != "close" {
		t.Error("the connection stays open")
	}
}

func TestTheLimitOfABody(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	const start, end = `{"email":["ann@example.com"],"x":"`, `"}`
	fits := start + strings.Repeat("x", 1<<20-len(start)-len(end)) + end
	for name, chunked := range map[string]bool{"with its length": false, "in chunks": true} {
		send := func(body string) answer {
			var reader io.Reader = strings.NewReader(body)
			if chunked {
				reader = iotest.HalfReader(reader) // hides its length
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL+askPath, reader)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			if chunked {
				r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
			}
			return a.send(t, r)
		}
		t.Run(name, func(t *testing.T) {
			send(fits).is(t, 200, `{"email":["ann@example.com"]}`)
			before := len(a.Pending())
			send(fits+" ").failed(t, 413, reset.CodeRestriction)
			if len(a.Pending()) != before {
				t.Error("a body one byte too long was acted upon")
			}
		})
	}
}

func TestTenMegabytesInChunksAreCutOff(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	conn := a.dial(t)
	text := head(askPath, "Transfer-Encoding: chunked")
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		chunk := "8000\r\n" + strings.Repeat(" ", 0x8000) + "\r\n"
		for range 10 << 20 / 0x8000 {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return // cut off, as it should be
			}
		}
	}()
	got := readAnswer(t, conn, true, text)
	got.failed(t, 413, reset.CodeRestriction)
	if got.Header.Get("Connection") != "close" {
		t.Error("the connection stays open")
	}
	_ = conn.Close()
	<-sent
}

// The rest of it is not waited for, though its sender keeps the line open.
func TestALongBodyThatNeverEndsIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), func(o *httpapi.Options) { o.BodyTimeout = time.Hour })
	conn := a.dial(t)
	text := head(askPath, "Transfer-Encoding: chunked") + "100001\r\n" + strings.Repeat(" ", 1<<20+1) + "\r\n"
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	readAnswer(t, conn, true, text).failed(t, 413, reset.CodeRestriction)
}

func TestBodiesThatDoNotArrive(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), impatient)
	for name, text := range map[string]string{
		"half of it":              head(askPath, "Content-Length: 29") + `{"email":[`,
		"nothing of it":           head(askPath, "Content-Length: 29"),
		"a chunk that never ends": head(askPath, "Transfer-Encoding: chunked") + "ff\r\n{",
		"100-continue, then none": head(askPath, "Content-Length: 29\nExpect: 100-continue"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := a.dial(t)
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, "Expect") {
				interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
				if _, err := io.ReadFull(conn, interim); err != nil || !strings.Contains(string(interim), "100 Continue") {
					t.Fatalf("%q, %v", interim, err)
				}
			}
			got := readAnswer(t, conn, true, text)
			got.failed(t, 400, reset.CodeBadValue)
			if !strings.Contains(got.Body, "in time") || got.Header.Get("Connection") != "close" {
				t.Errorf("got %+v", got)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(a.Pending()); n != 0 {
			t.Errorf("%d entries in the outbox, want none", n)
		}
	})
}

func TestOneByteAtATimeIsCutOff(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), impatient)
	conn := a.dial(t)
	text := head(askPath, "Content-Length: 1000000")
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := io.WriteString(conn, " "); err != nil {
					return
				}
			}
		}
	}()
	got := readAnswer(t, conn, true, text)
	close(stop)
	<-stopped
	got.failed(t, 400, reset.CodeBadValue)
}

// Refused calls too must not hold a connection for longer than a body may take.
func TestARefusedCallDoesNotWaitForItsBody(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t), impatient, requireKey)
	for target, status := range map[string]int{"/api/1.0/none": 404, metadataPath + unknownID: 405, resetPath + unknownID: 401} {
		got := a.raw(t, true, head(target, "Content-Length: 29")+`{"ema`)
		if got.Status != status {
			t.Errorf("%s: %d, want %d", target, got.Status, status)
		}
	}
}

// What follows the body may take longer than the body was allowed to: the
// deadline must not be mistaken for a caller who went away.
func TestTheDeadlineOfTheBodyEndsWithIt(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t, servicetest.WithBusyTimeout(10*time.Second)), impatient)
	a.AddUser(t, "ann@example.com", "Ann")
	unlock := a.Lock(t)
	unlocked := make(chan struct{})
	time.AfterFunc(400*time.Millisecond, func() { // four times what the body may take
		defer close(unlocked)
		unlock()
	})
	a.do(t, "POST", askPath, `{"email":["ann@example.com"]}`).is(t, 200, `{"email":["ann@example.com"]}`)
	<-unlocked
	if n := a.canceled.Load(); n != 0 {
		t.Error("the call was taken for one whose caller went away")
	}
}

func TestABodyCutOffInTheMiddle(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	conn := a.dial(t)
	text := head(askPath, "Content-Length: 29") + `{"email":["a`
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	readAnswer(t, conn, true, text).failed(t, 400, reset.CodeBadValue)
}

func TestAGzipBombIsNotUnpacked(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, zeros{}, 8<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a.do(t, "POST", askPath, bomb.String(), "Content-Encoding", "gzip").failed(t, 415, reset.CodeNotSupported)
	a.do(t, "POST", askPath, bomb.String()).failed(t, 400, reset.CodeBadValue)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Two readers of one connection must not disagree about where a call ends.
func TestTransferEncodingTricks(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	a.AddUser(t, "ann@example.com", "Ann")
	const smuggled = "POST " + askPath + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n" + `{"email":["ann@example.com"]}`
	for name, headers := range map[string]string{
		"an unknown coding":        "Transfer-Encoding: xchunked",
		"a coding before chunked":  "Transfer-Encoding: gzip, chunked",
		"twice":                    "Transfer-Encoding: chunked\nTransfer-Encoding: identity",
		"two lengths":              "Content-Length: 0\nContent-Length: 5",
		"a length that is none":    "Content-Length: 0x5",
		"a negative length":        "Content-Length: -5",
		"a space before the colon": "Transfer-Encoding : chunked",
	} {
		got := a.raw(t, false, head(askPath, headers)+"0\r\n\r\n"+smuggled)
		if got.Status < 400 || len(a.Pending()) != 0 {
			t.Errorf("%s: %d, %d entries", name, got.Status, len(a.Pending()))
		}
	}
	// A length beside chunked: RFC 9112 6.3 lets chunked win. What follows is the next call, not a body.
	got := a.raw(t, true, head(askPath, "Content-Length: 4\nTransfer-Encoding: chunked")+"0\r\n\r\n")
	got.failed(t, 400, reset.CodeMissing)
}

func TestLongRequestLinesAndFoldedKeys(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	long := strings.Repeat("a", 64<<10)
	a.raw(t, true, wire("GET /api/1.0/"+long+" HTTP/1.1\nHost: x", "")).failed(t, 404, reset.CodeNotFound)
	a.raw(t, true, wire("GET "+metadataPath+unknownID+"?"+long+" HTTP/1.1\nHost: x", "")).failed(t, 401, reset.CodeNotAuthorized)
	key := a.NewKey(t, "app", reset.ScopeReset, "")
	for name, value := range map[string]string{
		"a lone CR": "Token\r" + key,
		"1 MB":      strings.Repeat("k", 1<<20),
		"a NUL":     key + "\x00",
	} {
		got := a.raw(t, false, wire("GET "+metadataPath+unknownID+" HTTP/1.1\nHost: x\nX-Auth-Token: "+value, ""))
		if got.Status != 400 && got.Status != 431 && got.Status != 401 {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
}

func TestAThousandHeaders(t *testing.T) {
	t.Parallel()
	a := serve(t, servicetest.New(t))
	var headers strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&headers, "\nX-%d: x", i)
	}
	a.raw(t, true, wire("GET "+metadataPath+unknownID+" HTTP/1.1\nHost: x"+headers.String(), "")).failed(t, 401, reset.CodeNotAuthorized)
}
