package reset_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

const eve = "eve@example.test"

func TestNobodyIsToldOfNoAccountUnlessThatIsWanted(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	ask(t, w, eve)
	work(t, w)
	if n := len(w.Unknown()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func TestAnAddressIsToldOnceADayThatItHasNoAccount(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.Courier.TellUnknown()
	w.AddUser(t, ada, "Ada")
	ask(t, w, eve)
	if n := len(w.Unknown()); n != 0 {
		t.Fatalf("%d mails before the outbox was worked: asking looks nobody up", n)
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Minute, 1}, {23*time.Hour + 58*time.Minute, 1}, {time.Minute, 2}, {time.Hour, 2}} {
		w.Clock.Advance(step.after)
		ask(t, w, eve, ada, "Eve@Example.test")
		same(t, "what failed", len(work(t, w)), 0)
		if n := len(w.Unknown()); n != step.want {
			t.Errorf("after another %v there are %d mails, want %d", step.after, n, step.want)
		}
	}
	m := w.Unknown()[0]
	if m.To.Raw() != eve || m.ForgotURL != servicetest.BaseURL+"/forgot" || m.Brand.Account != 0 || m.Locale != "" {
		t.Errorf("the mail is %+v", m)
	}
	if n := len(w.Links()); n != 5 {
		t.Errorf("%d links were mailed, want one each time to the user", n)
	}
}

// TestWhoHasAnAccountIsNotToldThatThereIsNone: it would be a lie.
func TestWhoHasAnAccountIsNotToldThatThereIsNone(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.Courier.TellUnknown()
	acme := w.AddUser(t, ada, "Ada", "Acme").Accounts[0].ID
	must(t, w.Users.Disable(t.Context(), ada))
	w.AddUser(t, bob, "Bob", "Globex")
	ask(t, w, ada)
	must(t, w.Courier.MailLink(t.Context(), reset.LinkEntry{Address: bob, Account: acme}, false)) // Bob is in another account
	admin := callerWith(t, w, "admin", reset.ScopeAdmin, "")
	_, err := w.Service.AskBulk(t.Context(), admin, []string{eve}) // nor does an administrator write to strangers
	must(t, err)
	same(t, "what failed", len(work(t, w)), 0)
	if n := len(w.Unknown()) + len(w.Links()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func TestWhatCouldNotBeToldForNowIsToldLater(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.Courier.TellUnknown()
	w.FailMail(errors.New("down"))
	ask(t, w, eve)
	failed := work(t, w)
	same(t, "what failed", len(failed), 1)
	w.FailMail(nil)
	must(t, w.Courier.MailLink(t.Context(), failed[0].(reset.LinkEntry), true))
	same(t, "mails", len(w.Unknown()), 1)

	// An address that no mailbox has is not tried again, and is no cause for a warning.
	w.FailMail(&reset.Undeliverable{Reply: 550})
	ask(t, w, "nobody@example.test")
	same(t, "what failed", len(work(t, w)), 0)
	w.FailMail(nil)
	ask(t, w, "nobody@example.test")
	work(t, w)
	same(t, "mails", len(w.Unknown()), 1)
}

func TestManyAsksAtOnceMakeOneMail(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.Courier.TellUnknown()
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			if err := w.Courier.MailLink(t.Context(), reset.LinkEntry{Address: eve}, false); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	same(t, "mails", len(w.Unknown()), 1)
}

func TestAuditTellsWhoWasToldOfNoAccount(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.Courier.TellUnknown()
	w.AddUser(t, ada, "Ada")
	before := forget(t, w)
	w.FailMail(errors.New("down"))
	must(t, w.Service.Ask(t.Context(), visitor, []string{eve}))
	failed := work(t, w)
	w.FailMail(nil)
	must(t, w.Courier.MailLink(t.Context(), failed[0].(reset.LinkEntry), true))
	must(t, w.Service.Ask(t.Context(), visitor, []string{eve}))
	work(t, w)
	typed := " " + nameOf(t, eve)
	same(t, "the trail", w.Acts(t)[before:], []string{
		"request.asked" + typed + " ok", "mail.failed" + typed + " later", "mail.sent" + typed + " ok",
		"request.asked" + typed + " ok", "mail.skipped" + typed + " unknown",
	})
	for _, r := range w.Trail(t)[before:] {
		if r.What == reset.ActMailSent {
			same(t, "details", r.Details, `{"mail":"unknown"}`)
		}
	}
}
