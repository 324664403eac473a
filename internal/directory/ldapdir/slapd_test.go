package ldapdir_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/go-ldap/ldap/v3"
	"github.com/rs/zerolog"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
)

const (
	ada = "ada@example.test"
	bob = "bob@example.test"

	oldPassword = "correct horse battery staple"
	newPassword = "a quiet harbour in november"

	// brief is how long a directory waits where it is to wait in vain.
	brief = 900 * time.Millisecond
)

// patienceOf is how long a directory of the suite waits: in one test in vain, in the others as long as a busy machine takes.
func patienceOf(t *testing.T) time.Duration {
	t.Helper()
	if strings.HasSuffix(t.Name(), "/Stalled") {
		return brief
	}
	return 20 * time.Second
}

// unit is a part of a slapd with a directory of its own.
type unit struct {
	server    *slapdtest.Server
	config    ldapdir.Config
	directory *ldapdir.Directory
	mail      string // the attribute with addresses
	users     atomic.Int64
}

// newUnit makes one; change may change its configuration before it is opened.
func newUnit(t testing.TB, s *slapdtest.Server, change ...func(c *ldapdir.Config)) *unit {
	t.Helper()
	u := &unit{server: s, mail: "mail"}
	dn, password := s.Service(t, true)
	u.config = ldapdir.Config{
		Servers: []string{"ldaps://" + s.SecureAddress()}, CA: s.Authority(), Base: s.Unit(t),
		BindDN: dn, BindPassword: func() (string, error) { return password, nil },
		Attributes: ldapdir.Attributes{Name: "displayName"}, Now: time.Now,
	}
	for _, f := range change {
		f(&u.config)
	}
	if name := u.config.Attributes.Mail; name != "" {
		u.mail = name
	}
	u.directory = open(t, u.config)
	return u
}

// add adds a user, and returns the DN.
func (u *unit) add(t testing.TB, email, name, password string, pairs ...string) string {
	t.Helper()
	root := u.server.Root(t)
	dn := fmt.Sprintf("uid=user%d,%s", u.users.Add(1), u.config.Base)
	pairs = append(pairs, "objectClass", "inetOrgPerson", "cn", "somebody", "sn", "somebody", u.mail, email)
	if name != "" {
		pairs = append(pairs, "displayName", name)
	}
	slapdtest.Add(t, root, dn, pairs...)
	if password != "" {
		_, err := root.PasswordModify(ldap.NewPasswordModifyRequest(dn, "", password))
		must(t, err)
	}
	return dn
}

// dn finds the one user with an address.
func (u *unit) dn(t *testing.T, email string) string {
	t.Helper()
	list := u.dns(t, email)
	if len(list) != 1 {
		t.Fatalf("%d users have the address %s", len(list), email)
	}
	return list[0]
}

func (u *unit) dns(t *testing.T, email string) (list []string) {
	t.Helper()
	r, err := u.server.Root(t).Search(ldap.NewSearchRequest(u.config.Base, ldap.ScopeWholeSubtree, 0, 0, 0, false,
		"("+u.mail+"="+ldap.EscapeFilter(email)+")", []string{u.mail}, nil))
	must(t, err)
	key := address(t, email).Key()
	for _, e := range r.Entries {
		for _, s := range e.GetAttributeValues(u.mail) {
			if a, err := reset.ParseAddress(s); err == nil && a.Key() == key {
				list = append(list, e.DN)
			}
		}
	}
	return list
}

func (u *unit) replace(t *testing.T, dn, attribute string, values ...string) {
	t.Helper()
	m := ldap.NewModifyRequest(dn, nil)
	m.Replace(attribute, values)
	must(t, u.server.Root(t).Modify(m))
}

func address(t testing.TB, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	must(t, err)
	return a
}

// fixture is a unit behind a proxy, for the suite.
func (u *unit) fixture(p *toxiproxy.Proxy) directorytest.Fixture {
	return directorytest.Fixture{
		Directory: u.directory,
		Add: func(t *testing.T, user directorytest.User) {
			u.add(t, user.Email, user.Name, user.Password)
		},
		Verify: func(t *testing.T, email, password string) bool {
			for _, dn := range u.dns(t, email) {
				if u.server.Binds(t, dn, password) {
					return true
				}
			}
			return false
		},
		Disable: func(t *testing.T, email string) {
			u.replace(t, u.dn(t, email), "pwdAccountLockedTime", "000001010000Z")
		},
		Remove: func(t *testing.T, email string) {
			must(t, u.server.Root(t).Del(ldap.NewDelRequest(u.dn(t, email), nil)))
		},
		ChangeAddress: func(t *testing.T, email, to string) { u.replace(t, u.dn(t, email), u.mail, to) },
		Twin:          func(t *testing.T, email string) { u.add(t, email, "", "") },
		Down:          func(t *testing.T) func() { return down(t, p) },
		Stall:         func(t *testing.T) func() { return stall(t, p) },
		Forbid:        func(t *testing.T) { u.server.Allow(t, u.config.BindDN, false) },
	}
}

// proxied puts toxiproxy in front of a server and answers where it listens.
func proxied(t *testing.T, upstream string) (*toxiproxy.Proxy, string) {
	t.Helper()
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), t.Name(), "127.0.0.1:0", upstream)
	must(t, p.Start())
	t.Cleanup(p.Stop)
	return p, p.Listen
}

func down(t *testing.T, p *toxiproxy.Proxy) (up func()) {
	t.Helper()
	p.Stop()
	return func() { must(t, p.Start()) }
}

// stall holds back every answer, and nothing that is sent.
func stall(t *testing.T, p *toxiproxy.Proxy) (end func()) {
	t.Helper()
	_, err := p.Toxics.AddToxicJson(strings.NewReader(`{"name":"stall","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`))
	must(t, err)
	return func() { p.Toxics.ResetToxics(context.WithoutCancel(t.Context())) }
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// TestOpenLDAP: passwords by RFC 3062, addresses in mail, which holds ASCII alone.
func TestOpenLDAP(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
		s := theSlapd(t)
		p, at := proxied(t, s.SecureAddress())
		f := newUnit(t, s, func(c *ldapdir.Config) { c.Servers, c.Timeout = []string{"ldaps://" + at}, patienceOf(t) }).fixture(p)
		f.Storable = isASCII
		return f
	})
}

// TestOpenLDAPUnicode: an attribute whose matching rule takes much for alike that is not the same address.
func TestOpenLDAPUnicode(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(t *testing.T) directorytest.Fixture {
		s := theSlapd(t)
		p, at := proxied(t, s.Address())
		return newUnit(t, s, func(c *ldapdir.Config) {
			c.Servers, c.StartTLS, c.Timeout = []string{"ldap://" + at}, true, patienceOf(t)
			c.Attributes.Mail = "description"
		}).fixture(p)
	})
}
