package outbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler records what it is asked to do; each call is answered by answer.
type handler struct {
	answer func(ctx context.Context, e reset.Entry) error

	mu     sync.Mutex
	worked []reset.Entry
	given  []reset.Entry
	purges int
	signal chan struct{}
}

func newHandler(answer func(ctx context.Context, e reset.Entry) error) *handler {
	return &handler{answer: answer, signal: make(chan struct{}, 1000)}
}

func (h *handler) note(list *[]reset.Entry, e reset.Entry) {
	h.mu.Lock()
	*list = append(*list, e)
	h.mu.Unlock()
	h.signal <- struct{}{}
}

func (h *handler) MailLink(ctx context.Context, e reset.LinkEntry, _ bool) error {
	err := h.answer(ctx, e)
	h.note(&h.worked, e)
	return err
}

func (h *handler) MailNotice(ctx context.Context, e reset.NoticeEntry) error {
	err := h.answer(ctx, e)
	h.note(&h.worked, e)
	return err
}

func (h *handler) TellEvent(ctx context.Context, e reset.EventEntry) error {
	err := h.answer(ctx, e)
	h.note(&h.worked, e)
	return err
}

func (h *handler) Settle(ctx context.Context, e reset.SettleEntry) error {
	err := h.answer(ctx, e)
	h.note(&h.worked, e)
	return err
}

func (h *handler) GiveUp(_ context.Context, e reset.Entry, _ int, _ error) error {
	h.note(&h.given, e)
	return nil
}

func (h *handler) Purge(context.Context) error {
	h.mu.Lock()
	h.purges++
	h.mu.Unlock()
	h.signal <- struct{}{}
	return nil
}

// until waits, signal by signal, for a condition.
func (h *handler) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		h.mu.Lock()
		ok := done()
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-h.signal:
		case <-deadline.Done():
			t.Fatalf("waited too long for %s", what)
		}
	}
}

