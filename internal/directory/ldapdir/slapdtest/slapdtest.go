// Package slapdtest starts real OpenLDAP servers for tests, from Debian's slapd, each with its own ports, folder and
// certificates. It never touches a server that it did not start.
package slapdtest

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/daemontest"
)

// What every server has.
const (
	Base     = "dc=example,dc=test"
	Services = "ou=services," + Base    // whose entries may read all but passwords
	Writers  = "cn=resetters," + Base   // whose members may set passwords
	Policies = "ou=policies," + Base    // for policies of ppolicy
	Default  = "cn=default," + Policies // the policy of whoever has none of their own: it asks for nothing
	rootDN   = "cn=root," + Base
	// The servers listen on loopback alone and hold what tests put there.
	rootPassword = "tester's own"
)

// Options are what a server has besides.
type Options struct {
	// Names are in its certificate. Default: 127.0.0.1.
	Names []string
	// Access replaces the rules of access, in lines of slapd.conf.
	Access string
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
	daemon      *daemontest.Daemon
	units, made atomic.Int64
	running     sync.Mutex
}

// Start makes a server in a temporary folder and starts it. The caller ends it with Close.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{authority: certtest.New(t)}
	defer func() {
		if t.Failed() {
			_ = s.Close()
		}
	}()
	must(t, s.prepare(t, o))
	if err := s.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	s.seed(t, o)
	return s
}

// New is Start for one test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s := Start(t, o)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func (s *Server) prepare(t testing.TB, o Options) (err error) {
	if s.dir, err = os.MkdirTemp("", "sparekey-slapd-"); err != nil { //nolint:usetesting // the server may outlive the test that starts it
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
	certificate, key := s.authority.Good(t, o.Names...).Write(t, s.dir)
	database := filepath.Join(s.dir, "database")
	if err := os.Mkdir(database, 0o700); err != nil {
		return err
	}
	identity, listeners := "TLSCertificateFile "+certificate+"\nTLSCertificateKeyFile "+key, fmt.Sprintf("ldap://%s ldaps://%s", s.Address(), s.SecureAddress())
	configuration := ""
	if o.Config {
		configuration = "database config\nrootpw \"" + rootPassword + "\""
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
		identity, "disallow bind_anon", "threads 4",
		configuration, "database mdb", "suffix " + Base, "rootdn " + rootDN, "rootpw \"" + rootPassword + "\"", "directory " + database,
		sync, "maxsize 67108864", "index objectClass,mail,entryUUID eq", o.Database, overlay, o.Access,
	}
	conf := filepath.Join(s.dir, "slapd.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	// -d keeps it in the foreground; 0 has it say nothing but what keeps it from starting.
	s.daemon, err = daemontest.New("slapd", "slapd", daemontest.Listening(s.Address()), "-d", "0", "-f", conf, "-h", listeners)
	return err
}

// seed adds what every server has.
func (s *Server) seed(t testing.TB, o Options) {
	t.Helper()
	root := s.Root(t)
	Add(t, root, Base, "objectClass", "domain", "dc", "example")
	Add(t, root, Services, "objectClass", "organizationalUnit")
	Add(t, root, Policies, "objectClass", "organizationalUnit")
	Add(t, root, Writers, "objectClass", "groupOfNames", "member", rootDN) // a group has a member (RFC 4519, 3.5)
	if !o.NoPolicy {
		s.Policy(t, Default)
	}
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
func (s *Server) Crash(sig syscall.Signal) error {
	s.running.Lock()
	defer s.running.Unlock()
	if err := s.daemon.Stop(sig); err != nil {
		return err
	}
	return s.daemon.Start()
}

// Await waits until a Crash is over.
func (s *Server) Await() {
	s.running.Lock()
	defer s.running.Unlock()
}

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
	var err error
	if s.daemon != nil {
		err = s.daemon.Stop(syscall.SIGINT)
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Address is where it takes connections without TLS, or with StartTLS.
func (s *Server) Address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// SecureAddress is where it takes connections with TLS.
func (s *Server) SecureAddress() string { return "127.0.0.1:" + strconv.Itoa(s.tls) }

// Authority signs its certificate.
func (s *Server) Authority() *x509.CertPool { return s.authority.Pool() }

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

// Root connects as who may do all; passwords that it sets are beyond any policy.
func (s *Server) Root(t testing.TB) *ldap.Conn {
	t.Helper()
	return s.As(t, rootDN, rootPassword)
}

// ConfigRoot connects as who may change the configuration; see Options.
func (s *Server) ConfigRoot(t testing.TB) *ldap.Conn {
	t.Helper()
	return s.As(t, "cn=config", rootPassword)
}

// As connects as somebody.
func (s *Server) As(t testing.TB, dn, password string) *ldap.Conn {
	t.Helper()
	conn := s.dial(t)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.Bind(dn, password))
	return conn
}

func (s *Server) dial(t testing.TB) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL("ldap://" + s.Address())
	must(t, err)
	conn.SetTimeout(time.Minute)
	return conn
}

// Binds reports whether a password is an entry's.
func (s *Server) Binds(t testing.TB, dn, password string) bool {
	t.Helper()
	if password == "" {
		return false // that would be an anonymous bind
	}
	conn := s.dial(t)
	defer func() { _ = conn.Close() }()
	err := conn.Bind(dn, password)
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		t.Fatal(err)
	}
	return err == nil
}

// Service adds a service and returns its DN and password; if it writes, it may set passwords.
func (s *Server) Service(t testing.TB, writes bool) (dn, password string) {
	t.Helper()
	root := s.Root(t)
	dn, password = fmt.Sprintf("cn=service%d,%s", s.made.Add(1), Services), "a service's own"
	Add(t, root, dn, "objectClass", "organizationalRole", "objectClass", "simpleSecurityObject", "userPassword", password)
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

// Policy adds a policy, with pairs of attributes and values.
func (s *Server) Policy(t testing.TB, dn string, pairs ...string) {
	t.Helper()
	Add(t, s.Root(t), dn, append([]string{"objectClass", "device", "objectClass", "pwdPolicy", "pwdAttribute", "userPassword"}, pairs...)...)
}

// Add adds an entry of pairs of attributes and values; what its own name says is added by itself.
func Add(t testing.TB, conn *ldap.Conn, dn string, pairs ...string) {
	t.Helper()
	name, err := ldap.ParseDN(dn)
	must(t, err)
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
	must(t, conn.Add(r))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
