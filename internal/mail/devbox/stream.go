package devbox

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The bounds of streams of events. The server ends an answer after half a
// minute, so a stream ends by itself before that, and the browser opens another.
const (
	maxStreams = 16
	streamTime = 20 * time.Second
)

// events tells a browser by server-sent events which number the newest mail
// has, whenever one comes. A browser that was told of some number says so, and is
// told of a newer one at once. Streams end with until.
func (b *Box) events(until context.Context) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case b.streams <- struct{}{}:
			defer func() { <-b.streams }()
		default:
			w.Header().Set("Retry-After", "5")
			plain(w, http.StatusServiceUnavailable, "too many pages of the mailbox are open; close some")
			return
		}
		protect(w, "text/event-stream")
		out := http.NewResponseController(w)
		end := time.NewTimer(streamTime)
		defer end.Stop()
		seen := seenBy(r)
		_, _ = fmt.Fprint(w, "retry: 1000\n\n") // a browser that is gone is noticed below
		for {
			newest, changed := b.newest()
			if newest != seen {
				seen = newest
				_, _ = fmt.Fprintf(w, "event: mail\nid: %d\ndata: %d\n\n", newest, newest)
			}
			if err := out.Flush(); err != nil {
				return
			}
			select {
			case <-changed:
			case <-end.C:
				return
			case <-r.Context().Done():
				return
			case <-until.Done():
				return
			}
		}
	}
}

// seenBy is the number of the newest mail that the browser knows of.
func seenBy(r *http.Request) int {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("seen")
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// newest is the number of the newest mail, 0 if there was none yet, and what is closed when another comes.
func (b *Box) newest() (number int, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.changed
}
