package servicetest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

var (
	visitor = reset.Caller{Client: "192.0.2.7"}
	ttl     = time.Hour // of links in a World
)

// TestSixteenResetsOfOneID: of sixteen at once, each with a password of its own, one succeeds, and its password holds.
func TestSixteenResetsOfOneID(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, open func(...servicetest.Option) *servicetest.World) {
		const rounds, callers = 25, 16
		w := open(servicetest.WithRealOutbox())
		for round := range rounds {
			u, id := newcomer(t, w, round)
			var (
				won   atomic.Int64
				which atomic.Int64
				fns   []func()
			)
			password := func(i int) string { return fmt.Sprintf("the password of caller %d", i) }
			for i := range callers {
				fns = append(fns, func() {
					_, err := w.Service.Reset(t.Context(), visitor, id, password(i))
					if err == nil {
						won.Add(1)
						which.Store(int64(i))
						return
					}
					if e := reset.AsError(err); e.Kind != reset.Unauthorized || e.Code != reset.CodeInactive {
						t.Errorf("a caller who lost was told %v", err)
					}
				})
			}
			atOnce(fns...)
			same(t, "resets that succeeded", won.Load(), int64(1))
			same(t, "whether the winner's password holds", w.VerifyPassword(t, u.Email.Raw(), password(int(which.Load()))), true)
			same(t, "notices", notices(t, w, u.ID), 1)
		}
	})
}

// newcomer adds a user with a password and answers the id of a link to reset it with.
func newcomer(t *testing.T, w *servicetest.World, n int) (reset.User, string) {
	t.Helper()
	u := w.AddUser(t, fmt.Sprintf("user%d@example.test", n), "", fmt.Sprintf("Account %d", n))
	must(t, w.SetPassword(t.Context(), u, oldPassword))
	return u, mailed(t, w, u)
}

// mailed mints a request for the user and answers its id.
func mailed(t *testing.T, w *servicetest.World, u reset.User) string {
	t.Helper()
	must(t, w.Courier.MailLink(t.Context(), reset.LinkEntry{Address: u.Email.Raw()}, false))
	links := w.Links()
	return servicetest.ID(links[len(links)-1])
}

// rivals are what may happen to a link in the moment in which it is used.
var rivals = map[string]struct {
	act func(ctx context.Context, w *servicetest.World, u reset.User) error
	// lost is what the reset is told if the other one was faster.
	lost reset.Code
	// after is the state of the request then; empty: it is gone.
	after reset.State
}{
	"a revoke": {func(ctx context.Context, w *servicetest.World, u reset.User) error {
		list, err := w.Store.Requests(ctx, 1)
		if err != nil {
			return err
		}
		err = w.Store.Update(ctx, func(tx reset.Tx) error { return tx.CloseRequest(ctx, list[0].Ref, w.Clock.Now()) })
		if errors.Is(err, reset.ErrNoRequest) { // as the command says, when it was used before
			return nil
		}
		return err
	}, reset.CodeInactive, reset.StateClosed},
	"its expiry": {func(_ context.Context, w *servicetest.World, _ reset.User) error {
		w.Clock.Advance(ttl)
		return nil
	}, reset.CodeExpired, reset.StateOpen},
	"a disable": {func(ctx context.Context, w *servicetest.World, u reset.User) error {
		return w.Users.Disable(ctx, u.Email.Raw())
	}, reset.CodeInactive, reset.StateClosed},
	"a suspension": {func(ctx context.Context, w *servicetest.World, u reset.User) error {
		return w.Users.Suspend(ctx, u.Accounts[0].Name)
	}, reset.CodeInactive, reset.StateClosed},
	"a second request": {func(ctx context.Context, w *servicetest.World, u reset.User) error {
		return w.Courier.MailLink(ctx, reset.LinkEntry{Address: u.Email.Raw()}, false)
	}, reset.CodeInactive, reset.StateClosed},
	"another address": {func(ctx context.Context, w *servicetest.World, u reset.User) error {
		return w.Users.ChangeAddress(ctx, u.Email.Raw(), "new."+u.Email.Raw())
	}, reset.CodeInactive, reset.StateClosed},
	"a removal": {func(ctx context.Context, w *servicetest.World, u reset.User) error {
		return w.Users.Remove(ctx, u.Email.Raw())
	}, reset.CodeInactive, ""},
}

// TestResetAgainstWhatEndsItsLink: a reset whose link ends in that moment either
// succeeds whole, before it, or changes nothing.
func TestResetAgainstWhatEndsItsLink(t *testing.T) {
	t.Parallel()
	for name := range rivals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, open func(...servicetest.Option) *servicetest.World) {
				againstRival(t, name, open)
			})
		})
	}
}

