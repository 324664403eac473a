package reset_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// people adds one user of every kind and returns an address of each, an unknown one included.
func people(t testing.TB, w *servicetest.World) map[string]string {
	t.Helper()
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, "member@example.test", "", "Acme")
	w.AddUser(t, "several@example.test", "", "Acme", "Globex")
	w.AddUser(t, "suspended@example.test", "", "Initech")
	w.AddUser(t, "disabled@example.test", "")
	must(t, w.Users.Suspend(t.Context(), "Initech"))
	must(t, w.Users.Disable(t.Context(), "disabled@example.test"))
	return map[string]string{
		"known": ada, "member": "member@example.test", "several accounts": "several@example.test",
		"suspended": "suspended@example.test", "disabled": "disabled@example.test", "unknown": "nobody@example.test",
	}
}

// By construction, and not by an added delay, a known and an unknown address cost the same.
func TestAskLooksNobodyUp(t *testing.T) {
	t.Parallel()
	d := &directory{before: func(context.Context) error { t.Error("asking looked somebody up"); return nil }}
	w := servicetest.New(t, behind(d), servicetest.WithThrottle(),
		through(func(context.Context, reset.LinkMail) error { t.Error("asking sent a mail"); return nil }))
	kinds := people(t, w)
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	for kind, address := range kinds {
		if err := w.Service.Ask(t.Context(), visitor, []string{address}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		w.Clock.Advance(time.Hour)
		if _, err := w.Service.AskBulk(t.Context(), admin, []string{address}); err != nil {
			t.Errorf("%s, in bulk: %v", kind, err)
		}
	}
	same(t, "entries in the outbox", len(w.Pending()), 2*len(kinds))
}

// Whoever is asked for, the answer is nil and one entry with the address as it was typed.
// Until a link is used nothing about anybody changes, whatever is asked for and mailed.
func TestAskingChangesNobody(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	kinds := people(t, w)
	before := usersIn(w.Dump(t))
	for range 3 {
		for _, address := range kinds {
			ask(t, w, address)
		}
		w.WorkOutbox(t)
		w.Clock.Advance(time.Minute)
	}
	if len(w.Links()) == 0 {
		t.Fatal("nobody was mailed")
	}
	for _, m := range w.Links() {
		opens(t, w, visitor, servicetest.ID(m))
	}
	same(t, "the users", usersIn(w.Dump(t)), before)
}

func TestAskAnswersAlike(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	for kind, address := range people(t, w) {
		w.Clock.Advance(time.Hour)
		for _, over := range []bool{false, true} {
			if err := w.Service.Ask(t.Context(), visitor, []string{address}); err != nil {
				t.Errorf("%s, over its limit: %v: %v", kind, over, err)
			}
			same(t, fmt.Sprintf("the outbox after asking for %s, over its limit: %v", kind, over), w.Pending(), []reset.Entry{reset.LinkEntry{Address: address}})
			mails := len(w.Links())
			w.WorkOutbox(t)
			if over {
				same(t, "mails over the limit", len(w.Links())-mails, 0)
			}
		}
	}
}

func TestAskRefusesWhatIsNoListOfAddresses(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("u%d@example.test", i)
	}
	before := w.Dump(t)
	for name, c := range map[string]struct {
		list  []string
		entry int
	}{
		"nothing": {nil, 0}, "an empty list": {[]string{}, 0},
		"an empty entry": {[]string{""}, 1}, "a bad entry among good ones": {[]string{ada, bob, ada + "\ncc: eve@evil.test", bob}, 3},
		"two in one": {[]string{ada + ",eve@evil.test"}, 1},
	} {
		e := refused(t, name, w.Service.Ask(t.Context(), visitor, c.list), reset.Invalid, reset.CodeBadValue)
		if strings.Contains(e.Error(), "evil") {
			t.Errorf("%s: the message repeats the address: %s", name, e)
		}
		if c.entry > 0 {
			same(t, name+": details", e.Details, map[string]any{"email": map[string]any{"entry": c.entry}})
		}
	}
	refused(t, "11 entries", w.Service.Ask(t.Context(), visitor, many[:11]), reset.Invalid, reset.CodeRestriction)
	same(t, "the outbox", w.Pending(), []reset.Entry(nil))
	same(t, "the database", w.Dump(t), before)
	must(t, w.Service.Ask(t.Context(), visitor, many[:10]))
	same(t, "10 are taken", len(w.Pending()), 10)
}

