package reset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// targets keep what they are told; err, if set, is what they answer.
type targets struct {
	mu   sync.Mutex
	told []toldEvent
	err  error
}

type toldEvent struct {
	target string
	reset.Event
}

func (s *targets) SendEvent(_ context.Context, target string, e reset.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.told = append(s.told, toldEvent{target, e})
	}
	return s.err
}

// take returns what was told since the last time.
func (s *targets) take() []toldEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := s.told
	s.told = nil
	return told
}

const hook = "https://app.example.com/hooks"

// telling has one target told of these types, or of all.
func telling(s *targets, types ...reset.EventType) servicetest.Option {
	if types == nil {
		types = reset.EventTypes
	}
	return servicetest.WithEvents(reset.Events{Targets: []string{hook}, Types: types}, s)
}

func TestEventsOfOneReset(t *testing.T) {
	t.Parallel()
	var s targets
	const second = "https://other.example.com/hooks"
	w := servicetest.New(t, servicetest.WithEvents(reset.Events{Targets: []string{hook, second}, Types: reset.EventTypes}, &s))
	ada := w.AddUser(t, "Ada@example.test", "Ada", "Acme", "Globex")
	id := w.MailedID(t, "ada@EXAMPLE.test")
	minted := w.Clock.Now()
	w.WorkOutbox(t)
	told := s.take()
	if len(told) != 2 || told[0].ID == "" || told[0].ID != told[1].ID || told[0].target == told[1].target {
		t.Fatalf("told: %+v; want one event, told to two targets", told)
	}
	same(t, "the event", told[0].Event, reset.Event{
		ID: told[0].ID, Type: reset.EventRequestCreated, At: minted, User: ada, ExpiresAt: minted.Add(ttl),
	})
	w.Clock.Advance(time.Minute)
	changed := w.Clock.Now()
	_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	w.Clock.Advance(time.Minute) // it is told later
	w.WorkOutbox(t)
	told2 := s.take()
	if len(told2) != 2 || told2[0].ID == told[0].ID {
		t.Fatalf("told: %+v; want another event, told to two targets", told2)
	}
	same(t, "the event", told2[0].Event, reset.Event{ID: told2[0].ID, Type: reset.EventPasswordReset, At: changed, User: ada})
	same(t, "notices", len(w.Notices()), 1)
}

// TestEventsOfSomeTypes: a target is told of what is configured, and of nothing twice.
func TestEventsOfSomeTypes(t *testing.T) {
	t.Parallel()
	for _, types := range [][]reset.EventType{nil, {reset.EventPasswordReset}, {reset.EventRequestCreated}, {reset.EventRequestFailed}} {
		var s targets
		w := servicetest.New(t, servicetest.WithEvents(reset.Events{Targets: []string{hook}, Types: types}, &s))
		w.AddUser(t, ada, "Ada")
		id := w.MailedID(t, ada)
		_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
		must(t, err)
		ask(t, w, ada)
		w.FailMail(&reset.Undeliverable{Reply: 550})
		w.WorkOutbox(t)
		w.WorkOutbox(t)
		got := map[reset.EventType]int{}
		for _, e := range s.take() {
			got[e.Type]++
		}
		want := map[reset.EventType]int{}
		for _, typ := range types {
			want[typ] = 1
			if typ == reset.EventRequestCreated {
				want[typ] = 2 // also for the link whose mail was refused
			}
		}
		same(t, fmt.Sprint("told of ", types), got, want)
	}
}

// TestNoEventOfWhatDidNotHappen: what is rolled back is not told, nor that nobody has an address.
func TestNoEventOfWhatDidNotHappen(t *testing.T) {
	t.Parallel()
	var s targets
	broken := errors.New("the directory failed in the middle")
	d := &failing{}
	w := servicetest.New(t, telling(&s), servicetest.WithDirectory(func(inner reset.Directory) reset.Directory { d.Directory = inner; return d }))
	kinds := people(t, w)
	ask(t, w, kinds["unknown"], kinds["disabled"], kinds["suspended"])
	w.WorkOutbox(t)
	same(t, "entries for those who may not reset", len(w.Pending()), 0)
	id := w.MailedID(t, ada)
	w.TakeOutbox()
	d.apply = broken
	if _, err := w.Service.Reset(t.Context(), visitor, id, newPassword); !errors.Is(err, broken) {
		t.Fatalf("a reset that must fail answered %v", err)
	}
	_, err := w.Service.Reset(t.Context(), visitor, id, "short")
	refused(t, "a bad password", err, reset.Invalid, reset.CodeBadValue)
	same(t, "entries after resets that failed", len(w.Pending()), 0)
	d.apply = nil
	_, err = w.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	_, err = w.Service.Reset(t.Context(), visitor, id, newPassword)
	refused(t, "a second reset", err, reset.Unauthorized, reset.CodeInactive)
	w.WorkOutbox(t)
	if told := s.take(); len(told) != 1 || told[0].Type != reset.EventPasswordReset {
		t.Errorf("told: %+v; want of the one reset", told)
	}
}

