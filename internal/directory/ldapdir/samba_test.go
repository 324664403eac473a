package ldapdir_test

import (
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/sambatest"
	"github.com/sparekey/sparekey/internal/reset"
)

func theSamba(t *testing.T) *sambatest.Server {
	t.Helper()
	return samba.get(t, sambatest.Start)
}

// branch is a part of an Active Directory with a directory of its own.
type branch struct {
	server    *sambatest.Server
	config    ldapdir.Config
	directory *ldapdir.Directory
}

func newBranch(t testing.TB, s *sambatest.Server, change ...func(c *ldapdir.Config)) *branch {
	t.Helper()
	b := &branch{server: s, config: ldapdir.Config{
		Servers: []string{"ldaps://" + s.Address()}, CA: s.Authority(), Base: s.Unit(t), Method: ldapdir.ActiveDirectory,
		BindDN: sambatest.Service, BindPassword: func() (string, error) { return sambatest.ServicePassword, nil }, Now: time.Now,
	}}
	for _, f := range change {
		f(&b.config)
	}
	b.directory = open(t, b.config)
	return b
}

func (b *branch) add(t testing.TB, email, name, password string) string {
	t.Helper()
	values := map[string][]string{"mail": {email}}
	if name != "" {
		values["displayName"] = []string{name}
	}
	return b.server.User(t, b.config.Base, values, password)
}

func (b *branch) dns(t *testing.T, email string) (list []string) {
	t.Helper()
	r, err := b.server.Admin(t).Search(ldap.NewSearchRequest(b.config.Base, ldap.ScopeWholeSubtree, 0, 0, 0, false,
		"(mail="+ldap.EscapeFilter(email)+")", []string{"mail"}, nil))
	must(t, err)
	key := address(t, email).Key()
	for _, e := range r.Entries {
		if a, err := reset.ParseAddress(e.GetAttributeValue("mail")); err == nil && a.Key() == key {
			list = append(list, e.DN)
		}
	}
	return list
}

func (b *branch) dn(t *testing.T, email string) string {
	t.Helper()
	list := b.dns(t, email)
	if len(list) != 1 {
		t.Fatalf("%d users have the address %s", len(list), email)
	}
	return list[0]
}

func (b *branch) fixture(p *toxiproxy.Proxy) directorytest.Fixture {
	return directorytest.Fixture{
		Directory: b.directory,
		MaxBytes:  512, // 256 UTF-16 code units, of four bytes each pair
		Add:       func(t *testing.T, user directorytest.User) { b.add(t, user.Email, user.Name, user.Password) },
		Verify: func(t *testing.T, email, password string) bool {
			for _, dn := range b.dns(t, email) {
				if b.server.Binds(t, dn, password) {
					return true
				}
			}
			return false
		},
		Disable: func(t *testing.T, email string) {
			b.server.Replace(t, b.dn(t, email), "userAccountControl", "514")
		},
		Remove: func(t *testing.T, email string) {
			must(t, b.server.Admin(t).Del(ldap.NewDelRequest(b.dn(t, email), nil)))
		},
		ChangeAddress: func(t *testing.T, email, to string) { b.server.Replace(t, b.dn(t, email), "mail", to) },
		Twin:          func(t *testing.T, email string) { b.add(t, email, "", "") },
		Down:          func(t *testing.T) func() { return down(t, p) },
		Stall:         func(t *testing.T) func() { return stall(t, p) },
		Forbid:        func(t *testing.T) { b.server.Forbid(t, b.dn(t, ada)) },
	}
}

// TestActiveDirectory: passwords by unicodePwd, in a domain of Samba.
func TestActiveDirectory(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
		s := theSamba(t)
		p, at := proxied(t, s.Address())
		return newBranch(t, s, func(c *ldapdir.Config) { c.Servers, c.Timeout = []string{"ldaps://" + at}, patienceOf(t) }).fixture(p)
	})
}