// againstRival lets them compete until each has won a few times: in turns the
// one, the other and nobody gets a start of an instant.
func againstRival(t *testing.T, name string, open func(...servicetest.Option) *servicetest.World) {
	t.Helper()
	const enough, most = 8, 600
	hashing := &gate{}
	w := open(servicetest.WithRealOutbox(), servicetest.WithDirectory(hashing.stand))
	won, lost := 0, 0
	for round := 0; (won < enough || lost < enough) && round < most; round++ {
		u, id := newcomer(t, w, round)
		hashing.arm()
		done := make(chan error, 1)
		go func() {
			_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
			done <- err
		}()
		<-hashing.reached // what is left of the reset is its transaction
		var err, rivalErr error
		atOnce(
			func() { pause(round%3 == 1); close(hashing.released); err = <-done },
			func() { pause(round%3 == 2); rivalErr = rivals[name].act(t.Context(), w, u) },
		)
		must(t, rivalErr)
		if settle(t, w, name, u, id, err) {
			won++
		} else {
			lost++
		}
	}
	if won < enough || lost < enough {
		t.Errorf("the reset won %d times and lost %d times; that is no race", won, lost)
	}
}

const newPassword = "a quiet harbour in november"

// pause lets others go first, for an instant.
func pause(wait bool) {
	for range 50 {
		if wait {
			runtime.Gosched()
		}
	}
}

// settle checks that the database is as the reset's answer says, and reports whether it succeeded.
func settle(t *testing.T, w *servicetest.World, name string, u reset.User, id string, err error) bool {
	t.Helper()
	rival := rivals[name]
	parsed, _ := reset.ParseID(id)
	request, requestErr := w.Store.RequestByDigest(t.Context(), parsed.Digest())
	hash, hashErr := w.Store.PasswordHash(t.Context(), u.ID)
	switch e := reset.AsError(err); {
	case err == nil && rival.after == "": // it succeeded, and then the user was removed
		if !errors.Is(hashErr, reset.ErrNoUser) || !errors.Is(requestErr, reset.ErrNoRequest) {
			t.Fatalf("after a removal there is %v, %v", hashErr, requestErr)
		}
	case err == nil:
		must(t, errors.Join(requestErr, hashErr))
		same(t, "the request that was used", request.State, reset.StateUsed)
		same(t, "the password", hash, "$plain$"+newPassword)
		same(t, "notices", notices(t, w, u.ID), 1)
	case e.Kind != reset.Unauthorized || e.Code != rival.lost:
		t.Fatalf("a reset that lost was told %v, want code %d", err, rival.lost)
	default:
		if rival.after != "" {
			must(t, errors.Join(requestErr, hashErr))
			same(t, "the password", hash, "$plain$"+oldPassword)
		}
		same(t, "the request that was not used", request.State, rival.after)
		same(t, "notices", notices(t, w, u.ID), 0)
	}
	if _, err := w.Service.Reset(t.Context(), visitor, id, "one more password for it"); reset.AsError(err).Kind != reset.Unauthorized {
		t.Fatalf("once more with the same link: %v", err)
	}
	if name == "a second request" { // whoever was faster, the newer link works
		links := w.Links()
		_, err := w.Service.Look(t.Context(), visitor, servicetest.ID(links[len(links)-1]))
		must(t, err)
	}
	return err == nil
}

// gate stands in front of a directory and holds up what prepares a password while it is armed.
type gate struct {
	reset.Directory
	reached, released chan struct{}
}

func (g *gate) stand(inner reset.Directory) reset.Directory {
	g.Directory = inner
	return g
}

func (g *gate) arm() { g.reached, g.released = make(chan struct{}), make(chan struct{}) }

func (g *gate) Prepare(ctx context.Context, u reset.User, password string, still func(context.Context) error) (reset.Change, error) {
	c, err := g.Directory.Prepare(ctx, u, password, still)
	select {
	case <-g.released: // a later call
	default:
		close(g.reached)
		<-g.released
	}
	return c, err
}

// TestMintAgainstWhatEndsLinks: whatever ends a user's links in the moment in
// which one more is minted ends that one too, or was faster than the asking.
func TestMintAgainstWhatEndsLinks(t *testing.T) {
	t.Parallel()
	undo := map[string]func(ctx context.Context, w *servicetest.World, u reset.User) error{
		"a disable": func(ctx context.Context, w *servicetest.World, u reset.User) error {
			return w.Users.Enable(ctx, u.Email.Raw())
		},
		"a suspension": func(ctx context.Context, w *servicetest.World, u reset.User) error {
			return w.Users.Resume(ctx, u.Accounts[0].Name)
		},
		"another address": func(context.Context, *servicetest.World, reset.User) error { return nil },
	}
	for name := range undo {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, open func(...servicetest.Option) *servicetest.World) {
				const rounds = 60
				w := open(servicetest.WithRealOutbox())
				for round := range rounds {
					u := w.AddUser(t, fmt.Sprintf("user%d@example.test", round), "", fmt.Sprintf("Account %d", round))
					var minted, ended error
					atOnce(
						func() {
							pause(round%3 == 1)
							minted = w.Courier.MailLink(t.Context(), reset.LinkEntry{Address: u.Email.Raw()}, false)
						},
						func() { pause(round%3 == 2); ended = rivals[name].act(t.Context(), w, u) },
					)
					must(t, errors.Join(minted, ended))
					must(t, undo[name](t.Context(), w, u))
					list, err := w.Store.Requests(t.Context(), 1)
					must(t, err)
					if len(list) > 0 && list[0].State == reset.StateOpen {
						t.Fatalf("round %d: a link opens something after %s", round, name)
					}
				}
			})
		})
	}
}
