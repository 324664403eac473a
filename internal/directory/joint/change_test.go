package joint_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/directory/joint"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestResetEverywhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	person := h.everywhere(t)
	id := h.MailedID(t, ada)
	look, err := h.Service.LookCloser(t.Context(), visitor, id)
	must(t, err)
	same(t, "whether there are several", look.MultipleAccounts, true)
	same(t, "in which it will hold", look.Accounts, []string{"Acme", "Sales"})
	_, err = h.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	same(t, "where the new one holds", h.holds(t, newPassword), "builtin crm corp")
	same(t, "where the old one does", h.holds(t, oldPassword), "")
	h.WorkOutbox(t)
	notices := h.Notices()
	if len(notices) != 1 || notices[0].Matter != reset.MatterPassword || notices[0].User.ID != person {
		t.Errorf("notices: %+v", notices)
	}
	same(t, "the link", h.opens(t, id), reset.CodeInactive)
}

// Several directories are several accounts, even where nobody gave these names.
func TestSeveralWithoutAccounts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.AddUser(t, ada, "Ada")
	h.corp.Add(t, directorytest.User{Email: ada})
	id := h.MailedID(t, ada)
	look, err := h.Service.Look(t.Context(), visitor, id)
	must(t, err)
	same(t, "whether there are several", look.MultipleAccounts, true)
	h.corp.Disable(t, ada)
	look, err = h.Service.Look(t.Context(), visitor, id)
	must(t, err)
	same(t, "whether there are several when one is left", look.MultipleAccounts, false)
}

// Who is in the store alone is reset in one transaction, as if there were no others.
func TestTheStoresOwnAreAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.AddUser(t, ada, "Ada")
	id := h.MailedID(t, ada)
	change, err := h.joint.Prepare(t.Context(), u, newPassword, nil)
	must(t, err)
	if _, ok := change.(reset.Distant); ok {
		t.Error("it takes two phases")
	}
	_, err = h.Service.Reset(t.Context(), visitor, id, newPassword)
	must(t, err)
	same(t, "the outbox", kinds(h.Pending()), "notice")
	same(t, "whether it holds", h.VerifyPassword(t, ada, newPassword), true)
	same(t, "the user", h.Notices(), []reset.NoticeMail(nil))
}

// A directory with a policy of its own is asked first: what it refuses has changed nothing anywhere.
func TestTheStrictOneIsFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.everywhere(t)
	id := h.MailedID(t, ada)
	h.corp.Refuse(reset.Refusal{Code: "history", Message: "not one that you have had"})
	if e := h.fails(t, id, newPassword); e.Kind != reset.Invalid || e.Details["password"] == nil {
		t.Errorf("a refusal: %+v", e)
	}
	h.corp.Refuse()
	h.corp.BeforeSet = func(context.Context) error { return &reset.Unchanged{Cause: reset.Busy("later", time.Second, nil)} }
	if e := h.fails(t, id, newPassword); e.Kind != reset.Unavailable {
		t.Errorf("one that is away: %+v", e)
	}
	same(t, "where the old one holds", h.holds(t, oldPassword), "builtin crm corp")
	same(t, "changes elsewhere", h.crm.Sets(), 0)
	same(t, "the link", h.opens(t, id), reset.Code(0))
	h.corp.BeforeSet = func(context.Context) error { return errLost }
	e := h.fails(t, id, newPassword)
	if _, ok := errors.AsType[*reset.Unsure](e); !ok || !strings.Contains(e.Error(), "the directory corp") {
		t.Errorf("one of which nobody knows: %v", e)
	}
	same(t, "where the old one holds after all", h.holds(t, oldPassword), "builtin crm corp")
	same(t, "the link after all", h.opens(t, id), reset.CodeInactive)
}

// TestPartly: one directory fails after another was changed. Everybody is told where the password holds, and a
// link for the rest changes what is left, and nothing else.
func TestPartly(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		fault func(h *house) (end func())
		first string // where the new password holds at once
	}{
		"it is down": {func(h *house) func() {
			var up func()
			h.crm.BeforeSet = func(context.Context) error { up = h.crm.Down(); return nil }
			return func() { up(); h.crm.BeforeSet = nil }
		}, "builtin corp"},
		"it refuses": {func(h *house) func() {
			h.crm.Refuse(reset.Refusal{Code: "x", Message: "no"})
			return func() { h.crm.Refuse() }
		}, "builtin corp"},
		"nobody knows": {func(h *house) func() {
			h.crm.AfterSet = func(context.Context) error { return errLost }
			return func() { h.crm.AfterSet = nil }
		}, "builtin crm corp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			person := h.everywhere(t)
			done := reset.Without(person, "crm.1")
			id := h.MailedID(t, ada)
			end := fault.fault(h)
			e := h.fails(t, id, newPassword)
			part, ok := errors.AsType[*reset.Partly](e)
			if !ok || e.Kind != reset.Unavailable || e.RetryAfter <= 10*time.Second || !strings.Contains(e.Message, "changed in Office, here, and not yet in Sales") || !strings.Contains(e.Error(), "the directory crm") {
				t.Fatalf("the caller is told %+v", e)
			}
			same(t, "the parts", []string{part.DoneID, part.RestID}, []string{done, "crm.1"})
			same(t, "the details", e.Details, map[string]any{"outcome": "partly", "changed": []string{"Office", "here"}, "unchanged": []string{"Sales"}})
			same(t, "where the new one holds", h.holds(t, newPassword), fault.first)
			ending, err := h.Service.Ending(t.Context(), id)
			must(t, err)
			same(t, "how the link ended", ending.How, reset.EndedUsed)
			var last reset.AuditRecord
			for _, r := range h.Trail(t) {
				if r.What == reset.ActReset || r.What == reset.ActResetRefused {
					last = r
				}
			}
			same(t, "the trail", []string{last.What, last.Who, last.Outcome, last.Details},
				[]string{reset.ActReset, "user:" + done, reset.EndPartly, `{"done":"Office, here","failed":"Sales","rest":"user:crm.1"}`})

			// The notice asks only the directories that it is about, and does not wait for the one that failed.
			entries := h.TakeOutbox()
			same(t, "what is to be done", kinds(entries), "notice link")
			must(t, h.Work(t.Context(), entries[0]))
			notice := h.Notices()[0]
			same(t, "the notice", []any{notice.Matter, notice.User.ID, notice.Done, notice.Failed}, []any{reset.MatterPartly, done, []string{"Office", "here"}, []string{"Sales"}})
			if name == "it is down" && h.Work(t.Context(), entries[1]) == nil {
				t.Error("the link for the rest was mailed while nobody knew who it is for")
			}
			end()
			must(t, h.Work(t.Context(), entries[1]))
			links := h.Links()
			rest := links[len(links)-1]
			same(t, "the mail with the rest", []any{rest.User.ID, rest.User.Email.Raw(), rest.Only}, []any{"crm.1", ada, []string{"Sales"}})

			const another = "and another one of many words"
			_, err = h.Service.Reset(t.Context(), visitor, servicetest.ID(rest), another)
			must(t, err)
			same(t, "where the last one holds", h.holds(t, another), "crm")
			same(t, "and the one before", h.holds(t, newPassword), "builtin corp")
			h.WorkOutbox(t)
			same(t, "notices", len(h.Notices()), 2)
		})
	}
}

