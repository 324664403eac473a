package hookdir_test

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/reset"
)

// raw is an application that speaks for itself on each connection, once it was called.
func raw(t *testing.T, speak func(net.Conn)) (url string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				speak(conn)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// slowly says a text again and again, until nobody listens.
func slowly(c net.Conn, text string) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		<-tick.C
	}
}

// TestHostileAnswers: none is waited for beyond the deadline, none is kept, none is
// repeated, and none makes anybody believe that a password was changed, or was not.
func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	forever := func(begin, text string) func(net.Conn) {
		return func(c net.Conn) {
			_, err := io.WriteString(c, begin)
			for err == nil {
				var n int
				n, err = io.WriteString(c, text)
				written.Add(int64(n))
			}
		}
	}
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		speak   func(net.Conn)
		setting string
	}{
		"silent":              {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "timeout"},
		"one byte at a time":  {func(c net.Conn) { slowly(c, "H") }, "timeout"},
		"a header at a time":  {func(c net.Conn) { _, _ = io.WriteString(c, ok); slowly(c, "X-Canary: canary\r\n") }, "timeout"},
		"a blank at a time":   {func(c net.Conn) { _, _ = io.WriteString(c, ok+"\r\n"); slowly(c, " ") }, "timeout"},
		"headers without end": {forever(ok, "X-Canary: "+strings.Repeat("canary", 1000)+"\r\n"), "url"},
		"a line without end":  {forever("", "HTTP/1.1 200 canary"), "url"},
		"a body without end":  {forever(ok+"\r\n", strings.Repeat(" ", 64<<10)), "url"},
		"ten megabytes":       {forever(ok+"Content-Length: 10485760\r\n\r\n", strings.Repeat("[", 64<<10)), "url"},
		"chunks without end":  {forever(ok+"Transfer-Encoding: chunked\r\n\r\n", "1000\r\n"+strings.Repeat(" ", 0x1000)+"\r\n"), "url"},
		"interim without end": {forever("", "HTTP/1.1 103 Early Hints\r\nX-Canary: canary\r\n\r\n"), "url"},
		"no HTTP":             {func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-canary\r\n") }, "url"},
		"hung up":             {func(net.Conn) {}, "url"},
		"two lengths":         {func(c net.Conn) { _, _ = io.WriteString(c, ok+"Content-Length: 3\r\nContent-Length: 5\r\n\r\ncanary") }, "url"},
		"less than it said":   {func(c net.Conn) { _, _ = io.WriteString(c, ok+"Content-Length: 30\r\n\r\n{\"changed\":true}") }, "url"},
		"deeper than anybody": {func(c net.Conn) { _, _ = io.WriteString(c, ok+"\r\n"+strings.Repeat("[", 60_000)) }, "url"},
		"a switch of protocols": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: canary\r\nConnection: Upgrade\r\n\r\n")
		}, "url"},
		"200 with a changed null": {func(c net.Conn) { _, _ = io.WriteString(c, ok+"Content-Length: 16\r\n\r\n{\"changed\":null}") }, "url"},
		"gzip that was not asked for": {func(c net.Conn) {
			_, _ = io.WriteString(c, ok+"Content-Encoding: gzip\r\n\r\n")
			z := gzip.NewWriter(c)
			_, _ = io.WriteString(z, `{"changed":true,"users":[]}`)
			_ = z.Close()
		}, "url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t, hookdir.Config{URL: raw(t, c.speak), Timeout: 500 * time.Millisecond})
			begun := time.Now()
			u, err := d.UserByAddress(t.Context(), address(t, ada))
			if errors.Is(err, reset.ErrNoUser) || u.ID != "" {
				t.Errorf("it was believed: %q, %v", u.ID, err)
			}
			later(t, name, err)
			names(t, name, err, c.setting)
			changing := set(t.Context(), d, "17", newPassword)
			perhaps(t, name, changing)
			names(t, name, changing, c.setting)
			if text := err.Error() + changing.Error(); strings.Contains(text, "canary") {
				t.Errorf("what was answered is repeated: %s", text)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	t.Cleanup(func() {
		if n := written.Load(); n > 256<<20 {
			t.Errorf("%d bytes were taken", n)
		}
	})
}

// TestRedirectsAreNotFollowed, whatever the status says, to wherever they lead: the password goes to nobody else.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for _, status := range []int{300, 301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other.URL+"/set")
			w.WriteHeader(status)
		})
		d := open(t, hookdir.Config{URL: s.URL})
		_, err := d.UserByID(t.Context(), "17")
		names(t, fmt.Sprint(status), err, "url", "redirects are not followed")
		err = set(t.Context(), d, "17", newPassword)
		perhaps(t, fmt.Sprint(status), err)
		names(t, fmt.Sprint(status), err, "url", "redirects are not followed")
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("where the redirects lead was called %d times", n)
	}
}