// Seven spellings of one mailbox are one request; spellings of others are others'.
func TestAskTakesEachMailboxOnce(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	var list []string
	for i := range 7 {
		spelled := []byte(ada)
		for j := range 6 {
			if i>>j&1 == 1 {
				k := []int{0, 1, 2, 4, 5, 6}[j]
				spelled[k] -= 'a' - 'A'
			}
		}
		list = append(list, string(spelled))
	}
	list = append(list, "a.da@example.test", "ada+x@example.test", "adà@example.test")
	ask(t, w, list...)
	same(t, "entries", w.Pending(), []reset.Entry{
		reset.LinkEntry{Address: ada},
		reset.LinkEntry{Address: "a.da@example.test"},
		reset.LinkEntry{Address: "ada+x@example.test"},
		reset.LinkEntry{Address: "adà@example.test"},
	})
	w.WorkOutbox(t)
	same(t, "mails", len(w.Links()), 1)
}

// A list is so many separate requests, each mailed to its own user alone (CVE-2023-7028).
func TestAskForTwoMailsEachTheirOwn(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	a, b := w.AddUser(t, ada, "Ada"), w.AddUser(t, bob, "Bob")
	ask(t, w, ada, "attacker@evil.test", bob)
	w.WorkOutbox(t)
	links := w.Links()
	if len(links) != 2 {
		t.Fatalf("%d mails, want 2", len(links))
	}
	same(t, "the first", links[0].User, a)
	same(t, "the second", links[1].User, b)
	if links[0].Link == links[1].Link {
		t.Error("both have one link")
	}
	same(t, "the users behind the requests", requestsOf(t, w, reset.StateOpen), []string{b.ID, a.ID})
}

// requestsOf returns the users of the requests in that state, newest first.
func requestsOf(t testing.TB, w *servicetest.World, s reset.State) (users []string) {
	t.Helper()
	list, err := w.Store.Requests(t.Context(), 1000)
	must(t, err)
	for _, r := range list {
		if r.State == s {
			users = append(users, r.UserID)
		}
	}
	return users
}

// The mail goes to the address in the directory, never to the one that was typed (CVE-2019-19844).
func TestMailGoesToTheDirectorysSpelling(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, "Ada.L@Exämple.test", "Ada")
	ask(t, w, "aDA.l@XN--EXMPLE-cua.TEST")
	w.WorkOutbox(t)
	if len(w.Links()) != 1 {
		t.Fatalf("%d mails, want 1", len(w.Links()))
	}
	same(t, "mailed to", w.Links()[0].User.Email.Raw(), "Ada.L@Exämple.test")
	ask(t, w, "ada.l@examplé.test", "ada.l@example.test", "ad\u0430.l@exämple.test")
	w.WorkOutbox(t)
	same(t, "mails for what looks alike", len(w.Links())-1, 0)
}

