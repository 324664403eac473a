package builtin_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

// Accounts are matched regardless of case and of how a letter is composed.
func TestAccountNames(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	acme, err := w.Users.AddAccount(t.Context(), "  Acme École ")
	must(t, err)
	same(t, "the name as it was written, trimmed", acme.Name, "Acme École")
	for _, same := range []string{"Acme École", "ACME ÉCOLE", "acme e\u0301cole", " acme école\t"} {
		found, err := w.Users.Account(t.Context(), same)
		if err != nil || found != acme {
			t.Errorf("%q is %+v, %v; want %+v", same, found, err, acme)
		}
		_, err = w.Users.AddAccount(t.Context(), same)
		refused(t, "adding "+same, err, reset.Conflict)
	}
	for _, other := range []string{"Acme Ecole", "Acme  École", "AcmeÉcole", "\u0410cme École"} {
		_, err := w.Users.Account(t.Context(), other)
		refused(t, other, err, reset.NotFound)
	}
	for what, name := range map[string]string{
		"nothing": "", "spaces": " \t ", "a comma": "A,B", "a semicolon": "A;B", "a line break": "A\nB", "NUL": "A\x00",
		"a line separator": "A\u2028B", "201 bytes": strings.Repeat("a", 201), "not UTF-8": "A\xff",
	} {
		_, err := w.Users.AddAccount(t.Context(), name)
		refused(t, "adding "+what, err, reset.Invalid)
		_, err = w.Users.Account(t.Context(), name)
		refused(t, "finding "+what, err, reset.Invalid)
	}
	long, err := w.Users.AddAccount(t.Context(), strings.Repeat("z", 200))
	must(t, err)
	list, err := w.Users.Accounts(t.Context())
	must(t, err)
	same(t, "all by name", list, []reset.Account{acme, long})
	for name, fn := range map[string]func(context.Context, string) error{"Suspend": w.Users.Suspend, "Resume": w.Users.Resume} {
		refused(t, name+" of none", fn(t.Context(), "Initech"), reset.NotFound)
	}
}

// A suspension closes the requests of those who are left without an active
// account, and nobody else's.
func TestAccountsNamed(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "", "Acme", "Globex")
	must(t, w.Users.Suspend(t.Context(), "Globex"))
	acme, err := w.Users.Account(t.Context(), "acme")
	must(t, err)
	globex, err := w.Users.Account(t.Context(), "globex")
	must(t, err)
	got, err := w.Users.AccountsNamed(t.Context(), []string{"Acme", " ACME ", "globex", "Initech", "", "a;b", "\x00"})
	must(t, err)
	same(t, "accounts", got, map[string]reset.Account{"Acme": acme, " ACME ": acme, "globex": globex})
	same(t, "whether it is suspended", got["globex"].Suspended, true)
	if none, err := w.Users.AccountsNamed(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("of no names: %v, %v", none, err)
	}
}

func TestSuspendClosesTheRightRequests(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	only := w.AddUser(t, "only@example.test", "", "Acme")
	both := w.AddUser(t, "both@example.test", "", "Acme", "Globex")
	other := w.AddUser(t, "other@example.test", "", "Globex")
	none := w.AddUser(t, "none@example.test", "")
	openFor(t, w, only, both, other, none)
	openFor(t, w, reset.User{ID: "of another directory"})

	must(t, w.Users.Suspend(t.Context(), "ACME"))
	same(t, "open after Acme's suspension", openOf(t, w), []string{"of another directory", none.ID, other.ID, both.ID})
	must(t, w.Users.Suspend(t.Context(), "Acme")) // again is no error
	must(t, w.Users.Suspend(t.Context(), "Globex"))
	same(t, "open after Globex's too", openOf(t, w), []string{"of another directory", none.ID})
	for _, name := range []string{"Acme", "Globex", "Globex"} {
		must(t, w.Users.Resume(t.Context(), name))
	}
	same(t, "open after both were resumed", openOf(t, w), []string{"of another directory", none.ID})
	list, err := w.Users.Accounts(t.Context())
	must(t, err)
	for _, a := range list {
		same(t, a.Name+" suspended", a.Suspended, false)
	}
}
