package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/directory/ldapdir/sambatest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
)

// sambaUsers is how many a domain has: to add one takes it some milliseconds.
const sambaUsers = 2000

// tree is an LDAP server's part with users, and who may set their passwords.
type tree struct {
	url, base, service, password string
	authorities                  string // the name of a PEM file
	more                         string // settings
	users                        int
	entry                        func(i int) *ldap.AddRequest
	set                          func(conn *ldap.Conn, dn string) error
	against                      string
}

// slapdDirectory hashes by argon2id, with the parameters of the others (slappw-argon2(5)).
func (b *bench) slapdDirectory(ctx context.Context) (*elsewhere, error) {
	return b.openLDAP(ctx, "OpenLDAP with {ARGON2}", "moduleload argon2 m=19456 t=2 p=1\npassword-hash {ARGON2}")
}

// quickDirectory hashes by what Debian's slapd does where nothing else is set: once by SHA-1.
func (b *bench) quickDirectory(ctx context.Context) (*elsewhere, error) {
	return b.openLDAP(ctx, "OpenLDAP with {SSHA}", "")
}

func (b *bench) openLDAP(ctx context.Context, name, global string) (_ *elsewhere, err error) {
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return nil, err
	}
	s, err := slapdtest.StartIn(dir, slapdtest.Options{Durable: true, Global: global, Database: "maxsize 1073741824"})
	if err != nil {
		return nil, err
	}
	const people, service, password = "ou=people," + slapdtest.Base, "cn=bench," + slapdtest.Services, "a service's own"
	e, err := b.ldapDirectory(ctx, s.Dial, tree{
		url: "ldaps://" + s.SecureAddress(), base: people, service: service, password: password, authorities: s.AuthorityFile(), users: directoryUsers,
		entry: func(i int) *ldap.AddRequest {
			r := ldap.NewAddRequest(fmt.Sprintf("uid=user%d,%s", i, people), nil)
			r.Attribute("objectClass", []string{"inetOrgPerson"})
			r.Attribute("cn", []string{"Somebody"})
			r.Attribute("sn", []string{"Somebody"})
			r.Attribute("mail", []string{email(i)})
			return r
		},
		set: func(conn *ldap.Conn, dn string) error {
			_, err := conn.PasswordModify(ldap.NewPasswordModifyRequest(dn, "", "correct horse battery staple"))
			return err
		},
		against: "password modify operations/s by go-ldap",
	}, func(root *ldap.Conn) error {
		may := ldap.NewModifyRequest(slapdtest.Writers, nil)
		may.Add("member", []string{service})
		return errors.Join(
			slapdtest.AddEntry(root, people, "objectClass", "organizationalUnit"),
			slapdtest.AddEntry(root, service, "objectClass", "organizationalRole", "objectClass", "simpleSecurityObject", "userPassword", password),
			root.Modify(may))
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	e.name, e.close = name, s.Close
	return e, nil
}

func (b *bench) sambaDirectory(ctx context.Context) (_ *elsewhere, err error) {
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return nil, err
	}
	s, err := sambatest.StartIn(dir)
	if err != nil {
		return nil, err
	}
	e, err := b.ldapDirectory(ctx, s.Dial, tree{
		url: "ldaps://" + s.Address(), base: sambatest.People, service: sambatest.Service, password: sambatest.ServicePassword,
		authorities: s.AuthorityFile(), users: sambaUsers, more: "method: ad\n",
		entry: func(i int) *ldap.AddRequest {
			login := fmt.Sprintf("user%d", i)
			r := ldap.NewAddRequest("CN="+login+","+sambatest.People, nil)
			r.Attribute("objectClass", []string{"user"})
			r.Attribute("sAMAccountName", []string{login})
			r.Attribute("userAccountControl", []string{"544"}) // a user who needs no password (MS-ADTS 2.2.16)
			r.Attribute("mail", []string{email(i)})
			return r
		},
		set: func(conn *ldap.Conn, dn string) error {
			m := ldap.NewModifyRequest(dn, nil)
			m.Replace("unicodePwd", []string{sambatest.Quoted("correct horse battery staple")})
			return conn.Modify(m)
		},
		against: "modify operations of unicodePwd/s by go-ldap",
	}, func(*ldap.Conn) error { return nil })
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	e.name, e.close = "Active Directory (Samba)", s.Close
	return e, nil
}

// ldapDirectory adds the users.
func (b *bench) ldapDirectory(ctx context.Context, dial func() (*ldap.Conn, error), t tree, prepare func(root *ldap.Conn) error) (*elsewhere, error) {
	roots, end, err := conns(connections, dial)
	if err != nil {
		return nil, err
	}
	defer end()
	if err := prepare(roots[0]); err != nil {
		return nil, err
	}
	_, err = rate(ctx, len(roots), 10*time.Minute, func(w, i int) error {
		if n := w + i*len(roots); n < t.users {
			return roots[w].Add(t.entry(n))
		}
		return errEnough
	})
	if err != nil {
		return nil, err
	}
	return &elsewhere{
		settings: fmt.Sprintf("ldap\nservers: [%q]\nca_file: %s\nbase: %s\nbind:\n  dn: %s\n  password: %q\n%s", t.url, t.authorities, t.base, t.service, t.password, t.more),
		users:    t.users, against: t.against, raw: t.raw,
	}, nil
}

// raw sets passwords by as many connections as the directory has.
func (t tree) raw(context.Context) (func(w, i int) error, func() error, error) {
	pem, err := os.ReadFile(t.authorities)
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	list, end, err := conns(connections, func() (*ldap.Conn, error) {
		conn, err := ldap.DialURL(t.url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
		if err != nil {
			return nil, err
		}
		conn.SetTimeout(time.Minute)
		return conn, conn.Bind(t.service, t.password)
	})
	if err != nil {
		return nil, nil, err
	}
	free := make(chan *ldap.Conn, len(list))
	for _, conn := range list {
		free <- conn
	}
	return func(w, i int) error {
		conn := <-free
		defer func() { free <- conn }()
		return t.set(conn, t.entry((w+i*workers)%t.users).DN)
	}, func() error { end(); return nil }, nil
}

// conns opens so many.
func conns(n int, dial func() (*ldap.Conn, error)) (list []*ldap.Conn, end func(), err error) {
	end = func() {
		for _, conn := range list {
			_ = conn.Close()
		}
	}
	for range n {
		conn, err := dial()
		if conn != nil {
			list = append(list, conn)
		}
		if err != nil {
			end()
			return nil, nil, err
		}
	}
	return list, end, nil
}
