package reset_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/throttle"
)

// settleDue is more than how long a claim is left to whoever made it.
const settleDue = 2 * time.Minute

// distant makes a World whose users live in a directory that no transaction
// reaches: Ada does, with an old password, and has a link.
func distant(t testing.TB, opts ...servicetest.Option) (w *servicetest.World, m *directorytest.Memory, told *targets, id string) {
	t.Helper()
	m, told = &directorytest.Memory{}, &targets{}
	w = servicetest.New(t, append([]servicetest.Option{
		telling(told), servicetest.WithDirectory(func(reset.Directory) reset.Directory { return m }),
	}, opts...)...)
	m.Add(t, directorytest.User{Email: ada, Name: "Ada", Password: oldPassword})
	id = w.MailedID(t, ada)
	w.WorkOutbox(t)
	told.take()
	return w, m, told, id
}

// after lets the time of a claim pass and works what is due then.
func after(t testing.TB, w *servicetest.World) {
	t.Helper()
	w.Clock.Advance(settleDue)
	w.WorkOutbox(t)
	w.WorkOutbox(t)
}

// outcome checks what came of a reset: the request's state, what notices and events tell, and the audit trail's last word.
func outcome(t testing.TB, w *servicetest.World, told *targets, id string, state reset.State, matters []reset.Matter, act string) {
	t.Helper()
	parsed, ok := reset.ParseID(id)
	if !ok {
		t.Fatalf("%s is no id", id)
	}
	r, err := w.Store.RequestByDigest(t.Context(), parsed.Digest())
	must(t, err)
	same(t, "the request", r.State, state)
	var got []reset.Matter
	for _, n := range w.Notices() {
		got = append(got, n.Matter)
	}
	same(t, "notices", got, matters)
	events := 0
	for _, e := range told.take() {
		if e.Type == reset.EventPasswordReset {
			events++
			if e.At.Before(r.EndedAt) {
				t.Errorf("sessions are ended that began before %v, and the password may have been changed until %v", e.At, r.EndedAt)
			}
		}
	}
	same(t, "events", events, len(matters))
	var resets []string
	for _, a := range w.Acts(t) {
		if strings.HasPrefix(a, reset.ActReset+" ") || strings.HasPrefix(a, reset.ActResetRefused) {
			resets = append(resets, a)
		}
	}
	if len(resets) == 0 || resets[len(resets)-1] != act {
		t.Errorf("the audit trail says %q, want %q in the end", resets, act)
	}
}

// fails resets and answers how it was refused.
func fails(t testing.TB, w *servicetest.World, id, password string) *reset.Error {
	t.Helper()
	_, err := w.Service.Reset(t.Context(), visitor, id, password)
	if err == nil {
		t.Fatal("the reset succeeded")
	}
	return reset.AsError(err)
}

func TestDistantReset(t *testing.T) {
	t.Parallel()
	w, m, told, id := distant(t)
	m.BeforeSet = func(ctx context.Context) error {
		same(t, "the link while the password is being changed", opens(t, w, visitor, id), reset.CodeInactive)
		ending, err := w.Service.Ending(ctx, id)
		must(t, err)
		same(t, "its ending", ending, reset.Ending{How: reset.EndedUsed, At: w.Clock.Now()})
		return nil
	}
	used, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	same(t, "the answer", used.Reveal(), id)
	if !m.Verify(t, ada, newPassword) {
		t.Error("the password was not changed")
	}
	dump := w.Dump(t)
	for _, e := range w.Pending() {
		if c, ok := e.(reset.SettleEntry); ok {
			dump += c.UserID + c.RequestID
		}
	}
	if strings.Contains(dump, newPassword) || strings.Contains(dump, id) {
		t.Error("a secret is at rest")
	}
	w.WorkOutbox(t)
	after(t, w) // what was left for the case that nobody had settled it finds nothing to do
	outcome(t, w, told, id, reset.StateUsed, []reset.Matter{reset.MatterPassword}, "password.reset user:1 ok")
	same(t, "the outbox", len(w.Pending()), 0)
	refused(t, "the link a second time", fails(t, w, id, "another password entirely"), reset.Unauthorized, reset.CodeInactive)
	same(t, "changes", m.Sets(), 1)
}

