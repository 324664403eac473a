package ldapdir_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
)

// TestManyCandidates: more entries than the server tells at once are looked at page by page, and of all that the filter
// finds the one with the address is the user.
func TestManyCandidates(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	if err := s.Root(t).Add(unitRequest(limited)); err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultEntryAlreadyExists) {
		t.Fatal(err)
	}
	who, password := s.ServiceIn(t, limited, true)
	u := newUnit(t, s, func(c *ldapdir.Config) {
		c.BindDN, c.BindPassword = who, func() (string, error) { return password, nil }
		c.AddressFilter = "(|(mail={address})(description=everybody))"
	})
	const users = 130 // more than a page; the server tells this service of 5 without pages
	for i := range users {
		u.add(t, fmt.Sprintf("user%d@example.test", i), "", "", "description", "everybody")
	}
	for i := range users {
		email := fmt.Sprintf("user%d@example.test", i)
		if got := find(t, u.directory, email); got.Email.Raw() != email {
			t.Errorf("found %q", got.Email.Raw())
		}
	}
	if _, err := u.directory.UserByAddress(t.Context(), address(t, bob)); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("nobody has the address: %v", err)
	}
	u.add(t, "user3@example.test", "", "")
	if _, err := u.directory.UserByAddress(t.Context(), address(t, "user3@example.test")); !errors.Is(err, reset.ErrAmbiguous) {
		t.Errorf("two have the address: %v", err)
	}
	find(t, u.directory, "user5@example.test") // on the connection on which the pages were given up
}

func unitRequest(dn string) *ldap.AddRequest {
	r := ldap.NewAddRequest(dn, nil)
	r.Attribute("objectClass", []string{"organizationalUnit"})
	return r
}

// TestReferences: entries that point to other servers are passed over, and nobody connects there.
func TestReferences(t *testing.T) {
	t.Parallel()
	s := theSlapd(t)
	u := newUnit(t, s)
	u.add(t, ada, "", oldPassword)
	slapdtest.Add(t, s.Root(t), "ou=elsewhere,"+u.config.Base, "objectClass", "referral", "objectClass", "extensibleObject", "ref", "ldap://127.0.0.1:1/dc=elsewhere,dc=test")
	must(t, set(t.Context(), u.directory, find(t, u.directory, ada), newPassword))
	if _, err := u.directory.UserByAddress(t.Context(), address(t, bob)); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("an unknown address: %v", err)
	}
	var steps []string
	must(t, u.directory.Check(t.Context(), func(line string) { steps = append(steps, line) }))
	if !strings.Contains(strings.Join(steps, "\n"), "1 references to other servers") {
		t.Errorf("the check does not tell of the reference: %q", steps)
	}
	// A base that is itself such an entry is a setting to change.
	c := u.config
	c.Base = "ou=elsewhere," + u.config.Base
	_, err := open(t, c).UserByAddress(t.Context(), address(t, ada))
	unavailable(t, err)
	names(t, err, "servers", "that hold base")
}

// TestAttributes: of several addresses the one that was asked for is mailed; accounts, language and what disables are read as configured.
func TestAttributes(t *testing.T) {
	t.Parallel()
	u := newUnit(t, theSlapd(t), func(c *ldapdir.Config) {
		c.Attributes = ldapdir.Attributes{ID: "UID", Name: "displayName", Account: "o", Disabled: "employeeType", DisabledValue: "gone"}
	})
	u.add(t, ada, "Ada Lovelace", "", "mail", "Countess@Example.test", "mail", "no address", "o", "Globex", "o", "Acme", "preferredLanguage", "de-AT, en;q=0.5")
	u.add(t, bob, "", "", "employeeType", "GONE")
	first, second := find(t, u.directory, "ADA@example.test"), find(t, u.directory, "countess@example.test")
	if first.Email.Raw() != ada || second.Email.Raw() != "Countess@Example.test" {
		t.Errorf("the addresses are %q and %q", first.Email.Raw(), second.Email.Raw())
	}
	if first.ID != "user1" || second.ID != first.ID || first.Name != "Ada Lovelace" || first.Locale != "de-AT" || first.Disabled {
		t.Errorf("the user is %+v", first)
	}
	if len(first.Accounts) != 2 || first.Accounts[0].Name != "Acme" || first.Accounts[1].Name != "Globex" || first.Accounts[0].ID != 0 {
		t.Errorf("the accounts are %+v", first.Accounts)
	}
	byID, err := u.directory.UserByID(t.Context(), "user1")
	must(t, err)
	if byID.Name != first.Name {
		t.Errorf("by id: %+v", byID)
	}
	if !find(t, u.directory, bob).Disabled {
		t.Error("bob is not disabled")
	}
	for _, id := range []string{"USER1", " user1", "user1 ", "user*", "ｕser1"} { // OpenLDAP takes some of them for alike
		if _, err := u.directory.UserByID(t.Context(), id); !errors.Is(err, reset.ErrNoUser) {
			t.Errorf("the id %q: %v, want ErrNoUser", id, err)
		}
	}
	u.add(t, "no@example.test", "", "")
	u.replace(t, u.dn(t, "no@example.test"), "mail", "not an address")
	if _, err := u.directory.UserByID(t.Context(), "user3"); !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("a user without an address: %v", err)
	}
}
