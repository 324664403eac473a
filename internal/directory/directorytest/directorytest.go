// Package directorytest is the conformance suite of directories: whatever
// passes it can be where the service's users live. It says in tests what
// reset.Directory and reset.Change promise, transactions and races included.
//
// A directory joins with one call:
//
//	func TestConformance(t *testing.T) {
//		directorytest.Run(t, func(t *testing.T) directorytest.Fixture { return open(t) })
//	}
package directorytest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sparekey/sparekey/internal/reset"
)

// Fixture is a directory and what the suite needs to set it up and look into it.
type Fixture struct {
	// Directory is what is tested.
	Directory reset.Directory
	// Update runs fn in a transaction of the store that claims requests, as reset.Store.Update does; nil
	// for directories that have nothing to do with it.
	Update func(ctx context.Context, fn func(tx reset.Tx) error) error
	// Add adds a user.
	Add func(t *testing.T, u User)
	// Verify reports whether the password is that of the user with this very address.
	Verify func(t *testing.T, email, password string) bool
	// Disable disables a user; nil if the directory knows no such thing.
	Disable func(t *testing.T, email string)
	// Suspend suspends an account; nil if the directory knows no accounts.
	Suspend func(t *testing.T, account string)
	// Remove removes a user; nil if somebody else does that.
	Remove func(t *testing.T, email string)
	// ChangeAddress gives a user another address; nil if somebody else does that.
	ChangeAddress func(t *testing.T, email, to string)

	// What follows is for directories that do not share the store's database.

	// Storable says which addresses the directory can hold at all; nil: every one.
	// LDAP's mail attribute, for one, is ASCII (RFC 4524, 2.16).
	Storable func(email string) bool
	// MaxBytes is the longest password that the directory takes, in bytes; 0: as long as Sparekey's own
	// limit. A longer one is refused as Unchanged with reasons, never cut (NIST SP 800-63B-4, 3.1.1.2).
	MaxBytes int
	// Twin adds another user with the same address; nil if the directory cannot hold that.
	Twin func(t *testing.T, email string)
	// Down stops the directory's server, or cuts the way to it, until up is called; nil if it has none.
	Down func(t *testing.T) (up func())
	// Stall lets what is sent to the directory arrive but holds back every answer, until ended; nil if it has no server.
	Stall func(t *testing.T) (end func())
	// Forbid takes away the right to change passwords; nil if the directory knows no rights.
	Forbid func(t *testing.T)
}

// User is a user to be added.
type User struct {
	Email, Name string
	Password    string   // empty: none
	Accounts    []string // made if missing; given only where Suspend is set
}

// Run runs the suite; open makes a directory without users, and closes it when t ends.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for _, group := range []struct {
		name string
		test func(t *testing.T, f Fixture)
	}{
		{"Unknown", testUnknown},
		{"ExactMatch", testExactMatch},
		{"LookAlikes", testLookAlikes},
		{"Wildcards", testWildcards},
		{"Disabled", testDisabled},
		{"Accounts", testAccounts},
		{"Change", testChange},
		{"Rollback", testRollback},
		{"AsTyped", testAsTyped},
		{"Concurrency", testConcurrency},
		{"ApplyRace", testApplyRace},
		{"Ended", testEnded},
		{"Removed", testRemoved},
		{"AddressChanged", testAddressChanged},
		{"Twins", testTwins},
		{"Down", testDown},
		{"Stalled", testStalled},
		{"Forbidden", testForbidden},
		{"Inspected", testInspected},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			group.test(t, open(t))
		})
	}
}

const (
	ada = "ada@example.test"
	bob = "bob@example.test"

	oldPassword = "correct horse battery staple"
	newPassword = "a quiet harbour in november"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(reset.Address{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func address(t *testing.T, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	must(t, err)
	return a
}

// find returns the user who has the address; there must be one.
func find(t *testing.T, f Fixture, email string) reset.User {
	t.Helper()
	u, err := f.Directory.UserByAddress(t.Context(), address(t, email))
	if err != nil {
		t.Fatalf("UserByAddress(%q): %v", email, err)
	}
	return u
}

func noUser(t *testing.T, f Fixture, email string) {
	t.Helper()
	if u, err := f.Directory.UserByAddress(t.Context(), address(t, email)); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("UserByAddress(%q) found %q, %v; want ErrNoUser", email, u.Email.Raw(), err)
	}
}

// set changes a password as a reset does.
func set(ctx context.Context, f Fixture, u reset.User, password string) error {
	c, err := f.Directory.Prepare(ctx, u, password, nil)
	if err != nil {
		return err
	}
	return f.apply(ctx, c)
}

// apply is what a reset does with a change: it is set where it lives, and in the transaction that claims or settles the request.
func (f Fixture) apply(ctx context.Context, c reset.Change) error {
	if d, ok := c.(reset.Distant); ok {
		if err := d.Set(ctx); err != nil || f.Update == nil {
			return err
		}
	}
	return f.Update(ctx, func(tx reset.Tx) error { return c.Apply(ctx, tx, now) })
}

// storable leaves out addresses that the directory cannot hold.
func (f Fixture) storable(emails ...string) []string {
	return slices.DeleteFunc(emails, func(email string) bool { return f.Storable != nil && !f.Storable(email) })
}

func testUnknown(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada})
	noUser(t, f, bob)
	for _, id := range []string{"", "0", "-1", "nobody", ada, "' OR '1'='1", "*", "%", "\x00", strings.Repeat("x", 10_000), "5b1f3a52-7f0c-4b44-9a3e-0d8f4f1c2a11"} {
		if u, err := f.Directory.UserByID(t.Context(), id); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("UserByID(%.40q) found %q, %v; want ErrNoUser", id, u.Email.Raw(), err)
		}
	}
}

