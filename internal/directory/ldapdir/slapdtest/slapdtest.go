// Package slapdtest starts real OpenLDAP servers for tests, from Debian's slapd, each with its own ports, folder and
// certificates. It never touches a server that it did not start.
package slapdtest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/daemontest"
)

// What every server has.
const (
	Base     = "dc=example,dc=test"
	Services = "ou=services," + Base    // whose entries may read all but passwords
	Writers  = "cn=resetters," + Base   // whose members may set passwords
	Policies = "ou=policies," + Base    // for policies of ppolicy
	Default  = "cn=default," + Policies // the policy of whoever has none of their own: it asks for nothing

	// Root may do all; passwords that it sets are beyond any policy.
	RootDN = "cn=root," + Base
	// The servers listen on loopback alone and hold what tests put there.
	RootPassword = "tester's own"
)

// Options are what a server has besides.
type Options struct {
	// Names are in its certificate. Default: 127.0.0.1.
	Names []string
	// Access replaces the rules of access, in lines of slapd.conf.
	Access string
	// Global are further lines for the whole server.
	Global string
	// Database are further lines for the database.
	Database string
	// NoPolicy leaves out the overlay ppolicy.
	NoPolicy bool
	// Config lets ConfigRoot change the configuration.
	Config bool
	// Durable has each change reach the disk, as outside of tests.
	Durable bool
	// NoTLS leaves out the certificate.
	NoTLS bool
}

// access lets members of a group set passwords, and services read the rest. What a group may is asked at each request.
const access = `
access to attrs=userPassword by group.exact="` + Writers + `" =w by anonymous auth by * none
access to attrs=pwdAccountLockedTime by group.exact="` + Writers + `" write by dn.children="` + Services + `" read by * none
access to * by dn.children="` + Services + `" read by * none
`

// Server is a running slapd.
type Server struct {
	dir         string
	port, tls   int
	authority   *certtest.Authority
	daemon      daemontest.Daemon
	units, made atomic.Int64
}

// Start makes a server in a temporary folder and starts it. The caller ends it with Close.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := StartIn("", o)
	must(t, err)
	return s
}

// StartIn is Start where there is no test, with the folder in which the temporary one is made; empty: the usual one.
func StartIn(parent string, o Options) (s *Server, err error) {
	s = &Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := s.prepare(parent, o); err != nil {
		return s, err
	}
	if err := s.daemon.Start(); err != nil {
		return s, err
	}
	return s, s.seed(o)
}

// New is Start for one test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s := Start(t, o)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func (s *Server) prepare(parent string, o Options) (err error) {
	if s.dir, err = os.MkdirTemp(parent, "sparekey-slapd-"); err != nil {
		return err
	}
	if s.authority, err = certtest.Make(); err != nil {
		return err
	}
	if err := os.WriteFile(s.AuthorityFile(), s.authority.PEM(), 0o600); err != nil {
		return err
	}
	if s.port, err = daemontest.FreePort(); err != nil {
		return err
	}
	if s.tls, err = daemontest.FreePort(); err != nil {
		return err
	}
	if o.Names == nil {
		o.Names = []string{"127.0.0.1"}
	}
	if o.Access == "" {
		o.Access = access
	}
	overlay := "overlay ppolicy\nppolicy_default \"" + Default + "\"\n"
	if o.NoPolicy {
		overlay = ""
	}
	certificate, key, err := s.authority.WriteGood(s.dir, o.Names...)
	if err != nil {
		return err
	}
	database := filepath.Join(s.dir, "database")
	if err := os.Mkdir(database, 0o700); err != nil {
		return err
	}
	identity, listeners := "TLSCertificateFile "+certificate+"\nTLSCertificateKeyFile "+key, fmt.Sprintf("ldap://%s ldaps://%s", s.Address(), s.SecureAddress())
	configuration := ""
	if o.Config {
		configuration = "database config\nrootpw \"" + RootPassword + "\""
	}
	sync := "dbnosync"
	if o.Durable {
		sync = ""
	}
	if o.NoTLS {
		identity, listeners = "", "ldap://"+s.Address()
	}
	lines := []string{
		"include /etc/ldap/schema/core.schema", "include /etc/ldap/schema/cosine.schema", "include /etc/ldap/schema/inetorgperson.schema",
		"pidfile " + filepath.Join(s.dir, "pid"), "modulepath /usr/lib/ldap", "moduleload back_mdb", "moduleload ppolicy", "moduleload pw-sha2",
		identity, "disallow bind_anon", "threads 4", o.Global,
		configuration, "database mdb", "suffix " + Base, "rootdn " + RootDN, "rootpw \"" + RootPassword + "\"", "directory " + database,
		sync, "maxsize 67108864", "index objectClass,mail,entryUUID eq", o.Database, overlay, o.Access,
	}
	conf := filepath.Join(s.dir, "slapd.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	// -d keeps it in the foreground; 0 has it say nothing but what keeps it from starting.
	s.daemon.Args, s.daemon.Ready = []string{"-d", "0", "-f", conf, "-h", listeners}, daemontest.Accepting(s.Address())
	s.daemon.Path, err = daemontest.Program("slapd", "slapd")
	return err
}

