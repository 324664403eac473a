// Package sambatest starts a real Active Directory for tests: a domain of its own by Debian's samba-ad-dc, in a folder of
// its own, of which the LDAP server alone runs. Samba has no setting for its ports, so it listens on an address of its own
// in 127.0.0.0/8, and that takes root.
package sambatest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/daemontest"
)

// What every domain has.
const (
	Base     = "DC=example,DC=test"
	People   = "OU=people," + Base // below which ServiceDN may reset passwords
	Settings = "CN=Password Settings Container,CN=System," + Base

	// Service may reset passwords below People, unlock, and have a password changed again.
	Service         = "sparekey@example.test"
	ServicePassword = "A service's own 1" //nolint:gosec // of a domain that ends with the test

	// Administrator may do all.
	Administrator = "EXAMPLE\\Administrator"
	// The domain listens on loopback alone and holds what tests put there.
	AdministratorPassword = "Tester's own 1" //nolint:gosec // of a domain that ends with the test

	packages = "samba-ad-dc samba-ad-provision"
	patience = 2 * time.Minute
)

// Server is a running domain controller.
type Server struct {
	dir, host, conf string
	authority       *certtest.Authority
	daemon          daemontest.Daemon
	serviceSID      string
	units, made     atomic.Int64
}

// Start makes a domain, which takes some seconds, and starts it. The caller ends it with Close.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := StartIn("")
	must(t, err)
	return s
}

// StartIn is Start where there is no test, with the folder in which the temporary one is made; empty: the usual one.
func StartIn(parent string) (s *Server, err error) {
	s = &Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := s.prepare(parent); err != nil {
		return s, err
	}
	if err := s.daemon.Start(); err != nil {
		return s, err
	}
	return s, s.seed()
}

func (s *Server) prepare(parent string) (err error) {
	if s.host, err = freeHost(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp(parent, "sparekey-samba-"); err != nil {
		return err
	}
	if s.authority, err = certtest.Make(); err != nil {
		return err
	}
	if err := os.WriteFile(s.AuthorityFile(), s.authority.PEM(), 0o600); err != nil {
		return err
	}
	for _, dir := range []string{"private", "state", "cache", "ncalrpc", "etc"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			return err
		}
	}
	s.conf = filepath.Join(s.dir, "etc", "smb.conf")
	certificate, key, err := s.authority.WriteGood(s.dir, s.host, "127.0.0.1")
	if err != nil {
		return err
	}
	conf := strings.NewReplacer("DIR", s.dir, "HOST", s.host, "CERTIFICATE", certificate, "KEY", key, "AUTHORITY", s.AuthorityFile()).Replace(settings)
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		return err
	}
	if err := s.tool("domain", "provision", "--realm=EXAMPLE.TEST", "--domain=EXAMPLE", "--adminpass="+AdministratorPassword,
		"--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--host-ip="+s.host); err != nil {
		return err
	}
	// What provisioning makes of the file is what would serve files too.
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		return err
	}
	s.daemon.Args = []string{"--foreground", "--no-process-group", "--debug-stdout", "--model=single", "--configfile=" + s.conf}
	s.daemon.Ready = daemontest.Accepting(s.Address())
	s.daemon.Path, err = daemontest.Program("samba", packages)
	return err
}

const settings = `[global]
	netbios name = DC1
	realm = EXAMPLE.TEST
	workgroup = EXAMPLE
	server role = active directory domain controller
	server services = ldap
	private dir = DIR/private
	state directory = DIR/state
	cache directory = DIR/cache
	lock directory = DIR
	pid directory = DIR
	ncalrpc dir = DIR/ncalrpc
	interfaces = HOST/8
	bind interfaces only = yes
	disable netbios = yes
	old password allowed period = 0
	ldap server require strong auth = yes
	tls cafile = AUTHORITY
	tls certfile = CERTIFICATE
	tls keyfile = KEY
[sysvol]
	path = DIR/state/sysvol
	read only = No
[netlogon]
	path = DIR/state/sysvol/example.test/scripts
	read only = No
`

// freeHost finds an address of loopback whose ports of LDAP are free.
func freeHost() (string, error) {
	var err error
	for range 20 {
		var b [3]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", err
		}
		host := net.IPv4(127, 64+b[0]%64, b[1], 1+b[2]%254).String()
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, "636")); err == nil {
			return host, l.Close()
		}
	}
	return "", fmt.Errorf("samba listens on the ports of LDAP alone, which takes root: %w", err)
}

// tool runs samba-tool for this domain.
func (s *Server) tool(args ...string) error {
	path, err := daemontest.Program("samba-tool", packages)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := daemontest.Command(ctx, nil, path, append(args, "--configfile="+s.conf)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("samba-tool %s: %w\n%s", strings.Join(args[:2], " "), err, out)
	}
	return nil
}