// A time-out or a lost answer is no failure: the link is used up, and the person told (requirement 45).
func TestUnsure(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection reset by peer")
	for name, fault := range map[string]func(m *directorytest.Memory){
		"the answer was lost": func(m *directorytest.Memory) { m.AfterSet = func(context.Context) error { return lost } },
		"the question was":    func(m *directorytest.Memory) { m.BeforeSet = func(context.Context) error { return lost } },
		"it hangs for ever": func(m *directorytest.Memory) {
			m.AfterSet = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		},
		"it says not now, unsure": func(m *directorytest.Memory) {
			m.AfterSet = func(context.Context) error { return reset.Busy("later", time.Second, lost) }
		},
		"it says no, unsure": func(m *directorytest.Memory) {
			m.AfterSet = func(context.Context) error { return reset.Refused([]reset.Refusal{{Code: "x", Message: "no"}}) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, m, told, id := distant(t, servicetest.WithSetTimeout(50*time.Millisecond))
			fault(m)
			e := refused(t, "the reset", fails(t, w, id, newPassword), reset.Unavailable, reset.CodeUnknown)
			if _, ok := errors.AsType[*reset.Unsure](e); !ok || e.Details["outcome"] != "unsure" || strings.Contains(e.Message, "reset by peer") || e.RetryAfter <= 10*time.Second {
				t.Errorf("the caller is told %+v", e)
			}
			same(t, "the link", opens(t, w, visitor, id), reset.CodeInactive)
			w.WorkOutbox(t)
			w.WorkOutbox(t)
			outcome(t, w, told, id, reset.StateUsed, []reset.Matter{reset.MatterUnsure}, "password.reset user:1 unsure")
			after(t, w)
			same(t, "notices after all", len(w.Notices()), 1)
			refused(t, "the link again", fails(t, w, id, newPassword), reset.Unauthorized, reset.CodeInactive)
			same(t, "changes", m.Sets(), 1)
		})
	}
}

// What changed nothing for certain costs nothing: the caller gets the reason, and the link works again.
func TestReleased(t *testing.T) {
	t.Parallel()
	reasons := []reset.Refusal{{Code: "history", Message: "choose one that you have not had before"}}
	for name, c := range map[string]struct {
		fault func(m *directorytest.Memory) (end func())
		kind  reset.Kind
		act   string
	}{
		"its policy": {func(m *directorytest.Memory) func() { m.Refuse(reasons...); return func() { m.Refuse() } }, reset.Invalid, "reset.refused user:1 policy"},
		"it is down, and only then": {func(m *directorytest.Memory) func() {
			var up func()
			m.BeforeSet = func(context.Context) error { up = m.Down(); return nil }
			return func() { up(); m.BeforeSet = nil }
		}, reset.Unavailable, "reset.refused user:1 busy"},
		"nobody knows why": {func(m *directorytest.Memory) func() {
			m.BeforeSet = func(context.Context) error { return &reset.Unchanged{Cause: errors.New("secret of the house")} }
			return func() { m.BeforeSet = nil }
		}, reset.Internal, "reset.refused user:1 error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, m, told, id := distant(t)
			end := c.fault(m)
			e := fails(t, w, id, newPassword)
			end()
			if e.Kind != c.kind || strings.Contains(e.Message, "secret") || c.kind == reset.Invalid && !strings.Contains(e.Message, reasons[0].Message) {
				t.Errorf("the caller is told %+v", e)
			}
			same(t, "the link", opens(t, w, visitor, id), reset.Code(0))
			outcome(t, w, told, id, reset.StateOpen, nil, c.act)
			w.Clock.Advance(settleDue - time.Second)
			m.BeforeSet = func(context.Context) error { // the first claim's entry comes due during the second
				w.Clock.Advance(time.Second)
				w.WorkOutbox(t)
				return nil
			}
			if _, err := w.Service.Reset(t.Context(), visitor, id, newPassword); err != nil || !m.Verify(t, ada, newPassword) {
				t.Errorf("the link once that is over: %v", err)
			}
			w.WorkOutbox(t)
			after(t, w)
			outcome(t, w, told, id, reset.StateUsed, []reset.Matter{reset.MatterPassword}, "password.reset user:1 ok")
		})
	}
}

