package httpserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/httpserver"
)

// TestStoppingLosesNoConnection: whoever could connect to a server that is being
// stopped is answered, also in the moment in which it closes its door. A proxy
// repeats a call elsewhere when it could not connect, but not a POST that it has
// sent and that a connection took with it.
func TestStoppingLosesNoConnection(t *testing.T) {
	t.Parallel()
	const rounds, atOnce = 25, 5
	var at sync.WaitGroup
	for range atOnce {
		at.Go(func() {
			for range rounds / atOnce {
				stopUnderLoad(t)
			}
		})
	}
	at.Wait()
}

// stopUnderLoad stops a server that many call, and each over connections of their own.
func stopUnderLoad(t *testing.T) {
	const callers, enough = 8, 100
	l, err := httpserver.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Error(err)
		return
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	s := httpserver.New(options(io.Discard))
	go func() {
		defer stop() // also if it cannot serve, so that nobody calls for ever
		served <- s.Serve(ctx, context.WithoutCancel(ctx), l)
	}()
	var calling sync.WaitGroup
	var answered atomic.Int64
	for range callers {
		calling.Go(func() {
			for {
				connected, err := post(t.Context(), l.Addr().String())
				if !connected {
					if ctx.Err() == nil {
						continue // the machine is slow: nobody has closed the door yet
					}
					return
				}
				if err != nil {
					t.Errorf("connected, and not answered: %v", err)
					return
				}
				if answered.Add(1) == enough {
					stop()
				}
			}
		})
	}
	calling.Wait()
	if n := answered.Load(); n < enough {
		t.Errorf("only %d calls were answered before nobody could connect", n)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// post makes a call over a connection of its own.
func post(ctx context.Context, addr string) (connected bool, err error) {
	// Shorter than the second after which a system repeats what got no reply.
	conn, err := (&net.Dialer{Timeout: 500 * time.Millisecond}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return true, err
	}
	if _, err := io.WriteString(conn, "POST /api/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
		return true, err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return true, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d", res.StatusCode)
	}
	return true, err
}
