package reset_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
	"github.com/sparekey/sparekey/internal/throttle"
)

var errNotNow = errors.New("the mail server is down")

func TestMailWithTheLink(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := w.AddUser(t, ada, "Ada", "Acme")
	ask(t, w, ada)
	same(t, "requests before the outbox is worked", requestsOf(t, w, reset.StateOpen), []string(nil))
	w.Clock.Advance(2 * time.Hour) // a link's life begins when it is mailed, not when it was asked for
	w.WorkOutbox(t)
	links := w.Links()
	if len(links) != 1 {
		t.Fatalf("%d mails, want 1", len(links))
	}
	id, ok := strings.CutPrefix(links[0].Link, servicetest.BaseURL+"/reset/")
	if !ok || !canonical(id) {
		t.Errorf("the link is %q", links[0].Link)
	}
	same(t, "the mail", links[0], reset.LinkMail{User: u, Link: links[0].Link, ExpiresAt: w.Clock.Now().Add(ttl), Brand: w.Brands.Default()})
	same(t, "the request", opens(t, w, visitor, id), reset.Code(0))
}

func TestNewerLinkKillsOlder(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	bobs := w.MailedID(t, bob)
	var ids []string
	for range 3 {
		ids = append(ids, w.MailedID(t, ada))
	}
	for i, want := range []reset.Code{reset.CodeInactive, reset.CodeInactive, 0} {
		same(t, fmt.Sprint("link ", i+1), opens(t, w, visitor, ids[i]), want)
	}
	_, err := w.Service.Reset(t.Context(), visitor, ids[1], newPassword)
	refused(t, "a reset with an older link", err, reset.Unauthorized, reset.CodeInactive)
	same(t, "another user's link", opens(t, w, visitor, bobs), reset.Code(0))
}

// Nobody is mailed who may not reset, and no request is made for them.
func TestNoMail(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	kinds := people(t, w)
	before := w.Dump(t)
	ask(t, w, kinds["unknown"], kinds["disabled"], kinds["suspended"])
	must(t, w.Work(t.Context(), reset.LinkEntry{Address: "not an address"})) // it can never become one
	w.WorkOutbox(t)
	same(t, "mails", len(w.Links()), 0)
	same(t, "the database", w.Dump(t), before)
}

// Links die when the user is disabled and do not come back; a new one works.
func TestDisabledUser(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	id, bobs := w.MailedID(t, ada), w.MailedID(t, bob)
	ask(t, w, ada) // still in the outbox when the user is disabled
	must(t, w.Users.Disable(t.Context(), ada))
	same(t, "a look", opens(t, w, visitor, id), reset.CodeInactive)
	_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	refused(t, "a reset", err, reset.Unauthorized, reset.CodeInactive)
	w.WorkOutbox(t)
	same(t, "mails", len(w.Links()), 2)
	must(t, w.Users.Enable(t.Context(), ada))
	same(t, "the old link once the user is enabled", opens(t, w, visitor, id), reset.CodeInactive)
	same(t, "another user's", opens(t, w, visitor, bobs), reset.Code(0))
	same(t, "a new one", opens(t, w, visitor, w.MailedID(t, ada)), reset.Code(0))
}

func TestSuspendedAccount(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada", "Acme")
	id := w.MailedID(t, ada)
	must(t, w.Users.Suspend(t.Context(), "Acme"))
	same(t, "a look", opens(t, w, visitor, id), reset.CodeInactive)
	_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	refused(t, "a reset", err, reset.Unauthorized, reset.CodeInactive)
	ask(t, w, ada)
	w.WorkOutbox(t)
	same(t, "mails", len(w.Links()), 1)
	must(t, w.Users.Resume(t.Context(), "Acme"))
	same(t, "the old link after the suspension", opens(t, w, visitor, id), reset.CodeInactive)
	same(t, "a new one", opens(t, w, visitor, w.MailedID(t, ada)), reset.Code(0))
}

func TestUserInTwoAccountsOneSuspended(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada", "Acme", "Globex")
	id := w.MailedID(t, ada)
	must(t, w.Users.Suspend(t.Context(), "Acme"))
	m, err := w.Service.Look(t.Context(), visitor, id)
	if err != nil || m.MultipleAccounts {
		t.Errorf("the link is answered %+v, %v; want open, and one account", m, err)
	}
	id = w.MailedID(t, ada)
	if _, err := w.Service.Reset(t.Context(), visitor, id, newPassword); err != nil {
		t.Errorf("a reset: %v", err)
	}
	id = w.MailedID(t, ada)
	must(t, w.Users.Suspend(t.Context(), "Globex"))
	same(t, "both suspended", opens(t, w, visitor, id), reset.CodeInactive)
}