// Whoever is removed in that moment is not there any more.
func TestDistantUserIsGone(t *testing.T) {
	t.Parallel()
	w, m, told, id := distant(t)
	m.BeforeSet = func(context.Context) error { m.Remove(t, ada); return nil }
	refused(t, "the reset", fails(t, w, id, newPassword), reset.Unauthorized, reset.CodeInactive)
	same(t, "the link", opens(t, w, visitor, id), reset.CodeInactive)
	outcome(t, w, told, id, reset.StateOpen, nil, "reset.refused user:1 inactive")
}

// A newer link, or an operator, ends also the link that is being used: given back, it is closed.
func TestReleasedAfterItsEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(ctx context.Context, w *servicetest.World) error{
		"a newer link": func(ctx context.Context, w *servicetest.World) error {
			return w.Courier.MailLink(ctx, reset.LinkEntry{Address: ada}, false)
		},
		"a revoke": func(ctx context.Context, w *servicetest.World) error {
			list, err := w.Store.Requests(ctx, 1)
			must(t, err)
			return w.Store.Update(ctx, func(tx reset.Tx) error { return tx.CloseRequest(ctx, list[0].Ref, w.Clock.Now()) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, m, told, id := distant(t)
			m.Refuse(reset.Refusal{Code: "history", Message: "another one"})
			m.BeforeSet = func(ctx context.Context) error { return end(ctx, w) }
			refused(t, "the reset", fails(t, w, id, newPassword), reset.Invalid, reset.CodeBadValue)
			same(t, "the link", opens(t, w, visitor, id), reset.CodeInactive)
			outcome(t, w, told, id, reset.StateClosed, nil, "reset.refused user:1 policy")
			if links := w.Links(); len(links) == 2 {
				same(t, "the newer link", opens(t, w, visitor, servicetest.ID(links[1])), reset.Code(0))
			}
		})
	}
}

// A process that dies between the phases leaves a claim that opens nothing, and that the outbox settles.
func TestDiesBetweenThePhases(t *testing.T) {
	t.Parallel()
	for name, changed := range map[string]bool{"before the change": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, m, told, id := distant(t)
			die := func(context.Context) error { panic("the process dies") }
			if changed {
				m.AfterSet = die
			} else {
				m.BeforeSet = die
			}
			func() {
				defer func() { _ = recover() }()
				fails(t, w, id, newPassword)
			}()
			same(t, "the link", opens(t, w, visitor, id), reset.CodeInactive)
			claimed := w.Clock.Now()
			w.Clock.Advance(30 * time.Second)
			w.WorkOutbox(t)
			same(t, "notices while whoever claimed it may still be at it", len(w.Notices()), 0)
			entries := w.Pending()
			after(t, w)
			outcome(t, w, told, id, reset.StateUsed, []reset.Matter{reset.MatterUnsure}, "password.reset user:1 unsure")
			same(t, "when it may have been changed", w.Notices()[0].ChangedAt, claimed)
			for _, e := range entries { // once more, as an outbox may
				must(t, w.Work(t.Context(), e))
			}
			w.WorkOutbox(t)
			same(t, "notices after all", len(w.Notices()), 1)
			same(t, "whether the new password holds", m.Verify(t, ada, newPassword), changed)
			refused(t, "the link", fails(t, w, id, newPassword), reset.Unauthorized, reset.CodeInactive)
		})
	}
}

// Whoever comes back after the outbox has settled the claim changes nothing about that: one notice, one end.
func TestTooLateToSettle(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{
		"changed": nil, "unsure": errors.New("lost"), "refused": &reset.Unchanged{Cause: reset.Refused([]reset.Refusal{{Code: "x", Message: "no"}})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, m, told, id := distant(t)
			m.AfterSet = func(context.Context) error {
				after(t, w)
				return fault
			}
			e := fails(t, w, id, newPassword)
			_, unsure := errors.AsType[*reset.Unsure](e)
			same(t, "whether the caller is told that nobody knows", unsure, name != "refused")
			after(t, w)
			act := "password.reset user:1 unsure"
			if name == "refused" {
				act = "reset.refused user:1 policy"
			}
			outcome(t, w, told, id, reset.StateUsed, []reset.Matter{reset.MatterUnsure}, act)
		})
	}
}

