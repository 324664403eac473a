package directorytest

import (
	"errors"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/reset"
)

// A removed user is found by nothing, and a change that was ready before changes nothing.
func testRemoved(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Password: oldPassword})
	f.Add(t, User{Email: bob, Password: oldPassword})
	if f.Remove == nil {
		return
	}
	u := find(t, f, ada)
	ready, err := f.Directory.Prepare(t.Context(), u, newPassword, nil)
	must(t, err)
	f.Remove(t, "ADA@example.test")
	noUser(t, f, ada)
	if _, err := f.Directory.UserByID(t.Context(), u.ID); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("UserByID of a removed user: %v, want ErrNoUser", err)
	}
	err = f.apply(t.Context(), ready)
	if !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("a password for a removed user: %v, want ErrNoUser", err)
	}
	samePassword(t, f, bob, oldPassword)

	f.Add(t, User{Email: ada}) // somebody else
	again := find(t, f, ada)
	if again.ID == u.ID || f.Verify(t, ada, oldPassword) || f.Verify(t, ada, newPassword) {
		t.Error("a new user of the same address has something of the removed one")
	}
}

// A user with another address is found by it alone, and is the same user.
func testAddressChanged(t *testing.T, f Fixture) {
	f.Add(t, User{Email: ada, Name: "Ada", Password: oldPassword})
	f.Add(t, User{Email: bob})
	if f.ChangeAddress == nil {
		return
	}
	to := f.storable("Ada.L@Exämple.test", "Ada.L@XN--exmple-cua.test")[0] // the same address
	before := find(t, f, ada)
	f.ChangeAddress(t, "ADA@example.test", to)
	noUser(t, f, ada)
	after := find(t, f, "ada.l@xn--exmple-cua.test")
	same(t, "the new address", after.Email.Raw(), to)
	before.Email = after.Email
	same(t, "the user but for the address", after, before)
	samePassword(t, f, after.Email.Raw(), oldPassword)
	must(t, set(t.Context(), f, before, newPassword)) // by the id, as a reset does
	samePassword(t, f, after.Email.Raw(), newPassword, oldPassword)

	spelling := strings.ToUpper(to[:len("ada.l")]) + to[len("ada.l"):]
	f.ChangeAddress(t, to, spelling) // another spelling alone
	same(t, "the spelling", find(t, f, "ada.l@exämple.test").Email.Raw(), spelling)
	f.ChangeAddress(t, bob, ada) // free again
	if find(t, f, ada).ID == after.ID {
		t.Error("the old address finds the user who had it")
	}
}