// A mail that fails for now is minted afresh when it is tried again: the
// failed mail may have arrived all the same, and its link is dead then.
func TestMailThatFailsForNow(t *testing.T) {
	t.Parallel()
	var (
		down   = true
		minted []string
	)
	w := servicetest.New(t, through(func(_ context.Context, m reset.LinkMail) error {
		minted = append(minted, servicetest.ID(m))
		if down {
			return errNotNow // as when the line drops after DATA: nobody knows whether it arrived
		}
		return nil
	}))
	w.AddUser(t, ada, "Ada")
	ask(t, w, ada)
	entries := work(t, w)
	same(t, "entries to be tried again", entries, []reset.Entry{reset.LinkEntry{Address: ada}})
	same(t, "the link of the lost mail, until there is a newer one", opens(t, w, visitor, minted[0]), reset.Code(0))
	down = false
	must(t, w.Work(t.Context(), entries[0]))
	same(t, "mails", len(w.Links()), 1)
	if len(minted) != 2 || minted[0] == minted[1] {
		t.Fatal("the second attempt did not mint a link of its own")
	}
	same(t, "the link of the lost mail", opens(t, w, visitor, minted[0]), reset.CodeInactive)
	same(t, "the newest link", opens(t, w, visitor, minted[1]), reset.Code(0))
}

// What can never arrive is given up, counted and logged: the reply, not the address.
func TestMailThatCanNeverArrive(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := servicetest.New(t, servicetest.WithLog(slog.New(slog.NewJSONHandler(&log, nil))))
	u := w.AddUser(t, ada, "Ada Lovelace")
	w.FailMail(&reset.Undeliverable{Reply: 550, Cause: fmt.Errorf("550 <%s> unknown here", ada)})
	ask(t, w, ada)
	must(t, w.Store.Update(t.Context(), func(tx reset.Tx) error {
		return tx.Enqueue(t.Context(), reset.NoticeEntry{UserID: u.ID, ChangedAt: w.Clock.Now()})
	}))
	w.WorkOutbox(t)
	same(t, "entries left", len(w.Pending()), 0)
	var lines []map[string]any
	for line := range strings.Lines(log.String()) {
		var l map[string]any
		must(t, json.Unmarshal([]byte(line), &l))
		delete(l, "time")
		delete(l, "msg")
		lines = append(lines, l)
	}
	given := func(entry string) map[string]any {
		return map[string]any{"level": "WARN", "event": "mail.given_up", "entry": entry, "attempts": 1.0, "reply": 550.0}
	}
	same(t, "the log", lines, []map[string]any{given("link"), given("notice")})

	log.Reset()
	must(t, w.Courier.GiveUp(t.Context(), reset.LinkEntry{Address: ada}, 57, fmt.Errorf("%s: greylisted for a day", ada)))
	if s := log.String(); !strings.Contains(s, `"attempts":57`) || strings.Contains(s, "ada") {
		t.Errorf("given up after a day of tries: %s", s)
	}
}

// Mails for one user take turns, so that what arrives last was minted last;
// others do not wait for them.
func TestMailsForOneUserTakeTurns(t *testing.T) {
	t.Parallel()
	const others = 20
	var (
		sending = make(chan string, 2+others)
		gate    = make(chan struct{})
		atOnce  atomic.Int64
	)
	w := servicetest.New(t, through(func(_ context.Context, m reset.LinkMail) error {
		if m.User.Email.Key() == ada {
			if atOnce.Add(1) > 1 {
				t.Error("two mails for one user at once")
			}
			defer atOnce.Add(-1)
			sending <- servicetest.ID(m)
			<-gate
		}
		return nil
	}))
	w.AddUser(t, ada, "Ada")
	var wg sync.WaitGroup
	send := func(address string) {
		wg.Go(func() {
			if err := w.Work(t.Context(), reset.LinkEntry{Address: address}); err != nil {
				t.Error(err)
			}
		})
	}
	send(ada)
	first := <-sending
	send("ADA@example.test") // another spelling of the same
	waiting, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Work(waiting, reset.LinkEntry{Address: ada}); !errors.Is(err, context.Canceled) {
		t.Errorf("one whose time was over while it waited: %v", err)
	}
	// Two names may share a turn by chance, 1 in 256; twenty do not all share one.
	through := make(chan struct{}, others)
	for i := range others {
		address := fmt.Sprintf("other%d@example.test", i)
		w.AddUser(t, address, "")
		wg.Go(func() {
			if err := w.Work(t.Context(), reset.LinkEntry{Address: address}); err != nil {
				t.Error(err)
			}
			through <- struct{}{}
		})
	}
	<-through
	same(t, "the first link, as long as the second is not minted", opens(t, w, nobody, first), reset.Code(0))
	gate <- struct{}{}
	second := <-sending
	same(t, "the first link after the second was minted", opens(t, w, nobody, first), reset.CodeInactive)
	close(gate)
	wg.Wait()
	last := w.Links()
	for i := len(last) - 1; i >= 0; i-- {
		if last[i].User.Email.Key() == ada {
			same(t, "the mail that came last", servicetest.ID(last[i]), second)
			break
		}
	}
	same(t, "the second link", opens(t, w, nobody, second), reset.Code(0))
}