// A caller who goes away in between stops nothing.
func TestCallerLeavesBetweenThePhases(t *testing.T) {
	t.Parallel()
	w, m, told, id := distant(t)
	ctx, leave := context.WithCancel(t.Context())
	m.BeforeSet = func(context.Context) error { leave(); return nil }
	if _, err := w.Service.Reset(ctx, visitor, id, newPassword); err != nil {
		t.Errorf("the reset: %v", err)
	}
	w.WorkOutbox(t)
	w.WorkOutbox(t)
	outcome(t, w, told, id, reset.StateUsed, []reset.Matter{reset.MatterPassword}, "password.reset user:1 ok")
}

// If the store is away for the second phase, the outbox does it; before the first, nothing happens.
func TestStoreAwayBetweenThePhases(t *testing.T) {
	t.Parallel()
	w, m, told, id := distant(t, servicetest.WithBusyTimeout(20*time.Millisecond))
	unlock := w.Lock(t)
	refused(t, "a reset without the store", fails(t, w, id, newPassword), reset.Unavailable, reset.CodeUnknown)
	unlock()
	same(t, "changes", m.Sets(), 0)
	m.AfterSet = func(context.Context) error { unlock = w.Lock(t); return nil }
	e := fails(t, w, id, newPassword)
	unlock()
	if _, ok := errors.AsType[*reset.Unsure](e); !ok {
		t.Errorf("the caller is told %v", e)
	}
	same(t, "the link", opens(t, w, visitor, id), reset.CodeInactive)
	after(t, w)
	outcome(t, w, told, id, reset.StateUsed, []reset.Matter{reset.MatterUnsure}, "password.reset user:1 unsure")
}

// An address that several users of a directory have is mailed to none of them, and the operator learns of it.
func TestAmbiguousAddress(t *testing.T) {
	t.Parallel()
	w, m, _, id := distant(t)
	m.Add(t, directorytest.User{Email: strings.ToUpper(ada)})
	before := len(w.Links())
	ask(t, w, ada)
	w.WorkOutbox(t)
	same(t, "mails", len(w.Links()), before)
	acts := w.Acts(t)
	a, err := reset.ParseAddress(ada)
	must(t, err)
	same(t, "the trail's last word", acts[len(acts)-1], "mail.skipped "+servicetest.AddressNames.Name(a)+" ambiguous")
	same(t, "the link of before", opens(t, w, visitor, id), reset.Code(0))
}

// A directory that never answers is waited for no longer than callers can wait.
func TestLookingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := reset.NewService(reset.Config{}, oneRequest{}, endless{}, nil, throttle.Off{}, time.Now, nil)
		id := reset.NewID().Reveal()
		for what, call := range map[string]func() error{
			"Look":       func() error { _, err := s.Look(t.Context(), nobody, id); return err },
			"LookCloser": func() error { _, err := s.LookCloser(t.Context(), nobody, id); return err },
			"Hint":       func() error { _, err := s.Hint(t.Context(), nobody, id, "x"); return err },
			"Reset":      func() error { _, err := s.Reset(t.Context(), nobody, id, "x"); return err },
		} {
			began := time.Now()
			refused(t, what, call(), reset.Unavailable, reset.CodeUnknown)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s took %v", what, took)
			}
		}
	})
}

// oneRequest is a store with a request for whoever asks.
type oneRequest struct{ reset.Store }

func (oneRequest) RequestByDigest(context.Context, reset.Digest) (reset.Request, error) {
	return reset.Request{UserID: "1", State: reset.StateOpen, ExpiresAt: time.Now().Add(time.Hour)}, nil
}

// endless is a directory that never answers.
type endless struct{ reset.Directory }

func (endless) UserByID(ctx context.Context, _ string) (reset.User, error) {
	<-ctx.Done()
	return reset.User{}, ctx.Err()
}
