package ldapdir_test

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/sambatest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
	"github.com/sparekey/sparekey/internal/reset"
)

// atOnce is how many change passwords at once, each on a connection.
const atOnce = 4

// benchChange measures changes through a directory, and the same by the library alone.
func benchChange(b *testing.B, c ldapdir.Config, dns []string, users []reset.User, raw func(conn *ldap.Conn, dn, password string) error) {
	b.Helper()
	c.Connections = atOnce
	d := open(b, c)
	var n atomic.Int64
	next := func() (int, string) {
		i := n.Add(1)
		return int(i) % len(dns), fmt.Sprintf("a password of number %d", i)
	}
	b.Run("directory", func(b *testing.B) {
		b.SetParallelism(atOnce)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				i, password := next()
				must(b, set(b.Context(), d, users[i], password))
			}
		})
	})
	b.Run("library", func(b *testing.B) {
		password, err := c.BindPassword()
		must(b, err)
		conns := make(chan *ldap.Conn, atOnce)
		for range atOnce {
			conn, err := ldap.DialURL(c.Servers[0], ldap.DialWithTLSConfig(&tls.Config{RootCAs: c.CA, MinVersion: tls.VersionTLS12}))
			must(b, err)
			defer func() { _ = conn.Close() }()
			must(b, conn.Bind(c.BindDN, password))
			conns <- conn
		}
		b.SetParallelism(atOnce)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				i, password := next()
				conn := <-conns
				must(b, raw(conn, dns[i], password))
				conns <- conn
			}
		})
	})
}

func BenchmarkOpenLDAP(b *testing.B) {
	for name, o := range map[string]slapdtest.Options{"in memory": {}, "on disk": {Durable: true}} {
		b.Run(name, func(b *testing.B) {
			s := slapdtest.New(b, o)
			u := newUnit(b, s)
			dns, users := people(b, func(email string) string { return u.add(b, email, "", oldPassword) }, u.directory)
			benchChange(b, u.config, dns, users, func(conn *ldap.Conn, dn, password string) error {
				_, err := conn.PasswordModify(ldap.NewPasswordModifyRequest(dn, "", password))
				return err
			})
		})
	}
}

func BenchmarkActiveDirectory(b *testing.B) {
	s := sambatest.Start(b)
	b.Cleanup(func() { must(b, s.Close()) })
	br := newBranch(b, s)
	dns, users := people(b, func(email string) string { return br.add(b, email, "", oldPassword) }, br.directory)
	benchChange(b, br.config, dns, users, func(conn *ldap.Conn, dn, password string) error {
		m := ldap.NewModifyRequest(dn, nil)
		m.Replace("unicodePwd", []string{sambatest.Quoted(password)})
		return conn.Modify(m)
	})
}

// people adds users.
func people(b *testing.B, add func(email string) string, d reset.Directory) (dns []string, users []reset.User) {
	b.Helper()
	for i := range 50 {
		email := fmt.Sprintf("user%d@example.test", i)
		dns = append(dns, add(email))
		users = append(users, find(b, d, email))
	}
	return dns, users
}