// seed adds what every server has.
func (s *Server) seed(o Options) error {
	root, err := s.Dial()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	entries := [][]string{
		{Base, "objectClass", "domain", "dc", "example"},
		{Services, "objectClass", "organizationalUnit"},
		{Policies, "objectClass", "organizationalUnit"},
		{Writers, "objectClass", "groupOfNames", "member", RootDN}, // a group has a member (RFC 4519, 3.5)
	}
	if !o.NoPolicy {
		entries = append(entries, append([]string{Default}, policy...))
	}
	for _, e := range entries {
		if err := AddEntry(root, e[0], e[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends the server: SIGINT in good order, SIGKILL as a crash.
func (s *Server) Stop(t testing.TB, sig syscall.Signal) {
	t.Helper()
	must(t, s.daemon.Stop(sig))
}

// Restart starts it after Stop.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	must(t, s.daemon.Start())
}

// Crash ends the server and starts it again. It may be called from any goroutine.
func (s *Server) Crash(sig syscall.Signal) error { return s.daemon.Restart(sig) }

// Await waits until a Crash is over.
func (s *Server) Await() { s.daemon.Await() }

// Amend adds lines to the database's configuration, and starts the server anew.
func (s *Server) Amend(t testing.TB, lines string) {
	t.Helper()
	s.Stop(t, syscall.SIGINT)
	path := filepath.Join(s.dir, "slapd.conf")
	conf, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(conf, lines+"\n"...), 0o600)) //nolint:gosec // a path of its own
	s.Restart(t)
}

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	return errors.Join(s.daemon.Stop(syscall.SIGINT), os.RemoveAll(s.dir)) // of no folder it removes nothing
}

// Address is where it takes connections without TLS, or with StartTLS.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// SecureAddress is where it takes connections with TLS.
func (s *Server) SecureAddress() string { return "127.0.0.1:" + strconv.Itoa(s.tls) }

// Authority signs its certificate.
func (s *Server) Authority() *x509.CertPool { return s.authority.Pool() }

// AuthorityFile is a PEM file with it, there as long as the server.
func (s *Server) AuthorityFile() string { return filepath.Join(s.dir, "authority.pem") }

// Pool is the authorities of this and of other servers.
func (s *Server) Pool(t testing.TB, others ...*Server) *x509.CertPool {
	t.Helper()
	pool := s.authority.Pool()
	for _, other := range others {
		if !pool.AppendCertsFromPEM(other.authority.PEM()) {
			t.Fatal("an authority has no certificate")
		}
	}
	return pool
}

// Root connects as RootDN, until the test ends.
func (s *Server) Root(t testing.TB) *ldap.Conn {
	t.Helper()
	return s.As(t, RootDN, RootPassword)
}

// Dial is Root where there is no test. Whoever calls it closes the connection.
func (s *Server) Dial() (*ldap.Conn, error) { return s.dialAs(RootDN, RootPassword) }

// ConfigRoot connects as who may change the configuration; see Options.
func (s *Server) ConfigRoot(t testing.TB) *ldap.Conn {
	t.Helper()
	return s.As(t, "cn=config", RootPassword)
}

// As connects as somebody.
func (s *Server) As(t testing.TB, dn, password string) *ldap.Conn {
	t.Helper()
	conn, err := s.dialAs(dn, password)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *Server) dialAs(dn, password string) (*ldap.Conn, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(dn, password); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (s *Server) dial() (*ldap.Conn, error) {
	conn, err := ldap.DialURL("ldap://" + s.Address())
	if err == nil {
		conn.SetTimeout(time.Minute)
	}
	return conn, err
}

// Binds reports whether a password is an entry's.
func (s *Server) Binds(t testing.TB, dn, password string) bool {
	t.Helper()
	if password == "" {
		return false // that would be an anonymous bind
	}
	conn, err := s.dial()
	must(t, err)
	defer func() { _ = conn.Close() }()
	err = conn.Bind(dn, password)
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		t.Fatal(err)
	}
	return err == nil
}