// Rights of Active Directory, by the names that access control entries have for them (MS-ADTS 5.1.3.2.1, MS-ADA1).
const (
	resetRight  = "00299570-246d-11d0-a768-00aa006e0529"
	lockoutTime = "28630ebf-41d5-11d1-a9c1-0000f80367c1"
	lastSet     = "bf967a0a-0de6-11d0-a285-00aa003049e2"
	classUser   = "bf967aba-0de6-11d0-a285-00aa003049e2"
)

// seed adds what every domain has. The domain asks for little of passwords; what asks for more is a policy of a test's own.
func (s *Server) seed() error {
	root, err := s.Dial()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	m := ldap.NewModifyRequest(Base, nil)
	m.Replace("minPwdLength", []string{"4"})
	m.Replace("pwdProperties", []string{"0"})
	if err := root.Modify(m); err != nil {
		return err
	}
	if err := AddEntry(root, People, map[string][]string{"objectClass": {"organizationalUnit"}}); err != nil {
		return err
	}
	service, err := AddUser(root, "CN=Users,"+Base, "sparekey", nil, ServicePassword)
	if err != nil {
		return err
	}
	if s.serviceSID, err = sid(root, service); err != nil {
		return err
	}
	var aces strings.Builder
	fmt.Fprintf(&aces, "(OA;CIIO;CR;%s;%s;%s)", resetRight, classUser, s.serviceSID)
	for _, attribute := range []string{lockoutTime, lastSet} {
		fmt.Fprintf(&aces, "(OA;CIIO;RPWP;%s;%s;%s)", attribute, classUser, s.serviceSID)
	}
	return s.access(People, aces.String())
}

// access adds entries to the access control list of an object.
func (s *Server) access(dn, aces string) error {
	return s.tool("dsacl", "set", "--URL="+filepath.Join(s.dir, "private", "sam.ldb"), "--objectdn="+dn, "--sddl="+aces)
}

// Forbid takes the right to reset a user's password.
func (s *Server) Forbid(t testing.TB, dn string) {
	t.Helper()
	must(t, s.access(dn, fmt.Sprintf("(OD;;CR;%s;;%s)", resetRight, s.serviceSID)))
}

// sid is the security identifier of an object (MS-DTYP 2.4.2).
func sid(conn *ldap.Conn, dn string) (string, error) {
	r, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"objectSid"}, nil))
	if err != nil {
		return "", err
	}
	b := r.Entries[0].GetRawAttributeValue("objectSid")
	if len(b) < 8 {
		return "", fmt.Errorf("the SID of %s has %d bytes", dn, len(b))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "S-%d-%d", b[0], binary.BigEndian.Uint64(append([]byte{0, 0}, b[2:8]...)))
	for rest := bytes.NewReader(b[8:]); rest.Len() >= 4; {
		var n uint32
		if err := binary.Read(rest, binary.LittleEndian, &n); err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "-%d", n)
	}
	return text.String(), nil
}

// Address is where it takes connections with TLS.
func (s *Server) Address() string { return net.JoinHostPort(s.host, "636") }

// PlainAddress is where it takes connections with StartTLS.
func (s *Server) PlainAddress() string { return net.JoinHostPort(s.host, "389") }

// Authority signs its certificate.
func (s *Server) Authority() *x509.CertPool { return s.authority.Pool() }

// AuthorityFile is a PEM file with it, there as long as the server.
func (s *Server) AuthorityFile() string { return filepath.Join(s.dir, "authority.pem") }

// Crash ends the server and starts it again. It may be called from any goroutine.
func (s *Server) Crash() error { return s.daemon.Restart(syscall.SIGKILL) }

// Await waits until a Crash is over.
func (s *Server) Await() { s.daemon.Await() }

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	return errors.Join(s.daemon.Stop(syscall.SIGTERM), os.RemoveAll(s.dir)) // of no folder it removes nothing
}

// Admin connects as Administrator, until the test ends.
func (s *Server) Admin(t testing.TB) *ldap.Conn {
	t.Helper()
	conn, err := s.Dial()
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Dial is Admin where there is no test. Whoever calls it closes the connection.
func (s *Server) Dial() (*ldap.Conn, error) {
	conn, err := s.dial()
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(Administrator, AdministratorPassword); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (s *Server) dial() (*ldap.Conn, error) {
	conn, err := ldap.DialURL("ldaps://"+s.Address(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: s.Authority(), MinVersion: tls.VersionTLS12}))
	if err == nil {
		conn.SetTimeout(time.Minute)
	}
	return conn, err
}

// Binds reports whether a password is a user's.
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
