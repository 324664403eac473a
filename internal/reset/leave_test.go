package reset_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

const newAda = "ada.adams@example.test"

// leaving are the ways in which an operator ends a user's links, each with what makes the user able to ask again.
var leaving = map[string]struct {
	stop, again func(ctx context.Context, w *servicetest.World) error
}{
	"disabled": {
		func(ctx context.Context, w *servicetest.World) error { return w.Users.Disable(ctx, ada) },
		func(ctx context.Context, w *servicetest.World) error { return w.Users.Enable(ctx, ada) },
	},
	"account suspended": {
		func(ctx context.Context, w *servicetest.World) error { return w.Users.Suspend(ctx, "Acme") },
		func(ctx context.Context, w *servicetest.World) error { return w.Users.Resume(ctx, "Acme") },
	},
	"address changed": {
		func(ctx context.Context, w *servicetest.World) error { return w.Users.ChangeAddress(ctx, ada, newAda) },
		func(ctx context.Context, w *servicetest.World) error { return w.Users.ChangeAddress(ctx, newAda, ada) },
	},
	"address changed, and another's now": {
		func(ctx context.Context, w *servicetest.World) error {
			if err := w.Users.ChangeAddress(ctx, ada, newAda); err != nil {
				return err
			}
			return w.Users.ChangeAddress(ctx, bob, ada)
		},
		func(context.Context, *servicetest.World) error { return nil },
	},
	"removed": {
		func(ctx context.Context, w *servicetest.World) error { return w.Users.Remove(ctx, ada) },
		func(context.Context, *servicetest.World) error { return nil },
	},
}

// Whatever an operator ends a user's links with wins over a reset that is under
// way: the link was good at the look and while hashing, and is dead at the claim.
func TestDisabledDuringTheReset(t *testing.T) {
	t.Parallel()
	for name, c := range leaving {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &directory{}
			w := servicetest.New(t, behind(d))
			u := w.AddUser(t, ada, "Ada", "Acme")
			w.AddUser(t, bob, "Bob")
			id := w.MailedID(t, ada)
			same(t, "a look", opens(t, w, visitor, id), reset.Code(0))
			d.prepare = func(ctx context.Context) error { return c.stop(ctx, w) }
			_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
			refused(t, "the reset", err, reset.Unauthorized, reset.CodeInactive)
			if hash, err := w.Store.PasswordHash(t.Context(), u.ID); hash != "" || err != nil && name != "removed" {
				t.Errorf("the password is %q, %v; want none", hash, err)
			}
			for _, e := range w.Pending() {
				if notice, ok := e.(reset.NoticeEntry); !ok || notice.Matter == reset.MatterPassword {
					t.Errorf("the outbox has %#v", e)
				}
			}
		})
	}
}

// It wins over a mint that is under way too: no link is mailed, and none is left
// to open anything when the user may reset again.
func TestDisabledDuringTheMint(t *testing.T) {
	t.Parallel()
	for name, c := range leaving {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &directory{}
			w := servicetest.New(t, behind(d))
			w.AddUser(t, ada, "Ada", "Acme")
			w.AddUser(t, bob, "Bob")
			admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
			id := bulk(t, w, admin, ada)
			var once sync.Once
			d.found = func(reset.User) { once.Do(func() { must(t, c.stop(t.Context(), w)) }) }
			w.WorkOutbox(t)
			same(t, "mails", len(w.Links()), 0)
			same(t, "the job's unknown", job(t, w, admin, id).Unknown, 1)
			must(t, c.again(t.Context(), w))
			same(t, "open requests", requestsOf(t, w, reset.StateOpen), []string(nil))
		})
	}
}

// All links die when the address changes, what was asked for at the old one
// finds nobody, and both mailboxes are told (OWASP ASVS 6.3.7).
func TestChangedAddress(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	id, bobs := w.MailedID(t, ada), w.MailedID(t, bob)
	ask(t, w, ada) // still in the outbox when the address changes
	must(t, w.Users.ChangeAddress(t.Context(), ada, newAda))
	same(t, "a look", opens(t, w, visitor, id), reset.CodeInactive)
	_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
	refused(t, "a reset", err, reset.Unauthorized, reset.CodeInactive)
	w.WorkOutbox(t)
	same(t, "links", len(w.Links()), 2)
	var told []string
	for _, n := range w.Notices() {
		same(t, "what it tells of", n.Matter, reset.MatterAddress)
		same(t, "whether it goes to the old one", n.Former, n.User.Email.Raw() == ada)
		told = append(told, n.User.Email.Raw())
	}
	same(t, "who was told", told, []string{ada, newAda})
	ask(t, w, ada)
	w.WorkOutbox(t)
	same(t, "links after asking at the old address", len(w.Links()), 2)
	same(t, "another user's", opens(t, w, visitor, bobs), reset.Code(0))
	same(t, "a new one", opens(t, w, visitor, w.MailedID(t, newAda)), reset.Code(0))
	same(t, "the old link after the new one", opens(t, w, visitor, id), reset.CodeInactive)
}