// TestEventOfAFailedRequest: whose it was may be known only later, and the account of a key is kept to.
func TestEventOfAFailedRequest(t *testing.T) {
	t.Parallel()
	var s targets
	w := servicetest.New(t, telling(&s, reset.EventRequestFailed))
	user := w.AddUser(t, ada, "Ada", "Acme")
	w.AddUser(t, bob, "Bob", "Globex")
	acme, err := w.Users.Account(t.Context(), "Acme")
	must(t, err)
	down := errors.New("the directory did not answer for a day")
	for _, c := range []struct {
		what   string
		entry  reset.LinkEntry
		cause  error
		reason string // empty: nobody is told
	}{
		{"refused for good", reset.LinkEntry{Address: "ADA@example.test"}, &reset.Undeliverable{Reply: 550}, reset.ReasonRefused},
		{"a day long", reset.LinkEntry{Address: ada, Account: acme.ID}, down, reset.ReasonTimeout},
		{"nobody's", reset.LinkEntry{Address: "nobody@example.test"}, down, ""},
		{"another account's", reset.LinkEntry{Address: bob, Account: acme.ID}, down, ""},
		{"no address", reset.LinkEntry{Address: "x"}, down, ""},
	} {
		must(t, w.Courier.GiveUp(t.Context(), c.entry, 7, c.cause))
		w.WorkOutbox(t)
		told := s.take()
		if (len(told) == 1) != (c.reason != "") || len(told) > 1 {
			t.Errorf("%s: told %+v", c.what, told)
			continue
		}
		if len(told) == 1 {
			same(t, c.what, told[0].Event, reset.Event{ID: told[0].ID, Type: reset.EventRequestFailed, At: w.Clock.Now(), User: user, Reason: c.reason})
		}
	}
}

// TestEventOfAGoneUser: sessions end, though nothing is known of the user any more.
func TestEventOfAGoneUser(t *testing.T) {
	t.Parallel()
	var s targets
	d := &directory{}
	w := servicetest.New(t, telling(&s), behind(d))
	user := w.AddUser(t, ada, "Ada")
	id := w.MailedID(t, ada)
	_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	d.before = func(context.Context) error { return errNotNow }
	if failed := work(t, w); len(failed) != 3 {
		t.Fatalf("%d entries failed while the directory was away, want two events and a notice", len(failed))
	}
	for _, gone := range []reset.EventEntry{{Type: reset.EventPasswordReset, UserID: user.ID}, {Type: reset.EventRequestCreated, UserID: user.ID}} {
		d.before = func(context.Context) error { return reset.ErrNoUser }
		gone.Target = hook
		must(t, w.Courier.TellEvent(t.Context(), gone))
	}
	told := s.take()
	if len(told) != 1 {
		t.Fatalf("told: %+v; want of the reset alone", told)
	}
	same(t, "the event", told[0].Event, reset.Event{Type: reset.EventPasswordReset, User: reset.User{ID: user.ID}})
}

// TestNoSecretInAnEvent: neither what waits in the outbox nor what is told has
// the link, its id, the password or a key (CVE-2023-7028 and its kind); the
// outbox and the log do without the address.
func TestNoSecretInAnEvent(t *testing.T) {
	t.Parallel()
	var (
		s   targets
		log bytes.Buffer
	)
	w := servicetest.New(t, telling(&s), servicetest.WithLog(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	w.AddUser(t, ada, "Ada", "Acme")
	key := w.NewKey(t, "app", reset.ScopeReset, "")
	var waiting []reset.Entry
	var id string
	keep := func() {
		for _, e := range w.TakeOutbox() {
			if _, ok := e.(reset.EventEntry); ok {
				waiting = append(waiting, e)
			}
			must(t, w.Work(t.Context(), e))
		}
	}
	ask(t, w, ada)
	keep()
	id = servicetest.ID(w.Links()[0])
	keep()
	caller, err := w.Keys.Authenticate(t.Context(), "", key)
	must(t, err)
	_, err = w.Service.Reset(t.Context(), reset.Caller{Key: &caller}, id, newPassword)
	must(t, err)
	keep()
	s.err = &reset.Unwanted{Cause: errors.New("the target answered 410")}
	must(t, w.Courier.GiveUp(t.Context(), waiting[0], 3, s.err))
	told := s.take()
	if len(told) != 2 || len(waiting) != 2 {
		t.Fatalf("%d waited and %d were told, want 2 each", len(waiting), len(told))
	}
	everything := map[string]string{"outbox": fmt.Sprintf("%+v", waiting), "events": fmt.Sprintf("%+v", told), "log": log.String()}
	for place, text := range everything {
		for what, secret := range map[string]string{"id": id, "password": newPassword, "key": key, "path of links": "/reset/", "path of the target": "/hooks"} {
			if strings.Contains(text, secret) && (what != "path of the target" || place == "log") {
				t.Errorf("the %s: it has the %s:\n%s", place, what, text)
			}
		}
		if strings.Contains(text, ada) {
			t.Errorf("the %s: it has the address:\n%s", place, text)
		}
	}
	if !strings.Contains(log.String(), `"event":"event.given_up"`) || !strings.Contains(log.String(), "app.example.com") {
		t.Errorf("the log does not say what was given up:\n%s", log.String())
	}
}

// TestPauseAfter: a target may ask for patience, within bounds.
func TestPauseAfter(t *testing.T) {
	t.Parallel()
	busy := func(after time.Duration) error {
		return fmt.Errorf("told: %w", &reset.Postponed{After: after, Cause: errors.New("503")})
	}
	for _, c := range []struct {
		n    int
		err  error
		want time.Duration
	}{
		{1, errNotNow, 5 * time.Second},
		{1, busy(time.Second), 5 * time.Second},
		{1, busy(time.Minute), time.Minute},
		{1, busy(48 * time.Hour), time.Hour},
		{20, busy(time.Minute), 30 * time.Minute},
	} {
		if got := reset.PauseAfter(c.n, c.err); got != c.want {
			t.Errorf("after attempt %d and %v: %v, want %v", c.n, c.err, got, c.want)
		}
	}
	for err, want := range map[error]bool{
		errNotNow: false, busy(time.Minute): false,
		fmt.Errorf("told: %w", &reset.Unwanted{Cause: errNotNow}): true, &reset.Undeliverable{Reply: 550}: true,
	} {
		if reset.Hopeless(err) != want {
			t.Errorf("hopeless: %v: %t", err, !want)
		}
	}
}
