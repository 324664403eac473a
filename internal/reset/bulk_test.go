package reset_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// bulk asks in bulk and returns the job's id.
func bulk(t testing.TB, w *servicetest.World, c reset.Caller, addresses ...string) string {
	t.Helper()
	id, err := w.Service.AskBulk(t.Context(), c, addresses)
	must(t, err)
	return id
}

func job(t testing.TB, w *servicetest.World, c reset.Caller, id string) reset.Job {
	t.Helper()
	j, err := w.Service.Job(t.Context(), c, id)
	must(t, err)
	return j
}

func TestBulk(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	kinds := people(t, w)
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	id := bulk(t, w, admin, kinds["known"], kinds["unknown"], kinds["several accounts"], kinds["disabled"], kinds["suspended"], "ADA@example.test")
	want := reset.Job{ID: id, KeyID: admin.Key.ID, CreatedAt: w.Clock.Now(), Total: 5} // Ada is there twice and counts once
	same(t, "at first", job(t, w, admin, id), want)
	same(t, "its state", job(t, w, admin, id).State(), reset.JobQueued)

	entries := w.TakeOutbox()
	must(t, w.Work(t.Context(), entries[0]))
	want.Sent = 1
	same(t, "after one", job(t, w, admin, id), want)
	same(t, "its state", job(t, w, admin, id).State(), reset.JobRunning)
	for _, e := range entries {
		must(t, w.Work(t.Context(), e)) // the first for a second time, as after a crash
	}
	want.Sent, want.Unknown = 2, 3
	same(t, "at last", job(t, w, admin, id), want)
	same(t, "its state", job(t, w, admin, id).State(), reset.JobDone)
	if !canonical(id) {
		t.Errorf("the job's id is %q, not a UUID", id)
	}
}

func canonical(s string) bool { _, ok := reset.ParseID(s); return ok }

// A key may raise its caller's quota, never the cap per recipient.
func TestBulkKeepsTheLimitPerAddress(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	for range 100 { // more than an anonymous caller may ask for in a minute
		bulk(t, w, admin, ada)
	}
	id := bulk(t, w, admin, ada, bob)
	same(t, "the job before it is worked", job(t, w, admin, id).State(), reset.JobQueued)
	w.WorkOutbox(t)
	same(t, "mails", len(w.Links()), 2)
	j := job(t, w, admin, id)
	same(t, "sent and failed", []int{j.Sent, j.Unknown, j.Failed}, []int{1, 0, 1})
	same(t, "its state", j.State(), reset.JobDone)

	all := bulk(t, w, admin, ada)
	w.WorkOutbox(t)
	same(t, "a job of throttled addresses alone", job(t, w, admin, all).State(), reset.JobDone)
}

// What a key asks for counts against a limit of the key's own, by addresses and not by calls.
func TestBulkIsLimitedByKey(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, servicetest.WithThrottle())
	admin, other := callerWith(t, w, "admin", reset.ScopeAdmin, ""), callerWith(t, w, "other", reset.ScopeAdmin, "")
	list := users(300)
	bulk(t, w, admin, list...)
	bulk(t, w, admin, list...)
	waiting := len(w.Pending())
	_, err := w.Service.AskBulk(t.Context(), admin, list[:1])
	refused(t, "the 601st address in a minute", err, reset.Throttled, reset.CodeRestriction)
	same(t, "the outbox", len(w.Pending()), waiting)
	bulk(t, w, other, list...)
	w.Clock.Advance(time.Minute)
	bulk(t, w, admin, list...)
}

// A key that is bound to an account reaches its members and nobody else.
func TestBulkOfAnAccountsKey(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	kinds := people(t, w)
	w.AddUser(t, "globex@example.test", "", "Globex")
	acme := callerWith(t, w, "acme", reset.ScopeAdmin, "Acme")
	id := bulk(t, w, acme, kinds["member"], kinds["several accounts"], kinds["known"], "globex@example.test", kinds["unknown"])
	w.WorkOutbox(t)
	j := job(t, w, acme, id)
	same(t, "sent, unknown, failed", []int{j.Sent, j.Unknown, j.Failed}, []int{2, 3, 0})
	for _, m := range w.Links() {
		if !m.User.MemberOf(acme.Key.Account) {
			t.Errorf("somebody of another account was mailed")
		}
	}
	// Once the account is suspended, the key reaches nobody, not even those who are in another too.
	must(t, w.Users.Suspend(t.Context(), "Acme"))
	id = bulk(t, w, acme, kinds["several accounts"])
	w.WorkOutbox(t)
	same(t, "unknown after the suspension", job(t, w, acme, id).Unknown, 1)
}

