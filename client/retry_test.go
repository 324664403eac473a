package client_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sparekey/sparekey/client"
)

const refusal = `{"msg":"busy","code":-1}`

// TestRetries: which failures of which calls are tried again.
func TestRetries(t *testing.T) {
	t.Parallel()
	all, reading, none := "Job Metadata Request RequestBulk Reset", "Job Metadata", ""
	status := func(status int, body string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			answer(w, status, body)
		}
	}
	page := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "proxy", code) }
	}
	for name, c := range map[string]struct {
		h     http.HandlerFunc
		again string // the calls that are made again
		pause time.Duration
	}{
		"429":                         {status(429, refusal, "Retry-After", "3"), all, 3 * time.Second},
		"503":                         {status(503, refusal, "Retry-After", "10"), all, 10 * time.Second},
		"503 without a pause":         {status(503, refusal), all, 0},
		"503 until a date":            {status(503, refusal, "Date", "Mon, 23 Nov 2026 12:00:00 GMT", "Retry-After", "Mon, 23 Nov 2026 12:00:04 GMT"), all, 4 * time.Second},
		"429 for longer than is kept": {status(429, refusal, "Retry-After", "11"), none, 0},
		"429 for an age":              {status(429, refusal, "Retry-After", "2147483647"), none, 0},
		"429 with rubbish":            {status(429, refusal, "Retry-After", "-1"), all, 0},
		"a proxy's 502":               {page(502), reading, 0},
		"a proxy's 503":               {page(503), reading, 0},
		"a proxy's 504":               {page(504), reading, 0},
		"a proxy's 500":               {page(500), none, 0},
		"400":                         {status(400, refusal), none, 0},
		"401":                         {status(401, refusal), none, 0},
		"404":                         {status(404, refusal), none, 0},
		"500":                         {status(500, refusal), none, 0},
		"a success that is none":      {status(200, "{}"), none, 0},
		"hanging up":                  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, reading, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls [5]atomic.Int64
			s := server(t, func(w http.ResponseWriter, r *http.Request) {
				i := 0
				for n, part := range []string{"/job/", "/metadata/", "/request", "/request", "/reset/"} {
					if strings.Contains(r.URL.Path, part) {
						i = n
					}
				}
				if i == 3 && r.Header.Get("X-Auth-Token") == "" {
					i = 2
				}
				calls[i].Add(1)
				c.h(w, r)
			})
			// Connections are not reused: net/http itself repeats a GET on one that was closed meanwhile.
			hc := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			pauses := make(chan time.Duration, 100)
			wait := func(_ context.Context, d time.Duration) error { pauses <- d; return nil }
			every(t.Context(), newClient(t, s.URL, client.WithHTTPClient(hc), client.WithKey(key), client.WithPause(wait)))
			var again []string
			for i, call := range []string{"Job", "Metadata", "Request", "RequestBulk", "Reset"} {
				switch n := calls[i].Load(); n {
				case 1:
				case 3:
					again = append(again, call)
				default:
					t.Errorf("%s was made %d times", call, n)
				}
			}
			if diff := cmp.Diff(c.again, strings.Join(again, " ")); diff != "" {
				t.Errorf("made again (-want +got):\n%s", diff)
			}
			close(pauses)
			for d := range pauses {
				if c.pause != 0 && d != c.pause || d <= 0 || d > 10*time.Second {
					t.Errorf("paused for %v, want %v", d, c.pause)
				}
			}
		})
	}
}

// TestRetrySucceeds: the second attempt counts, with the same body.
func TestRetrySucceeds(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	s := server(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			answer(w, http.StatusTooManyRequests, refusal)
			return
		}
		if r.ContentLength <= 2 {
			t.Error("the body was not sent again")
		}
		answer(w, http.StatusOK, `{"id":"`+id+`"}`)
	})
	got, err := newClient(t, s.URL, client.WithPause(func(context.Context, time.Duration) error { return nil })).Reset(t.Context(), id, password)
	if got != id || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestUnreachableIsTriedAgain: nothing was sent, so every call may be repeated.
func TestUnreachableIsTriedAgain(t *testing.T) {
	t.Parallel()
	pauses := 0
	c := newClient(t, "http://127.0.0.1:1", client.WithKey(key), client.WithPause(func(context.Context, time.Duration) error { pauses++; return nil }))
	for call, err := range every(t.Context(), c) {
		if err == nil {
			t.Errorf("%s succeeded", call)
		}
	}
	if pauses != 10 {
		t.Errorf("%d pauses, want two for each of the five calls", pauses)
	}
}

// TestContextEnds: a pause that ends late, or would, is not begun; what was refused is told.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "9")
		answer(w, http.StatusTooManyRequests, `{"msg":"slower","code":50}`)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := newClient(t, s.URL).Request(ctx, "ann@example.com")
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.RetryAfter != 9*time.Second || !errors.Is(err, client.ErrRestriction) {
		t.Errorf("%v", err)
	}
	_, err = newClient(t, s.URL, client.WithPause(func(ctx context.Context, _ time.Duration) error { return context.Canceled })).Request(t.Context(), "ann@example.com")
	if !errors.Is(err, client.ErrRestriction) {
		t.Errorf("%v", err)
	}
}

// TestWaitJob: it asks until the job is done, and gives what it has when the context ends.
func TestWaitJob(t *testing.T) {
	t.Parallel()
	states := []string{"queued", "running", "done"}
	var calls atomic.Int64
	s := server(t, func(w http.ResponseWriter, _ *http.Request) {
		i := min(int(calls.Add(1))-1, 2)
		answer(w, http.StatusOK, `{"job_id":"`+id+`","state":"`+states[i]+`","total":2,"sent":1,"unknown":1,"failed":0}`)
	})
	c := newClient(t, s.URL, client.WithKey(key))
	got, err := c.WaitJob(t.Context(), id, time.Millisecond)
	if diff := cmp.Diff(client.Job{ID: id, State: client.JobDone, Total: 2, Sent: 1, Unknown: 1}, got); diff != "" || err != nil || calls.Load() != 3 {
		t.Errorf("%v after %d calls\n%s", err, calls.Load(), diff)
	}
	calls.Store(0)
	c = newClient(t, s.URL, client.WithKey(key), client.WithPause(func(context.Context, time.Duration) error { return context.DeadlineExceeded }))
	if got, err := c.WaitJob(t.Context(), id, time.Hour); !errors.Is(err, context.DeadlineExceeded) || got.State != client.JobQueued {
		t.Errorf("%v, %v", got, err)
	}
}