func TestNotice(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := w.AddUser(t, ada, "Ada")
	entry := reset.NoticeEntry{UserID: u.ID, ChangedAt: w.Clock.Now()}
	must(t, w.Work(t.Context(), reset.NoticeEntry{UserID: "gone", ChangedAt: w.Clock.Now()}))
	same(t, "notices to a user who is gone", len(w.Notices()), 0)
	w.FailMail(errNotNow)
	if err := w.Work(t.Context(), entry); !errors.Is(err, errNotNow) {
		t.Errorf("a notice that fails for now: %v", err)
	}
	w.FailMail(nil)
	must(t, w.Users.Disable(t.Context(), ada)) // a changed password is never silent
	must(t, w.Work(t.Context(), entry))
	same(t, "notices", len(w.Notices()), 1)
}

// What has ended is kept for a week, so that a late click is told the truth, and no longer.
func TestPurge(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	w.AddUser(t, ada, "Ada")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	jobID := bulk(t, w, admin, "nobody@example.test")
	w.WorkOutbox(t)
	id := w.MailedID(t, ada)
	opens(t, w, visitor, anID)
	users := usersIn(w.Dump(t))

	w.Clock.Advance(ttl + 7*24*time.Hour)
	must(t, w.Courier.Purge(t.Context()))
	same(t, "a link that expired a week ago", opens(t, w, visitor, id), reset.CodeExpired)
	_, err := w.Service.Job(t.Context(), admin, jobID)
	refused(t, "a job of more than a week ago", err, reset.NotFound, reset.CodeNotFound)

	w.Clock.Advance(time.Millisecond)
	newest := w.MailedID(t, ada)
	must(t, w.Courier.Purge(t.Context()))
	same(t, "a link that expired before that", opens(t, w, nobody, id), reset.CodeNotAuthorized)
	same(t, "an open one", opens(t, w, nobody, newest), reset.Code(0))
	w.Clock.Advance(30 * 24 * time.Hour)
	must(t, w.Courier.Purge(t.Context()))
	for line := range strings.Lines(w.Dump(t)) {
		if kind, _, _ := strings.Cut(line, " "); kind == "requests" || kind == "limits" || strings.HasPrefix(kind, "job") {
			t.Errorf("left after a month: %s", line)
		}
	}
	same(t, "the users", usersIn(w.Dump(t)), users)
}

// A mail whose account is over its limit waits and goes out later; the link that the user has stays good meanwhile.
func TestAMailWaitsWhileItsAccountIsOverItsLimit(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := w.AddUser(t, ada, "Ada", "Acme")
	id := w.MailedID(t, ada)
	limits := &fullAccount{Off: throttle.Off{}, account: u.Accounts[0].ID, wait: time.Minute}
	w.Courier.Limit(limits)
	ask(t, w, ada)
	entry := w.TakeOutbox()[0]
	before := w.Dump(t)
	if e := reset.AsError(w.Work(t.Context(), entry)); e.Kind != reset.Unavailable || e.RetryAfter != time.Minute {
		t.Fatalf("got %#v", e)
	}
	same(t, "the database", w.Dump(t), before)
	same(t, "mails", len(w.Links()), 1)
	same(t, "the link that was mailed before", opens(t, w, visitor, id), reset.Code(0))
	limits.wait = 0
	must(t, w.Work(t.Context(), entry))
	same(t, "mails then", len(w.Links()), 2)
}

// fullAccount is a throttle in which one account has no room.
type fullAccount struct {
	throttle.Off
	account int64
	wait    time.Duration
}

func (f *fullAccount) Account(_ context.Context, account int64, _ time.Time) (time.Duration, error) {
	if account != f.account {
		return 0, nil
	}
	return f.wait, nil
}

// However much has expired, a purge leaves nothing of it.
func TestPurgeOfALongBacklog(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	now := w.Clock.Now()
	must(t, w.Store.Update(t.Context(), func(tx reset.Tx) error {
		for i := range 2*reset.PurgeBatch + 1 {
			rate := reset.Rate{Count: 1, Per: time.Second}
			if _, err := tx.Take(t.Context(), fmt.Sprint("limit", i), 1, rate, now); err != nil {
				return err
			}
		}
		return nil
	}))
	w.Clock.Advance(time.Minute)
	must(t, w.Courier.Purge(t.Context()))
	if dump := w.Dump(t); strings.Contains(dump, "limits") {
		t.Errorf("left: %d lines", strings.Count(dump, "limits"))
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Courier.Purge(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("a purge whose time is over: %v", err)
	}
}