func TestBulkIsForAdminKeysAlone(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	other := callerWith(t, w, "other", reset.ScopeAdmin, "")
	id := bulk(t, w, admin, ada)
	w.TakeOutbox()
	for name, c := range map[string]reset.Caller{
		"nobody": nobody, "a visitor": visitor, "a key of scope reset": callerWith(t, w, "app", reset.ScopeReset, ""),
		"a key without a scope": {Key: &reset.Key{ID: admin.Key.ID}},
	} {
		_, err := w.Service.AskBulk(t.Context(), c, []string{ada})
		refused(t, name+" asks", err, reset.Unauthorized, reset.CodeNotAllowed)
		_, err = w.Service.Job(t.Context(), c, id)
		refused(t, name+" looks", err, reset.Unauthorized, reset.CodeNotAllowed)
	}
	same(t, "the outbox", len(w.Pending()), 0)
	for name, c := range map[string]struct {
		caller reset.Caller
		id     string
	}{
		"another admin's job": {other, id}, "no such job": {admin, anID}, "not an id": {admin, "' OR 1=1 --"}, "nothing": {admin, ""},
	} {
		_, err := w.Service.Job(t.Context(), c.caller, c.id)
		refused(t, name, err, reset.NotFound, reset.CodeNotFound)
	}
	_, err := w.Service.AskBulk(t.Context(), admin, make([]string, 5001))
	refused(t, "too many", err, reset.Invalid, reset.CodeRestriction)
	for name, list := range map[string][]string{"nothing": nil, "a bad one": {ada, "x"}} {
		_, err := w.Service.AskBulk(t.Context(), admin, list)
		refused(t, name, err, reset.Invalid, reset.CodeBadValue)
	}
	same(t, "the outbox", len(w.Pending()), 0)
}

// An entry that was given up is counted as failed, whatever the reason.
func TestBulkCountsWhatWasGivenUp(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t, through(func(_ context.Context, m reset.LinkMail) error {
		if m.User.Email.Key() == bob {
			return &reset.Undeliverable{Reply: 550}
		}
		return nil
	}))
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	id := bulk(t, w, admin, bob, ada, "nobody@example.test")
	w.WorkOutbox(t)
	j := job(t, w, admin, id)
	same(t, "sent, unknown, failed", []int{j.Sent, j.Unknown, j.Failed}, []int{1, 1, 1})
}

// A mail that went out and could not be noted goes out again and counts once.
func TestBulkCountsOnceWhatIsSentTwice(t *testing.T) {
	t.Parallel()
	var lock func()
	w := servicetest.New(t, servicetest.WithBusyTimeout(20*time.Millisecond),
		through(func(context.Context, reset.LinkMail) error {
			if lock != nil {
				lock()
			}
			return nil
		}))
	w.AddUser(t, ada, "Ada")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	id := bulk(t, w, admin, ada)
	entry := w.TakeOutbox()[0]

	var unlock func()
	lock = func() { unlock = w.Lock(t) }
	err := w.Work(t.Context(), entry)
	unlock()
	refused(t, "noting it while the database is locked", err, reset.Unavailable, reset.CodeUnknown)
	same(t, "its state", job(t, w, admin, id).State(), reset.JobQueued)

	lock = nil
	must(t, w.Work(t.Context(), entry))
	same(t, "mails", len(w.Links()), 2)
	j := job(t, w, admin, id)
	same(t, "sent, unknown, failed", []int{j.Sent, j.Unknown, j.Failed}, []int{1, 0, 0})
	same(t, "the first mail's link", opens(t, w, nobody, servicetest.ID(w.Links()[0])), reset.CodeInactive)
	same(t, "the newest mail's link", opens(t, w, nobody, servicetest.ID(w.Links()[1])), reset.Code(0))
}

// While the directory or the mail server is down a job waits; nothing is counted too early.
func TestBulkWaitsForWhatFailsForNow(t *testing.T) {
	t.Parallel()
	d := &directory{}
	w := servicetest.New(t, behind(d))
	w.AddUser(t, ada, "Ada")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	id := bulk(t, w, admin, ada)
	d.before = func(context.Context) error { return errors.New("the directory is down") }
	entries := work(t, w)
	same(t, "entries that failed", len(entries), 1)
	same(t, "the state while the directory is down", job(t, w, admin, id).State(), reset.JobQueued)
	d.before = nil
	w.FailMail(errors.New("the mail server is down"))
	if err := w.Work(t.Context(), entries[0]); err == nil {
		t.Error("no error while the mail server is down")
	}
	same(t, "the state while the mail server is down", job(t, w, admin, id).State(), reset.JobQueued)
	w.FailMail(nil)
	must(t, w.Work(t.Context(), entries[0]))
	same(t, "sent in the end", job(t, w, admin, id).Sent, 1)
}
