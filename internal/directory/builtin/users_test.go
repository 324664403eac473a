package builtin_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/servicetest"
)

func TestAdd(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := add(t, w, builtin.NewUser{Email: "Ada@Example.test", Name: "  Ada Love\u0301lace ", Locale: "pt-BR", Accounts: []string{"Globex", " acme", "ACME"}}, "")
	same(t, "the address as it was written", u.Email.Raw(), "Ada@Example.test")
	same(t, "the name, trimmed and composed", u.Name, "Ada Lov\u00e9lace")
	same(t, "the locale", u.Locale, "pt-BR")
	same(t, "the accounts, each once, by name", names(u.Accounts), []string{"Globex", "acme"})
	second := add(t, w, builtin.NewUser{Email: bob, Accounts: []string{"Acme"}}, "")
	same(t, "the account that was there", second.Accounts[0].ID, u.Accounts[1].ID)
	list, err := w.Users.List(t.Context())
	must(t, err)
	same(t, "all by address", list, []reset.User{u, second})
}

func TestUsersThatCannotBeAdded(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	w.AddUser(t, ada, "Ada")
	before := w.Dump(t)
	for what, c := range map[string]struct {
		user builtin.NewUser
		kind reset.Kind
	}{
		"the address is taken":                  {builtin.NewUser{Email: ada, Accounts: []string{"New"}}, reset.Conflict},
		"taken in another spelling":             {builtin.NewUser{Email: "ADA@Example.TEST"}, reset.Conflict},
		"no address":                            {builtin.NewUser{Name: "Bob"}, reset.Invalid},
		"not an address":                        {builtin.NewUser{Email: "Bob <bob@example.test>"}, reset.Invalid},
		"a line break in the name":              {builtin.NewUser{Email: bob, Name: "Bob\r\nBcc: eve@evil.test"}, reset.Invalid},
		"a NUL in the name":                     {builtin.NewUser{Email: bob, Name: "Bob\x00"}, reset.Invalid},
		"an escape in the name":                 {builtin.NewUser{Email: bob, Name: "Bob\x1b[31m"}, reset.Invalid},
		"a next line in the name":               {builtin.NewUser{Email: bob, Name: "Bob\u0085x"}, reset.Invalid},
		"a line separator in the name":          {builtin.NewUser{Email: bob, Name: "Bob\u2028x"}, reset.Invalid},
		"a paragraph separator in the name":     {builtin.NewUser{Email: bob, Name: "Bob\u2029x"}, reset.Invalid},
		"a name that is not UTF-8":              {builtin.NewUser{Email: bob, Name: "Bob\xe9"}, reset.Invalid},
		"a name of 201 bytes":                   {builtin.NewUser{Email: bob, Name: strings.Repeat("b", 201)}, reset.Invalid},
		"an account without a name":             {builtin.NewUser{Email: bob, Accounts: []string{"Acme", " "}}, reset.Invalid},
		"a comma in an account":                 {builtin.NewUser{Email: bob, Accounts: []string{"Acme, Inc."}}, reset.Invalid},
		"a semicolon in an account":             {builtin.NewUser{Email: bob, Accounts: []string{"Acme;Globex"}}, reset.Invalid},
		"a line break in an account":            {builtin.NewUser{Email: bob, Accounts: []string{"Ac\nme"}}, reset.Invalid},
		"a line break in the locale":            {builtin.NewUser{Email: bob, Locale: "de\r\nBcc: eve@evil.test"}, reset.Invalid},
		"a locale that is a path":               {builtin.NewUser{Email: bob, Locale: "../../etc/passwd"}, reset.Invalid},
		"a locale that is no language":          {builtin.NewUser{Email: bob, Locale: "deutsch, bitte"}, reset.Invalid},
		"a locale of more than anybody's bytes": {builtin.NewUser{Email: bob, Locale: "de-" + strings.Repeat("a", 100)}, reset.Invalid},
	} {
		_, err := w.Users.Add(t.Context(), c.user)
		refused(t, what, err, c.kind, c.user.Email, c.user.Name, c.user.Locale)
	}
	same(t, "the database", w.Dump(t), before)
	for _, locale := range []string{"", "de", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske", "de-CH-1996"} {
		add(t, w, builtin.NewUser{Email: "u" + strings.ToLower(locale) + "@example.test", Locale: locale}, "")
	}
}

