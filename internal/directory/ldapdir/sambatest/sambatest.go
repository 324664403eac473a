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
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/daemontest"
)

// What every domain has.
const (
	Base     = "DC=example,DC=test"
	People   = "OU=people," + Base // below which ServiceDN may reset passwords
	Settings = "CN=Password Settings Container,CN=System," + Base

	// Service may reset passwords below People, unlock, and have a password changed again.
	Service         = "sparekey@example.test"
	ServicePassword = "A service's own 1" //nolint:gosec // of a domain that ends with the test

	admin = "EXAMPLE\\Administrator"
	// The domain listens on loopback alone and holds what tests put there.
	adminPassword = "Tester's own 1" //nolint:gosec // of a domain that ends with the test

	packages = "samba-ad-dc samba-ad-provision"
	patience = 2 * time.Minute
)

// Server is a running domain controller.
type Server struct {
	dir, host, conf string
	authority       *certtest.Authority
	daemon          *daemontest.Daemon
	serviceSID      string
	units, made     atomic.Int64
	running         sync.Mutex
}

// Start makes a domain, which takes some seconds, and starts it. The caller ends it with Close.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{authority: certtest.New(t)}
	defer func() {
		if t.Failed() {
			_ = s.Close()
		}
	}()
	must(t, s.prepare(t))
	must(t, s.daemon.Start())
	s.seed(t)
	return s
}

func (s *Server) prepare(t testing.TB) (err error) {
	if s.host, err = freeHost(); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "sparekey-samba-"); err != nil { //nolint:usetesting // the server may outlive the test that starts it
		return err
	}
	for _, dir := range []string{"private", "state", "cache", "ncalrpc", "etc"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			return err
		}
	}
	s.conf = filepath.Join(s.dir, "etc", "smb.conf")
	certificate, key := s.authority.Good(t, s.host, "127.0.0.1").Write(t, s.dir)
	authority := filepath.Join(s.dir, "authority.pem")
	if err := os.WriteFile(authority, s.authority.PEM(), 0o600); err != nil {
		return err
	}
	conf := strings.NewReplacer("DIR", s.dir, "HOST", s.host, "CERTIFICATE", certificate, "KEY", key, "AUTHORITY", authority).Replace(settings)
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		return err
	}
	if err := s.tool("domain", "provision", "--realm=EXAMPLE.TEST", "--domain=EXAMPLE", "--adminpass="+adminPassword,
		"--server-role=dc", "--dns-backend=NONE", "--host-name=dc1", "--host-ip="+s.host); err != nil {
		return err
	}
	// What provisioning makes of the file is what would serve files too.
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		return err
	}
	s.daemon, err = daemontest.New("samba", packages, daemontest.Listening(s.Address()),
		"--foreground", "--no-process-group", "--debug-stdout", "--model=single", "--configfile="+s.conf)
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
	cmd := exec.CommandContext(ctx, path, append(args, "--configfile="+s.conf)...) //nolint:gosec // Samba's own program
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
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
func (s *Server) seed(t testing.TB) {
	t.Helper()
	root := s.Admin(t)
	m := ldap.NewModifyRequest(Base, nil)
	m.Replace("minPwdLength", []string{"4"})
	m.Replace("pwdProperties", []string{"0"})
	must(t, root.Modify(m))
	add(t, root, People, map[string][]string{"objectClass": {"organizationalUnit"}})
	service := s.user(t, "CN=Users,"+Base, "sparekey", map[string][]string{}, ServicePassword)
	s.serviceSID = s.sid(t, service)
	var aces strings.Builder
	fmt.Fprintf(&aces, "(OA;CIIO;CR;%s;%s;%s)", resetRight, classUser, s.serviceSID)
	for _, attribute := range []string{lockoutTime, lastSet} {
		fmt.Fprintf(&aces, "(OA;CIIO;RPWP;%s;%s;%s)", attribute, classUser, s.serviceSID)
	}
	must(t, s.access(People, aces.String()))
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
func (s *Server) sid(t testing.TB, dn string) string {
	t.Helper()
	r, err := s.Admin(t).Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"objectSid"}, nil))
	must(t, err)
	b := r.Entries[0].GetRawAttributeValue("objectSid")
	if len(b) < 8 {
		t.Fatalf("the SID of %s has %d bytes", dn, len(b))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "S-%d-%d", b[0], binary.BigEndian.Uint64(append([]byte{0, 0}, b[2:8]...)))
	for rest := bytes.NewReader(b[8:]); rest.Len() >= 4; {
		var n uint32
		must(t, binary.Read(rest, binary.LittleEndian, &n))
		fmt.Fprintf(&text, "-%d", n)
	}
	return text.String()
}

// Address is where it takes connections with TLS.
func (s *Server) Address() string { return net.JoinHostPort(s.host, "636") }

