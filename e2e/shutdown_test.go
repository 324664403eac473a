package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// pendingReset is a reset whose handler waits for the password.
type pendingReset struct {
	net.Conn
	reader *bufio.Reader
	body   string
}

// begin calls a reset and returns once its handler asks for the body.
func (w *world) begin(t *testing.T, id string) *pendingReset {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p := &pendingReset{Conn: conn, reader: bufio.NewReader(conn), body: fmt.Sprintf(`{"password":%q}`, password)}
	_, err = fmt.Fprintf(conn, "POST /api/1.0/reset-password/reset/%s HTTP/1.1\r\nHost: reset.example.com\r\nX-Auth-Token: %s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", id, w.key, len(p.body))
	if err != nil {
		t.Fatal(err)
	}
	p.wants(t, http.StatusContinue)
	return p
}

// finish sends the password.
func (p *pendingReset) finish(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p, p.body); err != nil {
		t.Fatal(err)
	}
}

// wants demands that status comes next.
func (p *pendingReset) wants(t *testing.T, status int) {
	t.Helper()
	res, err := http.ReadResponse(p.reader, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status {
		t.Fatalf("answered %d %s, %v; want %d", res.StatusCode, body, err, status)
	}
}

// TestShutdownFinishes: a service that is told to stop while a mail is on its
// way, passwords are hashed and one is still being sent, takes nobody new,
// answers everybody else, and loses no mail.
func TestShutdownFinishes(t *testing.T) {
	t.Parallel()
	const resetting = 5
	w := newWorld(t, resetting+1)
	// One slow hash at a time, so that the signal comes in the midst of them.
	w.env = append(w.env, "SPAREKEY_HASH_CONCURRENCY=1", "SPAREKEY_HASH_TIME=20")
	w.start(t)
	for i := range resetting {
		w.ask(t, person(i))
	}
	w.exactly(t, resetting)
	links := w.links(t)
	release := w.smtp.Hold()
	defer release() // else a failed test waits for what is held
	w.ask(t, person(resetting))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.smtp.WaitHolding(ctx, 1); err != nil {
		t.Fatal(err)
	}
	var pending []*pendingReset
	for i := range resetting {
		pending = append(pending, w.begin(t, links[person(i)][0]))
	}
	hashing, late := pending[:resetting-1], pending[resetting-1]
	for _, p := range hashing {
		p.finish(t)
	}
	hashing[0].wants(t, http.StatusOK)

	if err := w.server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	until(t, "new connections being refused", patience, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.addr)
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
	late.finish(t)
	for _, p := range pending[1:] {
		p.wants(t, http.StatusOK)
	}
	w.server.waitFor(t, `"event":"serve.stopping"`)
	if n := w.smtp.Count(); n != resetting {
		t.Errorf("%d mails were taken although the mail server holds them", n-resetting)
	}
	release()
	select {
	case <-w.server.ended:
	case <-ctx.Done():
		t.Fatal("it has not ended although everything under way is finished")
	}
	w.endedWell(t)
	if n := len(w.links(t)[person(resetting)]); n != 1 {
		t.Errorf("%d mails of those under way were finished, want 1", n)
	}

	w.start(t)
	w.exactly(t, resetting+1+resetting) // with the notices
	w.onlyTheNewestOpens(t, resetting, 1)
	for i := range resetting {
		if _, code := sparekey(t, w.env, password, "user", "verify", person(i), "--password-stdin"); code != 0 {
			t.Errorf("the password of %s is another", person(i))
		}
	}
	w.stop(t)
}