// Of a person's links one is open, whichever directories they are for.
func TestLinksOfOnePerson(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.everywhere(t)
	whole := h.MailedID(t, ada)
	must(t, h.Courier.MailLink(t.Context(), reset.LinkEntry{UserID: "crm.1", Only: []string{"Sales"}}, false))
	rest := servicetest.ID(h.Links()[1])
	same(t, "the whole one after the rest", []reset.Code{h.opens(t, whole), h.opens(t, rest)}, []reset.Code{reset.CodeInactive, 0})
	again := h.MailedID(t, ada)
	same(t, "the rest after a whole one", []reset.Code{h.opens(t, rest), h.opens(t, again)}, []reset.Code{reset.CodeInactive, 0})
	parsed, err := h.Service.Ending(t.Context(), rest)
	must(t, err)
	same(t, "how the rest ended", parsed.How, reset.EndedReplaced)
	// What ends the links of the store's user ends the person's.
	must(t, h.Users.Disable(t.Context(), ada))
	same(t, "after the user was disabled here", h.opens(t, again), reset.CodeInactive)
	must(t, h.Users.Enable(t.Context(), ada))
	last := h.MailedID(t, ada)
	must(t, h.Users.Remove(t.Context(), ada))
	_, err = h.Service.Look(t.Context(), visitor, last)
	same(t, "after the user was removed here", reset.AsError(err).Code, reset.CodeNotAuthorized)
	crm := h.MailedID(t, ada)
	_, err = h.Service.Reset(t.Context(), visitor, crm, newPassword)
	must(t, err)
}

// Somebody who is gone from one directory in the last moment is changed in the others.
func TestGoneInTheLastMoment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gone func(t *testing.T, h *house)
		want string
	}{
		"from the first":  {func(t *testing.T, h *house) { h.corp.Remove(t, ada) }, "builtin crm"},
		"from the second": {func(t *testing.T, h *house) { h.crm.Remove(t, ada) }, "builtin corp"},
		"from the store":  {func(t *testing.T, h *house) { must(t, h.Users.Remove(t.Context(), ada)) }, "crm corp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.everywhere(t)
			id := h.MailedID(t, ada)
			h.corp.BeforeSet = func(context.Context) error { c.gone(t, h); return nil }
			_, err := h.Service.Reset(t.Context(), visitor, id, newPassword)
			must(t, err)
			if name == "from the store" {
				same(t, "where it holds", []bool{h.crm.Verify(t, ada, newPassword), h.corp.Verify(t, ada, newPassword)}, []bool{true, true})
				return
			}
			same(t, "where it holds", h.holds(t, newPassword), c.want)
		})
	}
}

// A directory that takes all the time it is given leaves some to those after it.
func TestEachHasItsShareOfTheTime(t *testing.T) {
	t.Parallel()
	slow, fine := &directorytest.Memory{}, &directorytest.Memory{}
	first := &directorytest.Memory{}
	for _, m := range []*directorytest.Memory{first, slow, fine} {
		m.Add(t, directorytest.User{Email: ada})
	}
	slow.BeforeSet = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	d := join(t, noAccounts{}, joint.Part{Name: "slow", Directory: slow}, joint.Part{Name: "first", Directory: first, Strict: true}, joint.Part{Name: "fine", Directory: fine})
	u, err := d.UserByAddress(t.Context(), address(t, ada))
	must(t, err)
	change, err := d.Prepare(t.Context(), u, newPassword, nil)
	must(t, err)
	distant, ok := change.(reset.Distant)
	if !ok {
		t.Fatal("it takes one phase")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err = distant.Set(ctx)
	part, ok := errors.AsType[*reset.Partly](err)
	if !ok || part.DoneID != "fine.1,first.1" || part.RestID != "slow.1" {
		t.Errorf("%#v", err)
	}
}