// TestThePasswordIsNowhereElse: whatever an application does with the call, neither
// an error nor a log nor a printed value has the password, or anything of the secret.
func TestThePasswordIsNowhereElse(t *testing.T) {
	t.Parallel()
	const planted = "planted-in-the-call-8841"
	secret := []byte("secret-that-signs-9917-and-more!")
	var told strings.Builder
	log := slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelDebug}))
	say := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&told, "%v|%+v|%#v|%s|%q|%d\n", v, v, v, v, v, v)
			log.Info("said", "value", v)
		}
	}
	echo := func(answer string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, strings.ReplaceAll(answer, "PASSWORD", planted)) }
	}
	for _, answer := range []string{
		"PASSWORD\r\n\r\n", "HTTP/1.1 PASSWORD\r\n\r\n", "HTTP/1.1 200 PASSWORD\r\n\r\nPASSWORD", "HTTP/1.1 500 PASSWORD\r\nPASSWORD\r\n\r\n",
		"HTTP/1.1 401 No\r\nWWW-Authenticate: PASSWORD\r\nContent-Type: application/json\r\n\r\n{\"title\":\"PASSWORD\"}",
		"HTTP/1.1 302 Found\r\nLocation: http://PASSWORD.example.test/PASSWORD\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: PASSWORD\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: PASSWORD\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: PASSWORD\r\n\r\n{}", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"PASSWORD\":PASSWORD}",
		"HTTP/1.1 422 No\r\nContent-Type: application/json\r\n\r\n{\"reasons\":[{\"code\":\"PASSWORD\",\"message\":\"PASSWORD is known\",\"params\":{\"PASSWORD\":1}}]}",
		"HTTP/1.1 422 No\r\nContent-Type: application/json\r\n\r\n{\"reasons\":[{\"code\":\"x\",\"message\":\"PASSWORD\",\"PASSWORD\":\"PASSWORD\"}],\"PASSWORD\":",
		"HTTP/1.1 503 No\r\nRetry-After: PASSWORD\r\nDate: PASSWORD\r\n\r\nPASSWORD",
		"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 PASSWORD\r\n\r\n", "",
	} {
		d := open(t, hookdir.Config{URL: raw(t, echo(answer)), Keys: [][]byte{secret}, Timeout: 500 * time.Millisecond})
		c, err := d.Prepare(t.Context(), reset.User{ID: "17"}, planted, nil)
		must(t, err)
		err = c.(reset.Distant).Set(t.Context())
		say(c, err)
		for e := err; e != nil; e = errors.Unwrap(e) {
			say(e)
		}
		if e, ok := errors.AsType[*reset.Error](err); ok {
			say(e.Message, e.Details)
		}
	}
	d := open(t, hookdir.Config{URL: "http://127.0.0.1:1", Keys: [][]byte{secret}})
	say(set(t.Context(), d, "17", planted))
	plan, err := d.Plan(t.Context(), reset.User{ID: "17"})
	must(t, err)
	say(plan, d.Check(t.Context(), func(line string) { say(line) }))
	_, err = d.Prepare(t.Context(), reset.User{ID: "17"}, planted+"\xff", nil)
	say(err)
	if err == nil {
		t.Error("a password that is not UTF-8 was taken")
	}
	for _, text := range []string{told.String(), logged.String()} {
		for _, hidden := range []string{planted, string(secret), fmt.Sprintf("%d", []byte(planted)), fmt.Sprintf("%x", planted)} {
			if strings.Contains(text, hidden) {
				t.Errorf("%q was told: %s", hidden, text)
			}
		}
	}
}