// A mailbox cannot be flooded: 10,000 asks from 1,000 clients lead to one mail a
// minute and three in any hour, at once or over a day. Nobody is told.
func TestAddressIsThrottledInSilence(t *testing.T) {
	t.Parallel()
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		w := servicetest.New(t, servicetest.WithThrottle())
		w.AddUser(t, ada, "Ada")
		flood := func(asks int) (mails int) {
			var wg sync.WaitGroup
			for i := range 100 {
				wg.Go(func() {
					for j := range asks / 100 {
						c := reset.Caller{Client: fmt.Sprint("client", (i*asks/100+j)%1000)}
						if err := w.Service.Ask(t.Context(), c, []string{ada}); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			return mailed(t, w)
		}
		var mails []int
		for range 4 { // no more at a time than all callers together may ask for in a minute
			mails = append(mails, flood(2500))
			w.Clock.Advance(time.Minute)
		}
		same(t, "mails in four minutes", mails, []int{1, 1, 1, 0})
	})
	t.Run("over a day", func(t *testing.T) {
		t.Parallel()
		w := servicetest.New(t, servicetest.WithThrottle())
		w.AddUser(t, ada, "Ada")
		const step = 30 * time.Second
		var mails []time.Duration
		for i := range int(24 * time.Hour / step) {
			ask(t, w, ada)
			if mailed(t, w) > 0 {
				mails = append(mails, time.Duration(i)*step)
			}
			w.Clock.Advance(step)
		}
		same(t, "mails in a day", len(mails), 3*24)
		for i := range mails {
			if i >= 1 && mails[i]-mails[i-1] < time.Minute || i >= 3 && mails[i]-mails[i-3] < time.Hour {
				t.Fatalf("a mail too many at %v, after %v", mails[i], mails[max(0, i-3):i])
			}
		}
	})
}

// An impatient person is not punished: asks that were passed over in the first
// minute do not use up the hour's mails, and another person's address is another limit.
func TestThrottledAddressComesBack(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	for range 5 {
		ask(t, w, ada)
	}
	ask(t, w, bob)
	same(t, "mails in the first minute", mailed(t, w), 2)
	for i := range 2 {
		w.Clock.Advance(time.Minute)
		ask(t, w, "ADA@example.test") // another spelling, the same limit
		same(t, fmt.Sprintf("a minute later, %d", i), mailed(t, w), 1)
	}
	w.Clock.Advance(time.Minute)
	ask(t, w, ada)
	same(t, "a fourth within the hour", mailed(t, w), 0)
	w.Clock.Advance(time.Hour)
	ask(t, w, ada)
	same(t, "an hour later", mailed(t, w), 1)
}

// mailed works the outbox and says how many links were mailed.
func mailed(t *testing.T, w *servicetest.World) int {
	t.Helper()
	before := len(w.Links())
	w.WorkOutbox(t)
	return len(w.Links()) - before
}

// A mail is counted when it is first worked on, and not again however often it is
// tried: a mail server that is down uses up nobody's limit, and one that
// comes back is not a way around it.
func TestAMailIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	w.AddUser(t, ada, "Ada")
	w.FailMail(errNotNow)
	ask(t, w, ada, bob)
	entry := w.TakeOutbox()[0].(reset.LinkEntry)
	for try := range 5 {
		if err := w.Courier.MailLink(t.Context(), entry, try > 0); !errors.Is(err, errNotNow) {
			t.Fatalf("try %d: %v", try, err)
		}
	}
	w.FailMail(nil)
	must(t, w.Courier.MailLink(t.Context(), entry, true))
	same(t, "mails", len(w.Links()), 1)
	w.Clock.Advance(time.Minute)
	ask(t, w, ada)
	same(t, "a minute later", mailed(t, w), 1)
}

func TestAskIsThrottledPerClient(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	askAs := func(c reset.Caller, i int) error {
		return w.Service.Ask(t.Context(), c, []string{fmt.Sprintf("u%d@example.test", i)})
	}
	for i := range 30 {
		must(t, askAs(visitor, i))
	}
	w.TakeOutbox()
	e := refused(t, "the 31st in a minute", askAs(visitor, 30), reset.Throttled, reset.CodeRestriction)
	same(t, "the outbox", len(w.Pending()), 0)
	must(t, askAs(reset.Caller{Client: "192.0.2.8"}, 30))
	same(t, "the refused one was not counted against its address", w.TakeOutbox(), []reset.Entry{reset.LinkEntry{Address: "u30@example.test"}})
	w.Clock.Advance(e.RetryAfter - time.Millisecond)
	again := refused(t, "a millisecond too soon", askAs(visitor, 31), reset.Throttled, reset.CodeRestriction)
	same(t, "to wait", again.RetryAfter, time.Millisecond)
	w.Clock.Advance(time.Millisecond)
	must(t, askAs(visitor, 31))
}

// What was not committed was not asked: no entry, no limit used, and the caller is told to come back.
func TestAskWhileTheDatabaseIsLocked(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle(), servicetest.WithBusyTimeout(20*time.Millisecond))
	before := w.Dump(t)
	unlock := w.Lock(t)
	refused(t, "locked", w.Service.Ask(t.Context(), visitor, []string{ada}), reset.Unavailable, reset.CodeUnknown)
	unlock()
	same(t, "the database", w.Dump(t), before)
	same(t, "the outbox", len(w.Pending()), 0)
	must(t, w.Service.Ask(t.Context(), visitor, []string{ada}))
	same(t, "the outbox after it was unlocked", len(w.Pending()), 1)
}
