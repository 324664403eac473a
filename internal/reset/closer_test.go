package reset_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/throttle"
)

func TestLookCloser(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "Ada.Lovelace@example.test", "Ada", "Globex", "Acme", "Dormant")
	w.AddUser(t, bob, "Bob")
	must(t, w.Users.Suspend(t.Context(), "Dormant"))
	id := w.MailedID(t, "ada.lovelace@example.test")
	got, err := w.Service.LookCloser(t.Context(), visitor, id)
	must(t, err)
	same(t, "what Ada sees", []any{got.ID.Reveal(), got.MultipleAccounts, got.ExpiresAt, got.Address.Raw(), got.Accounts},
		[]any{id, true, w.Clock.Now().Add(ttl), "Ada.Lovelace@example.test", []string{"Acme", "Globex"}})
	got, err = w.Service.LookCloser(t.Context(), visitor, w.MailedID(t, bob))
	must(t, err)
	same(t, "what Bob sees", []any{got.MultipleAccounts, got.Address.Raw(), got.Accounts}, []any{false, bob, []string(nil)})

	_, err = w.Service.LookCloser(t.Context(), visitor, reset.NewID().Reveal())
	refused(t, "an unknown id", err, reset.Unauthorized, reset.CodeNotAuthorized)
	w.Clock.Advance(ttl)
	_, err = w.Service.LookCloser(t.Context(), visitor, id)
	refused(t, "an expired id", err, reset.Unauthorized, reset.CodeExpired)
}

// Whoever holds an id is told what became of it: whether to look for a newer mail, or to log in.
func TestEnding(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	for _, address := range []string{ada, bob, "eve@example.test", "off@example.test"} {
		w.AddUser(t, address, "")
	}
	ending := func(what, id string, how reset.Ended, at time.Time) {
		t.Helper()
		got, err := w.Service.Ending(t.Context(), id)
		must(t, err)
		same(t, what, got, reset.Ending{How: how, At: at})
	}
	used := w.MailedID(t, bob)
	w.Clock.Advance(time.Minute)
	atUse := w.Clock.Now()
	_, err := w.Service.Reset(t.Context(), visitor, used, newPassword)
	must(t, err)

	first := w.MailedID(t, ada)
	w.Clock.Advance(time.Minute)
	second := w.MailedID(t, ada)
	w.Clock.Advance(time.Minute)
	third, newest := w.MailedID(t, ada), w.Clock.Now()
	w.Clock.Advance(time.Minute)
	ending("a used link", used, reset.EndedUsed, atUse)
	ending("a link that was replaced", second, reset.EndedReplaced, newest)
	ending("one that was replaced twice", first, reset.EndedReplaced, newest)

	// A newer link that does not work either is nothing to look for.
	old := w.MailedID(t, "eve@example.test")
	w.MailedID(t, "eve@example.test")
	off := w.MailedID(t, "off@example.test")
	must(t, w.Users.Disable(t.Context(), "off@example.test"))
	w.Clock.Advance(ttl - time.Minute)
	ending("one whose newer link has expired", second, reset.EndedOther, time.Time{})
	w.Clock.Advance(time.Minute)
	ending("another", old, reset.EndedOther, time.Time{})
	ending("one that was taken back", off, reset.EndedOther, time.Time{})
	ending("one that has expired", third, reset.EndedOther, time.Time{})
	_, err = w.Service.Reset(t.Context(), visitor, w.MailedID(t, ada), newPassword)
	must(t, err)
	ending("one whose newer link was used", first, reset.EndedOther, time.Time{})

	for _, id := range []string{"", "x", reset.NewID().Reveal()} {
		_, err := w.Service.Ending(t.Context(), id)
		refused(t, "an unknown id", err, reset.Unauthorized, reset.CodeNotAuthorized)
	}
}

// A hint says what the reset would, and changes nothing.
func TestHint(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	w.AddUser(t, ada, "Ada Lovelace")
	id := w.MailedID(t, ada)
	before := w.Dump(t)
	for typed, want := range map[string]string{"short": "too_short", "ada lovelace 1815": "context", "passwordpassword": "common", newPassword: ""} {
		refusals, err := w.Service.Hint(t.Context(), visitor, id, typed)
		must(t, err)
		got := ""
		if len(refusals) > 0 {
			got = refusals[0].Code
		}
		same(t, typed, got, want)
	}
	same(t, "the database", w.Dump(t), before)

	_, err := w.Service.Hint(t.Context(), visitor, reset.NewID().Reveal(), "short")
	refused(t, "an unknown id", err, reset.Unauthorized, reset.CodeNotAuthorized)
	for range 60 {
		_, err = w.Service.Hint(t.Context(), visitor, id, "short")
	}
	refused(t, "too many hints", err, reset.Throttled, reset.CodeRestriction)
	_, err = w.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	w.Clock.Advance(time.Minute)
	_, err = w.Service.Hint(t.Context(), visitor, id, "short")
	refused(t, "a used link", err, reset.Unauthorized, reset.CodeInactive)
}

// Hints are worked out two at a time; others are not waited for.
func TestHintsAreFew(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "")
	id := w.MailedID(t, ada)
	begun, end := make(chan struct{}), make(chan struct{})
	s := reset.NewService(reset.Config{BaseURL: servicetest.BaseURL, TTL: ttl}, w.Store, w.Users, policy(
		func(context.Context, string, reset.User) ([]reset.Refusal, error) {
			begun <- struct{}{}
			<-end
			return nil, nil
		}), throttle.Off{}, w.Clock.Now, slog.New(slog.DiscardHandler))
	done := make(chan error)
	for range 2 {
		go func() {
			_, err := s.Hint(context.WithoutCancel(t.Context()), visitor, id, "x")
			done <- err
		}()
		<-begun
	}
	_, err := s.Hint(t.Context(), visitor, id, "x")
	refused(t, "a third hint", err, reset.Unavailable, reset.CodeUnknown)
	close(end)
	for range 2 {
		must(t, <-done)
	}
}