// Composed and decomposed, a password is the same from every keyboard.
func TestPasswordIsNormalised(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	const composed, decomposed = "un caf\u00e9 au lait bien chaud", "un cafe\u0301 au lait bien chaud"
	for email, c := range map[string]struct{ set, typed string }{ada: {composed, decomposed}, bob: {decomposed, composed}} {
		u := w.AddUser(t, email, "")
		change, err := w.Users.Prepare(t.Context(), u, c.set, nil)
		must(t, err)
		must(t, w.Store.Update(t.Context(), func(tx reset.Tx) error { return change.Apply(t.Context(), tx, w.Clock.Now()) }))
		if !w.VerifyPassword(t, email, c.typed) || !w.VerifyPassword(t, email, c.set) {
			t.Errorf("%+q was set and %+q does not verify", c.set, c.typed)
		}
	}
	hash, err := w.Users.HashNew(t.Context(), builtin.NewUser{Email: "new@example.test"}, decomposed)
	must(t, err)
	add(t, w, builtin.NewUser{Email: "new@example.test", PasswordHash: hash}, "")
	if !w.VerifyPassword(t, "new@example.test", composed) {
		t.Error("the first password of a new user is not normalised")
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	add(t, w, builtin.NewUser{Email: ada}, password)
	w.AddUser(t, bob, "")
	for _, c := range []struct {
		email, password string
		want            bool
	}{
		{ada, password, true},
		{"ADA@Example.test", password, true},
		{ada, password + " ", false},
		{ada, "", false},
		{bob, "", false},
		{bob, password, false},
	} {
		same(t, c.email+" has "+c.password, w.VerifyPassword(t, c.email, c.password), c.want)
	}
	_, err := w.Users.Verify(t.Context(), "nobody@example.test", password)
	refused(t, "an unknown user", err, reset.NotFound, "nobody@", password)
	_, err = w.Users.Verify(t.Context(), "nobody", password)
	refused(t, "no address", err, reset.Invalid, "nobody", password)
}

// An operator's first password for a new user meets the same policy as a reset.
func TestHashNewRefuses(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	n := builtin.NewUser{Email: "ada.of.the.long.name@example.test", Name: "Ada of the long name", Accounts: []string{"The Long Account"}}
	for what, p := range map[string]string{
		"short": "14 characters!", "the address": n.Email, "the name": n.Name, "the account": "the long account", "NUL": password + "\x00",
	} {
		_, err := w.Users.HashNew(t.Context(), n, p)
		refused(t, what, err, reset.Invalid, p)
	}
	_, err := w.Users.HashNew(t.Context(), builtin.NewUser{Email: "x"}, password)
	refused(t, "a user who could not be added", err, reset.Invalid, password)
}

func TestDisableAndEnable(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	a, b := w.AddUser(t, ada, ""), w.AddUser(t, bob, "")
	openFor(t, w, a, b)
	must(t, w.Users.Disable(t.Context(), "ADA@example.test"))
	same(t, "open requests", openOf(t, w), []string{b.ID})
	disabled := func() bool {
		t.Helper()
		u, err := w.Users.UserByID(t.Context(), a.ID)
		must(t, err)
		return u.Disabled
	}
	same(t, "disabled", disabled(), true)
	must(t, w.Users.Disable(t.Context(), ada)) // again is no error
	must(t, w.Users.Enable(t.Context(), ada))
	must(t, w.Users.Enable(t.Context(), ada))
	same(t, "disabled after enabling", disabled(), false)
	same(t, "open requests after enabling", openOf(t, w), []string{b.ID})
	for name, fn := range map[string]func(context.Context, string) error{"Disable": w.Users.Disable, "Enable": w.Users.Enable} {
		refused(t, name+" of nobody", fn(t.Context(), "nobody@example.test"), reset.NotFound, "nobody@")
		refused(t, name+" of no address", fn(t.Context(), "nobody"), reset.Invalid, "nobody")
	}
}

// openFor opens a request for each of the users.
func openFor(t testing.TB, w *servicetest.World, users ...reset.User) {
	t.Helper()
	now := w.Clock.Now()
	for _, u := range users {
		must(t, w.Store.Update(t.Context(), func(tx reset.Tx) error {
			return tx.OpenRequest(t.Context(), reset.NewID().Digest(), u.ID, now, now.Add(time.Hour))
		}))
	}
}

// openOf returns the users who have an open request, the newest request first.
func openOf(t testing.TB, w *servicetest.World) (ids []string) {
	t.Helper()
	list, err := w.Store.Requests(t.Context(), 1000)
	must(t, err)
	for _, r := range list {
		if r.State == reset.StateOpen {
			ids = append(ids, r.UserID)
		}
	}
	return ids
}

// busy is a hasher that has too much to do.
type busy struct{}

var errBusy = reset.Busy("too many", time.Second, nil)

func (busy) Hash(context.Context, string, func(context.Context) error) (string, error) {
	return "", errBusy
}
func (busy) Verify(context.Context, string, string) (bool, error) { return false, errBusy }
func (busy) Hint(context.Context, string, reset.User) (refusals []reset.Refusal, err error) {
	return nil, errBusy
}

func (busy) Check(context.Context, string, reset.User) (refusals []reset.Refusal, err error) {
	return nil, nil
}

func TestBusyHasherIsToldAsItIs(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := add(t, w, builtin.NewUser{Email: ada, PasswordHash: "$argon2id$stored"}, "")
	d := builtin.New(w.Store, busy{}, busy{}, w.Clock.Now)
	_, prepare := d.Prepare(t.Context(), u, password, nil)
	_, verify := d.Verify(t.Context(), ada, password)
	_, hash := d.HashNew(t.Context(), builtin.NewUser{Email: bob}, password)
	for name, err := range map[string]error{"Prepare": prepare, "Verify": verify, "HashNew": hash} {
		if !errors.Is(err, errBusy) {
			t.Errorf("%s: %v, want the hasher's own answer", name, err)
		}
	}
}

// A change works in a transaction of the store that keeps the users, and says so of any other.
func TestApplyInAForeignTransaction(t *testing.T) {
	t.Parallel()
	w := servicetest.New(t)
	u := w.AddUser(t, ada, "")
	change, err := w.Users.Prepare(t.Context(), u, password, nil)
	must(t, err)
	err = w.Store.Update(t.Context(), func(tx reset.Tx) error {
		return change.Apply(t.Context(), struct{ reset.Tx }{tx}, w.Clock.Now())
	})
	if err == nil {
		t.Error("it was applied to a store that keeps no users")
	}
	gone, err := w.Users.Prepare(t.Context(), reset.User{ID: "gone"}, password, nil)
	must(t, err)
	err = w.Store.Update(t.Context(), func(tx reset.Tx) error { return gone.Apply(t.Context(), tx, w.Clock.Now()) })
	if !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("applying it for a user who is gone: %v, want ErrNoUser", err)
	}
}
