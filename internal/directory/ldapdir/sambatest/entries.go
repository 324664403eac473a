package sambatest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"
)

// Unit adds a folder for users below People.
func (s *Server) Unit(t testing.TB) (dn string) {
	t.Helper()
	dn = fmt.Sprintf("OU=unit%d,%s", s.units.Add(1), People)
	must(t, AddEntry(s.Admin(t), dn, map[string][]string{"objectClass": {"organizationalUnit"}}))
	return dn
}

// User adds a user who may log in, with a password or none, and returns the DN.
func (s *Server) User(t testing.TB, unit string, attributes map[string][]string, password string) (dn string) {
	t.Helper()
	dn, err := AddUser(s.Admin(t), unit, fmt.Sprintf("user%d", s.made.Add(1)), attributes, password)
	must(t, err)
	return dn
}

// AddUser is User where there is no test, with the login name, of which there is one in the domain.
func AddUser(conn *ldap.Conn, unit, login string, attributes map[string][]string, password string) (dn string, err error) {
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
	return dn, AddEntry(conn, dn, values)
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
	must(t, AddEntry(s.Admin(t), dn, values))
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

// AddEntry adds an entry.
func AddEntry(conn *ldap.Conn, dn string, attributes map[string][]string) error {
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		r.Attribute(name, values)
	}
	return conn.Add(r)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
