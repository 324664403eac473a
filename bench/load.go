package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// caller is one keep-alive connection. It writes requests as bytes, so that
// the load itself costs little of the cores that it shares with the service.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func dial(ctx context.Context, addr string) (*caller, error) {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &caller{conn: c, in: bufio.NewReader(c)}, nil
}

// do sends one request and demands a 200. It reads just enough of the
// answer to know where it ends: every answer measured here has a Content-Length.
func (c *caller) do(method, path, key, body string) error {
	if err := c.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	c.out = append(c.out[:0], method...)
	c.out = append(append(append(c.out, ' '), path...), " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: application/json\r\n"...)
	if key != "" {
		c.out = append(append(append(c.out, "X-Auth-Token: "...), key...), "\r\n"...)
	}
	c.out = strconv.AppendInt(append(c.out, "Content-Length: "...), int64(len(body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), body...)
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	status, length := 0, -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		if status == 0 {
			status, _ = strconv.Atoi(strings.SplitN(text+"  ", " ", 3)[1])
		} else if value, ok := strings.CutPrefix(text, "Content-Length: "); ok {
			if length, err = strconv.Atoi(value); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("%s: an answer without Content-Length", path)
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(c.in, answer); err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("%s answered %d: %s", path, status, answer)
	}
	return nil
}

// rate lets n callers call for a period and answers how many calls a second
// succeeded. next makes the worker's ith call; it answers errEnough when there is nothing left to do.
func rate(ctx context.Context, n int, period time.Duration, next func(worker, i int) error) (float64, error) {
	var (
		wg    sync.WaitGroup
		done  atomic.Int64
		first atomic.Pointer[error]
		start = time.Now()
		end   = start.Add(period)
	)
	for w := range n {
		wg.Go(func() {
			for i := 0; time.Now().Before(end) && ctx.Err() == nil && first.Load() == nil; i++ {
				err := next(w, i)
				if errors.Is(err, errEnough) {
					return
				}
				if err != nil {
					first.CompareAndSwap(nil, &err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	if err := first.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / took, ctx.Err()
}

var errEnough = errors.New("nothing left to do")

// rateHTTP is rate with a connection for each worker.
func rateHTTP(ctx context.Context, addr string, period time.Duration, next func(c *caller, worker, i int) error) (float64, error) {
	callers := make([]*caller, workers)
	for i := range callers {
		var err error
		if callers[i], err = dial(ctx, addr); err != nil {
			return 0, err
		}
		defer func() { _ = callers[i].conn.Close() }()
	}
	return rate(ctx, workers, period, func(w, i int) error { return next(callers[w], w, i) })
}