type fixture struct {
	store *sqlite.Store
	path  string
	log   *bytes.Buffer
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{path: filepath.Join(t.TempDir(), "sparekey.db"), log: &bytes.Buffer{}}
	var err error
	f.store, err = sqlite.Open(t.Context(), sqlite.Options{
		Path:     f.path,
		Inserter: func(d sqlite.RiverDriver) (sqlite.Inserter, error) { return outbox.NewInserter(d) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := f.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// start runs an outbox with a clock until the test ends or stop is called. It tells these targets of events.
func (f *fixture) start(t *testing.T, h outbox.Handler, now reset.Clock, targets ...string) (stop func(context.Context)) {
	t.Helper()
	o, err := outbox.New(f.store.RiverDriver(), h, outbox.Options{
		Workers: 4, Targets: targets, PollOnly: true, Now: now, Log: slog.New(slog.NewJSONHandler(f.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop = func(ctx context.Context) {
		once.Do(func() {
			if err := o.Stop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(context.WithoutCancel(t.Context())) })
	return stop
}

func (f *fixture) enqueue(t *testing.T, entries ...reset.Entry) {
	t.Helper()
	err := f.store.Update(t.Context(), func(tx reset.Tx) error { return tx.Enqueue(t.Context(), entries...) })
	if err != nil {
		t.Fatal(err)
	}
}

// rows asks the outbox's table, as an operator could.
func (f *fixture) rows(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", f.path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func link(address string) reset.LinkEntry { return reset.LinkEntry{Address: address} }

// almostDue is a clock that is behind by nearly the first pause, so that a
// second try is due after a fifth of a second.
func almostDue() time.Time { return time.Now().Add(200*time.Millisecond - reset.RetryPause(1)) }

func fine(context.Context, reset.Entry) error { return nil }

func TestWorksEverything(t *testing.T) {
	t.Parallel()
	f, h := newFixture(t), newHandler(fine)
	f.start(t, h, time.Now)
	bulk := reset.LinkEntry{Address: "b@example.test", Job: "5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11", Position: 3, Account: 7}
	notice := reset.NoticeEntry{UserID: "u", ChangedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	f.enqueue(t, link("a@example.test"), bulk, notice)
	h.until(t, "three entries", func() bool { return len(h.worked) == 3 })
	for _, want := range []reset.Entry{link("a@example.test"), bulk, notice} {
		found := false
		for _, got := range h.worked {
			found = found || reflect.DeepEqual(got, want)
		}
		if !found {
			t.Errorf("%+v was not worked as it was enqueued; worked: %+v", want, h.worked)
		}
	}
}

// TestFailuresHoldNobodyUp: more entries fail than there are workers, and wait
// to be tried again; one that comes after them does not wait.
func TestFailuresHoldNobodyUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := newHandler(func(_ context.Context, e reset.Entry) error {
		if e, ok := e.(reset.LinkEntry); ok && strings.HasPrefix(e.Address, "bad") {
			return errors.New("the mail server is away")
		}
		return nil
	})
	var bad []reset.Entry
	for i := range 20 { // five times as many as workers
		bad = append(bad, link(fmt.Sprintf("bad%d@example.test", i)))
	}
	f.enqueue(t, bad...)
	f.start(t, h, time.Now)
	h.until(t, "all that fail", func() bool { return len(h.worked) == len(bad) })
	f.enqueue(t, link("good@example.test"))
	tried := 0
	h.until(t, "the one that does not", func() bool {
		tried = len(h.worked)
		return slices.ContainsFunc(h.worked, func(e reset.Entry) bool {
			l, ok := e.(reset.LinkEntry)
			return ok && l.Address == "good@example.test"
		})
	})
	if tried != len(bad)+1 {
		t.Errorf("%d attempts were made before its turn came, want one of each", tried)
	}
}

func TestPurgesByItself(t *testing.T) {
	t.Parallel()
	f, h := newFixture(t), newHandler(fine)
	f.start(t, h, time.Now)
	h.until(t, "a purge", func() bool { return h.purges > 0 })
}

func TestNothingWaitsBehindBulk(t *testing.T) {
	t.Parallel()
	f, h := newFixture(t), newHandler(fine)
	var entries []reset.Entry
	for range 100 {
		entries = append(entries, reset.LinkEntry{Address: "bulk@example.test", Job: "j"})
	}
	f.enqueue(t, entries...)
	f.enqueue(t, link("single@example.test"))
	f.enqueue(t, reset.NoticeEntry{UserID: "u"})
	f.start(t, h, time.Now)
	h.until(t, "everything", func() bool { return len(h.worked) == 102 })
	for i, e := range h.worked[10:] {
		if l, ok := e.(reset.LinkEntry); !ok || l.Job == "" {
			t.Errorf("entry %d was worked behind the bulk job: %+v", i+10, e)
		}
	}
}

func TestTriesAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var mu sync.Mutex
	tries := 0
	h := newHandler(func(context.Context, reset.Entry) error {
		mu.Lock()
		defer mu.Unlock()
		if tries++; tries < 2 {
			return errors.New("the mail server said: no such luck for ada@example.test")
		}
		return nil
	})
	f.start(t, h, almostDue)
	f.enqueue(t, link("ada@example.test"))
	h.until(t, "a second try", func() bool { return len(h.worked) == 2 })
	if len(h.given) != 0 {
		t.Errorf("gave up on %v", h.given)
	}
	// What the server said stays out of the table.
	if n := f.rows(t, `SELECT count(*) FROM river_job WHERE json(errors) LIKE '%luck%'`); n != 0 {
		t.Error("the reason of a failure is kept in the outbox's table")
	}
}

func TestGivesUpAfterADay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := newHandler(func(context.Context, reset.Entry) error { return errors.New("still down") })
	f.enqueue(t, link("ada@example.test"))
	f.start(t, h, func() time.Time { return time.Now().Add(reset.GiveUpAfter) })
	h.until(t, "giving up", func() bool { return len(h.given) == 1 })
	if !reflect.DeepEqual(h.given, []reset.Entry{link("ada@example.test")}) || len(h.worked) != 1 {
		t.Errorf("gave up on %v after %d tries", h.given, len(h.worked))
	}
}

// TestSettlesWhenDue: a claim is left alone until it is due, and then settled however long that takes.
func TestSettlesWhenDue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	tries := 0
	h := newHandler(func(_ context.Context, e reset.Entry) error {
		if tries++; e.Kind() == "settle" && tries == 1 {
			return errors.New("the disk is full")
		}
		return nil
	})
	now := time.Now().Truncate(time.Millisecond).UTC()
	due := reset.SettleEntry{Ref: 1, UserID: "u", ClaimedAt: now.Add(-time.Minute), Due: now.Add(-time.Second), Brand: 7, RequestID: "r"}
	later := reset.SettleEntry{Ref: 2, UserID: "u", ClaimedAt: now, Due: now.Add(time.Hour)}
	f.enqueue(t, later, due)
	f.start(t, h, func() time.Time { return now.Add(10 * reset.GiveUpAfter) }) // long past giving up
	h.until(t, "the first try", func() bool { return len(h.worked) == 1 })
	// It is tried again, ten days later as it seems; the test does not wait for that.
	row := f.row(t, 2)
	if !reflect.DeepEqual(h.worked, []reset.Entry{due}) || len(h.given) > 0 || row.state != "retryable" || row.attempts < 1000 {
		t.Errorf("worked %+v, gave up %+v, and it is %+v", h.worked, h.given, row)
	}
	if row := f.row(t, 1); row.state != "scheduled" {
		t.Errorf("the one that is due in an hour is %s", row.state)
	}
}

type row struct {
	state    string
	attempts int
}

// row reads an entry until it is not being worked on any more.
func (f *fixture) row(t *testing.T, id int) (r row) {
	t.Helper()
	db, err := sql.Open("sqlite", f.path)
	if err != nil {
		t.Fatal(err)
	}
	for r.state = "running"; r.state == "running" && err == nil; {
		err = db.QueryRowContext(t.Context(), "SELECT state, max_attempts FROM river_job WHERE id = ?", id).Scan(&r.state, &r.attempts)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGivesUpWhatCanNeverArrive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := newHandler(func(context.Context, reset.Entry) error { return &reset.Undeliverable{Reply: 550} })
	f.start(t, h, time.Now)
	f.enqueue(t, link("ada@example.test"))
	h.until(t, "giving up", func() bool { return len(h.given) == 1 })
	if len(h.worked) != 1 {
		t.Errorf("tried %d times, want once", len(h.worked))
	}
}

func TestPanicIsAFailureLikeOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var mu sync.Mutex
	panicked := false
	h := newHandler(func(context.Context, reset.Entry) error {
		mu.Lock()
		defer mu.Unlock()
		if !panicked {
			panicked = true
			panic("by the test")
		}
		return nil
	})
	stop := f.start(t, h, almostDue)
	f.enqueue(t, link("ada@example.test"))
	h.until(t, "the second try", func() bool { return len(h.worked) == 1 })
	stop(t.Context())
	if !strings.Contains(f.log.String(), "panic in the outbox") {
		t.Error("the panic is not in the log")
	}
}

// TestCrash: an entry that was leased by a process that died runs again.
func TestCrash(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.enqueue(t, link("ada@example.test"))
	began := make(chan struct{})
	dead := newHandler(func(ctx context.Context, _ reset.Entry) error {
		close(began)
		<-ctx.Done() // as if the process had been killed here
		return ctx.Err()
	})
	stop := f.start(t, dead, almostDue)
	<-began
	if n := f.rows(t, `SELECT count(*) FROM river_job WHERE state = 'running' AND kind = 'link'`); n != 1 {
		t.Fatalf("%d entries are leased, want 1", n)
	}
	at := time.Now()
	over, cancel := context.WithCancel(t.Context())
	cancel() // no patience: what runs is cancelled
	stop(over)
	if took := time.Since(at); took > 20*time.Second {
		t.Errorf("stopping without patience took %v", took)
	}
	if _, err := f.store.ReclaimOutbox(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := newHandler(fine)
	f.start(t, h, time.Now)
	h.until(t, "the entry to run again", func() bool { return len(h.worked) == 1 })
}

// TestStopWaits: what is under way when Stop is called is finished, and not done twice.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	began, release := make(chan struct{}), make(chan struct{})
	h := newHandler(func(context.Context, reset.Entry) error {
		close(began)
		<-release
		return nil
	})
	stop := f.start(t, h, time.Now)
	f.enqueue(t, link("ada@example.test"))
	<-began
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop(context.WithoutCancel(t.Context())) }()
	close(release)
	<-stopped
	if n := f.rows(t, `SELECT count(*) FROM river_job WHERE state = 'completed' AND kind = 'link'`); n != 1 {
		t.Errorf("%d entries are completed, want 1", n)
	}
}
