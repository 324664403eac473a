package slapdtest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Service adds a service and returns its DN and password; if it writes, it may set passwords.
func (s *Server) Service(t testing.TB, writes bool) (dn, password string) {
	t.Helper()
	return s.ServiceIn(t, Services, writes)
}

// ServiceIn is Service for a service below an entry that is below Services.
func (s *Server) ServiceIn(t testing.TB, parent string, writes bool) (dn, password string) {
	t.Helper()
	dn, password = fmt.Sprintf("cn=service%d,%s", s.made.Add(1), parent), "a service's own"
	Add(t, s.Root(t), dn, "objectClass", "organizationalRole", "objectClass", "simpleSecurityObject", "userPassword", password)
	if writes {
		s.Allow(t, dn, true)
	}
	return dn, password
}

// Allow gives or takes the right to set passwords.
func (s *Server) Allow(t testing.TB, dn string, allowed bool) {
	t.Helper()
	m := ldap.NewModifyRequest(Writers, nil)
	if allowed {
		m.Add("member", []string{dn})
	} else {
		m.Delete("member", []string{dn})
	}
	must(t, s.Root(t).Modify(m))
}

// Unit adds a folder for users.
func (s *Server) Unit(t testing.TB) (dn string) {
	t.Helper()
	dn = fmt.Sprintf("ou=unit%d,%s", s.units.Add(1), Base)
	Add(t, s.Root(t), dn, "objectClass", "organizationalUnit")
	return dn
}

// policy is what every policy is.
var policy = []string{"objectClass", "device", "objectClass", "pwdPolicy", "pwdAttribute", "userPassword"}

// Policy adds a policy, with pairs of attributes and values, and returns its DN.
func (s *Server) Policy(t testing.TB, pairs ...string) (dn string) {
	t.Helper()
	dn = fmt.Sprintf("cn=policy%d,%s", s.made.Add(1), Policies)
	Add(t, s.Root(t), dn, append(slices.Clone(policy), pairs...)...)
	return dn
}

// Add adds an entry of pairs of attributes and values; what its own name says is added by itself.
func Add(t testing.TB, conn *ldap.Conn, dn string, pairs ...string) {
	t.Helper()
	must(t, AddEntry(conn, dn, pairs...))
}

// AddEntry is Add where there is no test.
func AddEntry(conn *ldap.Conn, dn string, pairs ...string) error {
	name, err := ldap.ParseDN(dn)
	if err != nil {
		return err
	}
	r := ldap.NewAddRequest(dn, nil)
	values := map[string][]string{}
	var order []string
	own := name.RDNs[0].Attributes[0]
	for pair := range slices.Chunk(append(pairs, own.Type, own.Value), 2) {
		attribute, value := pair[0], pair[1]
		if values[attribute] == nil {
			order = append(order, attribute)
		}
		if !slices.Contains(values[attribute], value) {
			values[attribute] = append(values[attribute], value)
		}
	}
	for _, attribute := range order {
		r.Attribute(attribute, values[attribute])
	}
	return conn.Add(r)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
