package client_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/client"
)

// FuzzAnswer: whatever bytes a server sends, every call ends in time, and
// either with an error that holds no secret or with what the API promises.
func FuzzAnswer(f *testing.F) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for _, seed := range []string{
		"", "\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/0.9 -1\r\n\r\n",
		head + "\r\n{\"id\":\"" + id + "\",\"multiple_accounts\":true}",
		head + "Content-Length: 7\r\n\r\n{\"email\":[]}", head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
		head + "\r\n{\"job_id\":\"" + id + "\",\"state\":\"done\",\"total\":-1}", head + "Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08",
		"HTTP/1.1 401 No\r\nContent-Type: application/json; charset=utf-8\r\nRetry-After: 99999999999999999999\r\n\r\n{\"msg\":\"\\u0000\",\"code\":60,\"details\":{\"password\":[{}]}}",
		"HTTP/1.1 429 No\r\nContent-Type: application/json\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n{\"msg\":\"\",\"code\":-1}",
		"HTTP/1.1 302 Found\r\nLocation: http://evil.example.com/\r\n\r\n", "HTTP/1.1 202 OK\r\nContent-Type: application/json\r\n\r\n{\"job_id\":\"\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		hc := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return answering(bytes), nil },
		}}
		c, err := client.New("http://reset.example.com", client.WithHTTPClient(hc), client.WithKey(key), client.WithTimeout(10*time.Second),
			client.WithPause(func(context.Context, time.Duration) error { return nil }))
		if err != nil {
			t.Fatal(err)
		}
		meta, err := c.Metadata(t.Context(), id)
		sane(t, err, err != nil || meta.ID == id)
		used, err := c.Reset(t.Context(), id, password)
		sane(t, err, err != nil || used == id)
		job, err := c.Job(t.Context(), id)
		sane(t, err, err != nil || job.ID == id && job.State != "")
		bulk, err := c.RequestBulk(t.Context(), "ann@example.com")
		sane(t, err, err != nil || bulk != "")
		_, err = c.Request(t.Context(), "ann@example.com")
		sane(t, err, true)
	})
}

func sane(t *testing.T, err error, ok bool) {
	t.Helper()
	if !ok {
		t.Error("succeeded with an answer that is none")
	}
	noSecret(t, err)
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not end by itself: %v", err)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n\x00") {
		t.Errorf("the error is more than a line: %q", err)
	}
}

// answering is a connection whose other end reads one request, answers these bytes and hangs up.
func answering(bytes []byte) net.Conn {
	here, there := net.Pipe()
	go func() {
		defer func() { _ = there.Close() }()
		r, err := http.ReadRequest(bufio.NewReader(there))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = there.Write(bytes)
	}()
	return here
}