// A removed user's links open nothing, what is in the outbox does nothing, and
// bulk jobs end all the same.
func TestRemovedUser(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := w.AddUser(t, ada, "Ada")
	w.AddUser(t, bob, "Bob")
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	used, bobs := w.MailedID(t, ada), w.MailedID(t, bob)
	_, err := w.Service.Reset(t.Context(), visitor, used, newPassword)
	must(t, err)
	open := w.MailedID(t, ada)
	notices := len(w.Notices())
	jobID := bulk(t, w, admin, ada)
	must(t, w.Store.Update(t.Context(), func(tx reset.Tx) error {
		return tx.Enqueue(t.Context(), reset.NoticeEntry{UserID: u.ID, ChangedAt: w.Clock.Now()})
	}))
	must(t, w.Users.Remove(t.Context(), ada))
	for what, id := range map[string]string{"used": used, "open": open} {
		same(t, "the link that was "+what, opens(t, w, visitor, id), reset.CodeNotAuthorized)
		_, err := w.Service.Reset(t.Context(), visitor, id, newPassword)
		refused(t, "a reset with it", err, reset.Unauthorized, reset.CodeNotAuthorized)
	}
	w.WorkOutbox(t)
	same(t, "links", len(w.Links()), 3)
	same(t, "notices", len(w.Notices()), notices)
	same(t, "the job", job(t, w, admin, jobID).State(), reset.JobDone)
	same(t, "another user's link", opens(t, w, visitor, bobs), reset.Code(0))
	if all := w.Dump(t); strings.Contains(all, ada) || strings.Contains(all, u.ID) {
		t.Errorf("the database still has her:\n%s", all)
	}
}

// A mint for the old address that comes late takes back its own link, and not the newer one that the new address got.
func TestALateMintLeavesTheNewAddressItsLink(t *testing.T) {
	t.Parallel()
	d := &directory{}
	w := servicetest.New(t, behind(d))
	w.AddUser(t, ada, "Ada")
	var newest string
	looks := 0
	d.found = func(reset.User) { looks++ }
	d.before = func(ctx context.Context) error {
		if looks != 1 || newest != "" { // but for the second look, when the link is minted and not yet mailed
			return nil
		}
		newest = "about to be minted"
		must(t, w.Users.ChangeAddress(ctx, ada, newAda))
		must(t, w.Courier.MailLink(ctx, reset.LinkEntry{Address: newAda}, false))
		newest = servicetest.ID(w.Links()[len(w.Links())-1])
		return nil
	}
	must(t, w.Work(t.Context(), reset.LinkEntry{Address: ada}))
	same(t, "mails", len(w.Links()), 1)
	same(t, "the new address's link", opens(t, w, visitor, newest), reset.Code(0))
	same(t, "open requests", len(requestsOf(t, w, reset.StateOpen)), 1)
}

// Another spelling of the address during the mint kills the link that was
// minted, so the entry runs again and mails one that works.
func TestRespelledDuringTheMint(t *testing.T) {
	t.Parallel()
	d := &directory{}
	w := servicetest.New(t, behind(d))
	w.AddUser(t, ada, "Ada")
	var once sync.Once
	d.found = func(reset.User) {
		once.Do(func() { must(t, w.Users.ChangeAddress(t.Context(), ada, "Ada@example.test")) })
	}
	entry := reset.LinkEntry{Address: ada}
	if err := w.Work(t.Context(), entry); err == nil {
		t.Fatal("the entry is done, though its link may be dead")
	}
	same(t, "mails", len(w.Links()), 0)
	must(t, w.Work(t.Context(), entry))
	links := w.Links()
	same(t, "mails then", len(links), 1)
	same(t, "sent to", links[0].User.Email.Raw(), "Ada@example.test")
	same(t, "its link", opens(t, w, visitor, servicetest.ID(links[0])), reset.Code(0))
}
