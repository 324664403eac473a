package ldapdir_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
)

// records reads a file of LDIF (RFC 2849), as far as the samples go: an entry, or one attribute of one that is added to.
func records(t *testing.T, file string) (list [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	must(t, err)
	sample := strings.NewReplacer("dc=com", "dc=test", "PASSWORD", "a service's own").Replace(string(text))
	for record := range strings.SplitSeq(strings.TrimSpace(sample), "\n\n") {
		var pairs []string
		for line := range strings.SplitSeq(record, "\n") {
			name, value, ok := strings.Cut(line, ": ")
			if !ok {
				t.Fatalf("%s: %q", file, line)
			}
			pairs = append(pairs, name, value)
		}
		list = append(list, pairs)
	}
	return list
}

// TestOpenLDAPSample: the entry and the rights that docs/directories.md gives are enough for a reset, and no more than that.
func TestOpenLDAPSample(t *testing.T) {
	t.Parallel()
	s := slapdtest.New(t, slapdtest.Options{Access: "access to * by * none", Config: true})
	root := s.Root(t)
	for _, r := range records(t, "openldap-service.ldif") {
		if r[1] != slapdtest.Services { // every server of the tests has that one
			slapdtest.Add(t, root, r[1], r[2:]...)
		}
	}
	people := "ou=people," + slapdtest.Base
	must(t, root.Add(unitRequest(people)))
	for _, r := range records(t, "openldap-access.ldif") {
		var values []string
		for pair := range slices.Chunk(r[6:], 2) {
			values = append(values, pair[1])
		}
		m := ldap.NewModifyRequest(r[1], nil)
		m.Add(r[5], values)
		must(t, s.ConfigRoot(t).Modify(m))
	}
	u := &unit{server: s, mail: "mail", config: ldapdir.Config{
		Servers: []string{"ldaps://" + s.SecureAddress()}, CA: s.Authority(), Base: people, Unlock: true,
		BindDN: "cn=sparekey," + slapdtest.Services, BindPassword: func() (string, error) { return "a service's own", nil }, Now: time.Now,
	}}
	u.directory = open(t, u.config)
	dn := u.add(t, ada, "", oldPassword)
	must(t, u.directory.Check(t.Context(), func(line string) { t.Log(line) }))
	user := find(t, u.directory, ada)
	must(t, set(t.Context(), u.directory, user, newPassword))
	if !s.Binds(t, dn, newPassword) {
		t.Error("the password was not set")
	}
	u.replace(t, dn, "pwdAccountLockedTime", "000001010000Z")
	if !find(t, u.directory, ada).Disabled {
		t.Error("an administrator's lock is not seen")
	}
	conn := s.As(t, u.config.BindDN, "a service's own")
	r, err := conn.Search(ldap.NewSearchRequest(people, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(mail=*)", []string{"userPassword"}, nil))
	must(t, err)
	if len(r.Entries) != 1 || len(r.Entries[0].Attributes) != 0 {
		t.Error("the service may read hashes")
	}
	m := ldap.NewModifyRequest(dn, nil)
	m.Replace("mail", []string{bob})
	if err := conn.Modify(m); !ldap.IsErrorWithCode(err, ldap.LDAPResultInsufficientAccessRights) {
		t.Errorf("the service may change addresses: %v", err)
	}
	_, err = u.directory.UserByAddress(t.Context(), address(t, bob))
	if !errors.Is(err, reset.ErrNoUser) {
		t.Errorf("an unknown address: %v", err)
	}
}
