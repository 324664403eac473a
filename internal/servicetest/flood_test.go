package servicetest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// TestMailboxFlood: ten thousand requests for one address (on SQLite), from a thousand
// clients that are each within their own limit, within an hour: the mailbox gets
// three mails, and no two within a minute. Nobody is refused, so nobody learns of
// it; the old password works all the while, and so does asking for somebody else.
func TestMailboxFlood(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, open func(...servicetest.Option) *servicetest.World) {
		const clients, bob = 1000, "bob@example.test"
		each := 10
		if strings.HasSuffix(t.Name(), "PostgreSQL") {
			each = 4 // four thousand: it commits each by itself, and the counting is no other
		}
		record := &postmarks{}
		w := open(servicetest.WithThrottle(), servicetest.WithMailer(record.stand))
		record.now = w.Clock.Now
		ada := w.AddUser(t, ada, "Ada")
		must(t, w.SetPassword(t.Context(), ada, oldPassword))
		w.AddUser(t, bob, "Bob")
		for turn := range each {
			parallel(clients, func(i int) {
				client := reset.Caller{Client: fmt.Sprintf("2001:db8:0:%x::/64", i)}
				if err := w.Service.Ask(t.Context(), client, []string{spelling(ada, i)}); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			})
			entries := w.TakeOutbox()
			same(t, "entries", len(entries), clients)
			parallel(len(entries), func(i int) {
				if err := w.Work(t.Context(), entries[i]); err != nil {
					t.Error(err)
				}
			})
			same(t, "whether the old password works", w.VerifyPassword(t, ada.Email.Raw(), oldPassword), true)
			if turn == each/2 {
				mailed(t, w, reset.User{Email: address(t, bob)})
			}
			w.Clock.Advance(59 * time.Minute / time.Duration(each))
		}
		at := record.at(ada.Email.Key())
		same(t, "mails to the flooded address", len(at), 3)
		for i, when := range at[1:] {
			if gap := when.Sub(at[i]); gap < time.Minute {
				t.Errorf("two mails within %v", gap)
			}
		}
		same(t, "mails to somebody else", len(record.at(bob)), 1)
		same(t, "whether her newest link works", looks(t, w, ada), true)
		w.Clock.Advance(time.Minute)
		w.MailedID(t, ada.Email.Raw()) // an hour after the first there is room again
	})
}

// spelling is the address in one of its spellings.
func spelling(u reset.User, i int) string {
	s := []byte(u.Email.Raw())
	for n := range s {
		if 'a' <= s[n] && s[n] <= 'z' && i>>n&1 == 1 {
			s[n] -= 'a' - 'A'
		}
	}
	return string(s)
}

func address(t *testing.T, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	must(t, err)
	return a
}

// looks reports whether the newest link to a user opens its request.
func looks(t *testing.T, w *servicetest.World, u reset.User) (ok bool) {
	t.Helper()
	for _, m := range w.Links() {
		if m.User.Email.Key() == u.Email.Key() {
			_, err := w.Service.Look(t.Context(), visitor, servicetest.ID(m))
			ok = err == nil
		}
	}
	return ok
}

// parallel calls fn with 0 to n-1, up to 64 at a time.
func parallel(n int, fn func(i int)) {
	var wg sync.WaitGroup
	room := make(chan struct{}, 64)
	for i := range n {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			fn(i)
		})
	}
	wg.Wait()
}

// postmarks notes when each mail with a link was sent, and lets it through.
type postmarks struct {
	reset.Mailer
	now  reset.Clock
	mu   sync.Mutex
	sent map[string][]time.Time
}

func (p *postmarks) stand(inner reset.Mailer) reset.Mailer {
	p.Mailer, p.sent = inner, make(map[string][]time.Time)
	return p
}

func (p *postmarks) SendLink(ctx context.Context, m reset.LinkMail) error {
	p.mu.Lock()
	p.sent[m.User.Email.Key()] = append(p.sent[m.User.Email.Key()], p.now())
	p.mu.Unlock()
	return p.Mailer.SendLink(ctx, m)
}

func (p *postmarks) at(key string) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent[key]
}
