package servicetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// elsewhere makes a World whose users live in a directory that no transaction reaches.
func elsewhere(open func(...servicetest.Option) *servicetest.World) (*servicetest.World, *directorytest.Memory) {
	m := &directorytest.Memory{}
	return open(servicetest.WithDirectory(func(reset.Directory) reset.Directory { return m })), m
}

// mailedElsewhere adds a user and answers the id of a link.
func mailedElsewhere(t *testing.T, w *servicetest.World, m *directorytest.Memory, n int) (email, id string) {
	t.Helper()
	email = fmt.Sprintf("user%d@example.test", n)
	m.Add(t, directorytest.User{Email: email, Password: oldPassword})
	must(t, w.Courier.MailLink(t.Context(), reset.LinkEntry{Address: email}, false))
	links := w.Links()
	return email, servicetest.ID(links[len(links)-1])
}

// noticesIn counts the notices among entries, by what they tell of.
func noticesIn(entries []reset.Entry) map[reset.Matter]int {
	n := map[reset.Matter]int{}
	for _, e := range entries {
		if notice, ok := e.(reset.NoticeEntry); ok {
			n[notice.Matter]++
		}
	}
	return n
}

// TestTwentyResetsElsewhere: of twenty at once with one id one changes the password; the
// others never reach the directory, whether that one succeeds or is refused or nobody knows.
func TestTwentyResetsElsewhere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, open func(...servicetest.Option) *servicetest.World) {
		const callers = 20
		w, m := elsewhere(open)
		for round := range 9 {
			var (
				email, id   = mailedElsewhere(t, w, m, round)
				before      = m.Sets()
				won, unsure atomic.Int64
				which       atomic.Int64
				fns         []func()
			)
			m.AfterSet = nil
			if round%3 == 2 {
				m.AfterSet = func(context.Context) error { return errors.New("the answer was lost") }
			}
			password := func(i int) string { return fmt.Sprintf("the password of caller %d", i) }
			for i := range callers {
				fns = append(fns, func() {
					_, err := w.Service.Reset(t.Context(), visitor, id, password(i))
					_, lost := errors.AsType[*reset.Unsure](err)
					switch e := reset.AsError(err); {
					case err == nil:
						won.Add(1)
						which.Store(int64(i))
					case lost:
						unsure.Add(1)
						which.Store(int64(i))
					case e.Kind != reset.Unauthorized || e.Code != reset.CodeInactive:
						t.Errorf("a caller who lost was told %v", err)
					}
				})
			}
			atOnce(fns...)
			same(t, "changes that the directory saw", m.Sets()-before, 1)
			want := map[reset.Matter]int{reset.MatterPassword: 1}
			if round%3 == 2 {
				want = map[reset.Matter]int{reset.MatterUnsure: 1}
			}
			same(t, "resets that succeeded, and those of which nobody knows", []int64{won.Load(), unsure.Load()}, []int64{int64(want[reset.MatterPassword]), int64(want[reset.MatterUnsure])})
			same(t, "whether the winner's password holds", m.Verify(t, email, password(int(which.Load()))), true)
			same(t, "notices", noticesIn(w.TakeOutbox()), want)
		}
	})
}

// TestSweeperAgainstSettle: the outbox may find a claim due in the very moment in which whoever made it
// comes back. One of them settles or gives it back, and there is one notice at the most.
func TestSweeperAgainstSettle(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, open func(...servicetest.Option) *servicetest.World) {
		w, m := elsewhere(open)
		for round := range 30 {
			_, id := mailedElsewhere(t, w, m, round)
			var claim reset.SettleEntry
			at, swept := make(chan struct{}), make(chan error)
			refused := round%3 == 2
			m.AfterSet = func(context.Context) error {
				for _, e := range w.Pending() {
					if c, ok := e.(reset.SettleEntry); ok {
						claim = c
					}
				}
				close(at)
				if refused {
					return &reset.Unchanged{Cause: reset.Refused([]reset.Refusal{{Code: "x", Message: "no"}})}
				}
				return nil
			}
			go func() {
				<-at
				swept <- w.Work(context.WithoutCancel(t.Context()), claim)
			}()
			_, err := w.Service.Reset(t.Context(), visitor, id, "a password of many words")
			must(t, <-swept)
			parsed, _ := reset.ParseID(id)
			r, lookErr := w.Store.RequestByDigest(t.Context(), parsed.Digest())
			must(t, lookErr)
			_, unsure := errors.AsType[*reset.Unsure](err)
			got := fmt.Sprint(r.State, " ", noticesIn(w.TakeOutbox()), " ", unsure)
			switch {
			case refused && (got == "open map[] false" || got == "used map[unsure:1] false"):
			case !refused && (got == "used map[:1] false" && err == nil || got == "used map[unsure:1] true"):
			default:
				t.Errorf("round %d ended as %q, %v", round, got, err)
			}
		}
	})
}
