package reset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// newRecorder makes a recorder on a store that hands on what it gets, and what notes to it.
func newRecorder(log *bytes.Buffer) (*memoryStore, *reset.Recorder, func(n int)) {
	s := &memoryStore{got: make(chan []reset.AuditEntry, 1000)}
	r := reset.NewRecorder(s, time.Now, slog.New(slog.NewTextHandler(log, nil)))
	keys := reset.NewKeys(s, nil, time.Now)
	keys.Audit(reset.NewAudit(nil, reset.ClientsFull, r, time.Now))
	next := 0
	return s, r, func(n int) {
		for range n {
			next++
			keys.Refused(context.Background(), reset.Caller{Client: fmt.Sprint("client", next)}, reset.EndUnknown)
		}
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestRecorderStoresSoon: what is noted is stored after a tenth of a second, all of it together.
func TestRecorderStoresSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r, note := newRecorder(&bytes.Buffer{})
		r.Start(t.Context())
		pass(time.Hour)
		note(2)
		pass(99 * time.Millisecond)
		same(t, "stored too early", len(s.got), 0)
		note(1)
		pass(2 * time.Millisecond)
		same(t, "stored together", len(<-s.got), 3)
		note(1)
		must(t, r.Stop(t.Context()))
		same(t, "stored at the end", len(<-s.got), 1)
	})
}

// TestRecorderOutlastsAFailure: what could not be stored is stored later, in its order.
func TestRecorderOutlastsAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, r, note := newRecorder(&log)
		down := errors.New("down")
		s.fails.Store(&down)
		r.Start(t.Context())
		note(2)
		pass(time.Second)
		note(1)
		if !bytes.Contains(log.Bytes(), []byte("audit.failed")) {
			t.Error("nobody was told")
		}
		s.fails.Store(nil)
		pass(2 * time.Second)
		got := <-s.got
		same(t, "stored after all", []string{got[0].From, got[1].From, got[2].From}, []string{"client1", "client2", "client3"})
		must(t, r.Stop(t.Context()))
	})
}

// TestRecorderIsBounded: a flood while nothing can be stored is counted, and the count is told.
func TestRecorderIsBounded(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, r, note := newRecorder(&log)
	note(20_000)
	must(t, r.Flush(t.Context()))
	close(s.got)
	kept, told := 0, ""
	for batch := range s.got {
		if len(batch) > 250 {
			t.Errorf("%d entries in one transaction", len(batch))
		}
		for _, e := range batch {
			kept++
			if e.What == reset.ActDropped {
				told, kept = e.Details, kept-1
			}
		}
	}
	same(t, "kept", kept, 16_384)
	same(t, "told", told, `{"entries":"3616"}`)
	if !bytes.Contains(log.Bytes(), []byte("audit.dropped")) {
		t.Error("the log does not say so")
	}
}