// PlainAddress is where it takes connections with StartTLS.
func (s *Server) PlainAddress() string { return net.JoinHostPort(s.host, "389") }

// Authority signs its certificate.
func (s *Server) Authority() *x509.CertPool { return s.authority.Pool() }

// Crash ends the server and starts it again. It may be called from any goroutine.
func (s *Server) Crash() error {
	s.running.Lock()
	defer s.running.Unlock()
	if err := s.daemon.Stop(syscall.SIGKILL); err != nil {
		return err
	}
	return s.daemon.Start()
}

// Await waits until a Crash is over.
func (s *Server) Await() {
	s.running.Lock()
	defer s.running.Unlock()
}

// Close stops the server and removes its folder.
func (s *Server) Close() error {
	var err error
	if s.daemon != nil {
		err = s.daemon.Stop(syscall.SIGTERM)
	}
	if s.dir == "" {
		return err
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Admin connects as who may do all.
func (s *Server) Admin(t testing.TB) *ldap.Conn {
	t.Helper()
	conn := s.dial(t)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.Bind(admin, adminPassword))
	return conn
}

func (s *Server) dial(t testing.TB) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL("ldaps://"+s.Address(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: s.Authority(), MinVersion: tls.VersionTLS12}))
	must(t, err)
	conn.SetTimeout(time.Minute)
	return conn
}

// Binds reports whether a password is a user's.
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

// Unit adds a folder for users below People.
func (s *Server) Unit(t testing.TB) (dn string) {
	t.Helper()
	dn = fmt.Sprintf("OU=unit%d,%s", s.units.Add(1), People)
	add(t, s.Admin(t), dn, map[string][]string{"objectClass": {"organizationalUnit"}})
	return dn
}

// User adds a user who may log in, with a password or none, and returns the DN. The login name is the one that is answered by Login.
func (s *Server) User(t testing.TB, unit string, attributes map[string][]string, password string) (dn string) {
	t.Helper()
	return s.user(t, unit, fmt.Sprintf("user%d", s.made.Add(1)), attributes, password)
}

func (s *Server) user(t testing.TB, unit, login string, attributes map[string][]string, password string) (dn string) {
	t.Helper()
	const normal, none = "512", "544" // 544: a password is not required (MS-ADTS 2.2.16)
	dn = "CN=" + login + "," + unit
	values := map[string][]string{
		"objectClass": {"user"}, "sAMAccountName": {login}, "userPrincipalName": {login + "@example.test"}, "userAccountControl": {none},
	}
	if password != "" {
		values["userAccountControl"] = []string{normal}
		values["unicodePwd"] = []string{Quoted(password)}
	}
	for name, list := range attributes {
		values[name] = list
	}
	add(t, s.Admin(t), dn, values)
	return dn
}

// Policy adds a policy for one user (msDS-PasswordSettings), with values in place of those that ask for nothing, and returns its DN.
func (s *Server) Policy(t testing.TB, user string, attributes map[string][]string) (dn string) {
	t.Helper()
	name := fmt.Sprintf("policy%d", s.made.Add(1))
	values := map[string][]string{
		"objectClass": {"msDS-PasswordSettings"}, "msDS-PasswordSettingsPrecedence": {"1"}, "msDS-PasswordReversibleEncryptionEnabled": {"FALSE"},
		"msDS-PasswordHistoryLength": {"0"}, "msDS-PasswordComplexityEnabled": {"FALSE"}, "msDS-MinimumPasswordLength": {"0"},
		"msDS-MinimumPasswordAge": {"0"}, "msDS-MaximumPasswordAge": {"-9223372036854775808"}, "msDS-LockoutThreshold": {"0"},
		"msDS-LockoutObservationWindow": {"-18000000000"}, "msDS-LockoutDuration": {"-18000000000"}, "msDS-PSOAppliesTo": {user},
	}
	for name, list := range attributes {
		values[name] = list
	}
	dn = "CN=" + name + "," + Settings
	add(t, s.Admin(t), dn, values)
	return dn
}

// AllowReading lets the service read an object.
func (s *Server) AllowReading(t testing.TB, dn string) {
	t.Helper()
	must(t, s.access(dn, fmt.Sprintf("(A;;RP;;;%s)", s.serviceSID)))
}

// Replace gives an attribute other values.
func (s *Server) Replace(t testing.TB, dn, attribute string, values ...string) {
	t.Helper()
	m := ldap.NewModifyRequest(dn, nil)
	m.Replace(attribute, values)
	must(t, s.Admin(t).Modify(m))
}

// Quoted is a password as unicodePwd takes it.
func Quoted(password string) string {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, utf16.Encode([]rune(`"`+password+`"`)))
	return b.String()
}

func add(t testing.TB, conn *ldap.Conn, dn string, attributes map[string][]string) {
	t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		r.Attribute(name, values)
	}
	must(t, conn.Add(r))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