// An address finds its user in whatever ASCII case and form of the domain, and
// what is found is the directory's own spelling: that is where mail goes (CVE-2019-19844).
func testExactMatch(t *testing.T, f Fixture) {
	const stored, ascii = "Ada.L@Exämple.test", "Bob@EXAMPLE.test"
	typed := map[string][]string{
		stored: {stored, "ada.l@exämple.test", "ADA.L@eXämple.TEST", "ada.l@xn--exmple-cua.test", "Ada.L@XN--EXMPLE-CUA.test"},
		ascii:  {ascii, bob, "BOB@example.TEST"},
	}
	for _, email := range f.storable(stored, ascii) {
		f.Add(t, User{Email: email, Name: "Ada Lovelace"})
		for _, s := range typed[email] {
			u := find(t, f, s)
			same(t, "the address found for "+s, u.Email.Raw(), email)
			again, err := f.Directory.UserByID(t.Context(), u.ID)
			must(t, err)
			same(t, "the same by id", again, u)
		}
	}
	f.Add(t, User{Email: ada})
	u := find(t, f, ascii)
	same(t, "the name", u.Name, "Ada Lovelace")
	if u.ID == "" || u.ID == find(t, f, ada).ID {
		t.Errorf("the ids of two users are %q and %q", u.ID, find(t, f, ada).ID)
	}
	if u.Disabled || !u.MayReset() {
		t.Error("a new user may not reset")
	}
	for _, similar := range []string{
		"ada.l@example.test", "ada.l@examplé.test", "adal@exämple.test", "ada.l+x@exämple.test", "äda.l@exämple.test", "ada.l@sub.exämple.test",
		"bob@example.test.test", "bób@example.test", "boob@example.test",
	} {
		noUser(t, f, similar)
	}
}

// Users whose addresses only look alike are different users.
func testLookAlikes(t *testing.T, f Fixture) {
	all := []string{
		"kim@example.test", "\u212aim@example.test", "ｋim@example.test", "kım@example.test", "kím@example.test", "ki\u0301m@example.test",
		"KÍM@example.test", "kim@exаmple.test", "strasse@example.test", "straße@example.test",
	}
	alike := f.storable(slices.Clone(all)...)
	for i, email := range alike {
		for _, later := range alike[i:] {
			noUser(t, f, later)
		}
		f.Add(t, User{Email: email})
	}
	ids := map[string]bool{}
	for _, email := range alike {
		u := find(t, f, email)
		same(t, "the address found", u.Email.Raw(), email)
		ids[u.ID] = true
	}
	same(t, "different users", len(ids), len(alike))
	for _, email := range all {
		if !slices.Contains(alike, email) {
			noUser(t, f, email) // and what it cannot hold is nobody's
		}
	}
}

// Signs that mean something to a query language are plain signs in an address.
func testWildcards(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada})
	for _, s := range []string{
		"*@example.test", "ada*@example.test", "%@example.test", "a%@example.test", "a_a@example.test", "___@example.test", "?da@example.test",
		"'or'1'='1@example.test", "ada'--@example.test", "ada'/*@example.test", "{ada}@example.test", "$ada@example.test", "ada|@example.test", "!ada@example.test", "&ada@example.test",
	} {
		noUser(t, f, s)
	}
	f.Add(t, User{Email: "o'hara*_%@example.test"})
	same(t, "the address found", find(t, f, "O'Hara*_%@example.test").Email.Raw(), "o'hara*_%@example.test")
	noUser(t, f, "o'hara_a%@example.test")
}

func testDisabled(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada})
	f.Add(t, User{Email: bob})
	if f.Disable == nil {
		return // nobody is ever disabled; that new users are not is tested above
	}
	f.Disable(t, ada)
	u := find(t, f, ada) // found all the same: what follows from it is the domain's business
	byID, err := f.Directory.UserByID(t.Context(), u.ID)
	must(t, err)
	same(t, "by id", byID, u)
	if !u.Disabled || u.MayReset() {
		t.Error("a disabled user does not look disabled")
	}
	if find(t, f, bob).Disabled {
		t.Error("another user was disabled")
	}
}

func testAccounts(t *testing.T, f Fixture) {
	f.Add(t, User{Email: "loner@example.test"})
	same(t, "the accounts of a user in none", find(t, f, "loner@example.test").Accounts, []reset.Account(nil))
	if f.Suspend == nil {
		return // the directory knows no accounts
	}
	f.Add(t, User{Email: ada, Accounts: []string{"Globex", "Acme"}})
	f.Add(t, User{Email: bob, Accounts: []string{"Globex"}})
	f.Suspend(t, "Globex")
	names := func(email string) (list []string) {
		u := find(t, f, email)
		byID, err := f.Directory.UserByID(t.Context(), u.ID)
		must(t, err)
		same(t, "by id", byID, u)
		for _, a := range u.Accounts {
			name := a.Name
			if a.Suspended {
				name += ", suspended"
			}
			list = append(list, name)
		}
		return list
	}
	same(t, "accounts by name", names(ada), []string{"Acme", "Globex, suspended"})
	same(t, "another's", names(bob), []string{"Globex, suspended"})
	a, b := find(t, f, ada).Accounts, find(t, f, bob).Accounts
	if a[1].ID != b[0].ID || a[0].ID == a[1].ID || a[0].ID == 0 {
		t.Errorf("the ids of accounts are %d and %d, and %d for another user", a[0].ID, a[1].ID, b[0].ID)
	}
	if !find(t, f, ada).MayReset() || find(t, f, bob).MayReset() {
		t.Error("who may reset does not follow from the accounts")
	}
}
