package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/sparekey/sparekey/internal/daemontest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/sambatest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
)

// slapdHere is what stands for the guide's servers and domain where a slapd is that tests start.
func slapdHere(t *testing.T, server *slapdtest.Server) (pairs []string) {
	t.Helper()
	address := server.SecureAddress()
	return []string{"ldap1.example.com", address, "ldap2.example.com", strings.Replace(address, "127.0.0.1", "localhost", 1), "dc=com", "dc=test"}
}

// authorities are those of a file, for ca_file.
func authorities(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// addPerson adds somebody with an address, and a password that nobody knows, and answers the DN.
func addPerson(t *testing.T, root *ldap.Conn, unit, email string) (dn string) {
	t.Helper()
	name, _, _ := strings.Cut(email, "@")
	dn = "uid=" + name + "," + unit
	slapdtest.Add(t, root, dn, "objectClass", "inetOrgPerson", "cn", name, "displayName", name, "sn", name, "mail", email, "userPassword", "none of anybody's")
	return dn
}

// followOpenLDAP: the service's entry and its rights are those of the guide, and there are no others.
func followOpenLDAP(t *testing.T, g *guided) {
	server := slapdtest.New(t, slapdtest.Options{Access: "access to * by * none", Config: true, Names: []string{"127.0.0.1", "localhost"}})
	unit := "ou=people," + slapdtest.Base
	slapdtest.Add(t, server.Root(t), unit, "objectClass", "organizationalUnit")
	dns := map[string]string{}
	for _, email := range []string{guidesAda, guidesTest} {
		dns[email] = addPerson(t, server.Root(t), unit, email)
	}
	r := newReader(t, slapdHere(t, server)...)
	r.write(t, "corp-password", rolePassword+"\n")
	r.write(t, "corp-ca.pem", authorities(t, server.AuthorityFile()))
	r.configure(t, g.take(t, "yaml"))
	service, access := g.take(t, "ldif"), g.take(t, "ldif")
	for line := range strings.Lines(g.take(t, "sh")) {
		switch name, _, _ := strings.Cut(line, " "); {
		case name == "ldapadd" && strings.Contains(line, "-f openldap-service.ldif"):
			addEntries(t, server.Root(t), strings.ReplaceAll(r.here.Replace(service), "PASSWORD", slappasswd(t, rolePassword)))
		case name == "ldapmodify" && strings.Contains(line, "-f openldap-access.ldif"):
			addValues(t, server.ConfigRoot(t), r.here.Replace(access))
		case name == "sparekey":
			r.sh(t, line)
		default:
			t.Errorf("what does this do? %s", line)
		}
	}
	r.walk(t, "corp", func(email, password string) bool { return server.Binds(t, dns[email], password) })
}

// slappasswd is what OpenLDAP's own program prints for a password.
func slappasswd(t *testing.T, password string) string {
	t.Helper()
	program, err := daemontest.Program("slappasswd", "slapd")
	if err != nil {
		t.Fatal(err)
	}
	hash, err := exec.CommandContext(t.Context(), program, "-n", "-s", password).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// records are those of LDIF (RFC 2849) as far as the guide goes: lines of a name and a value.
func records(t *testing.T, text string) (list [][]string) {
	t.Helper()
	for record := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var pairs []string
		for line := range strings.SplitSeq(record, "\n") {
			name, value, ok := strings.Cut(line, ": ")
			if !ok {
				t.Fatalf("no LDIF: %q", line)
			}
			pairs = append(pairs, name, value)
		}
		list = append(list, pairs)
	}
	return list
}

// addEntries stands for ldapadd: script/setup does not install it, and it would reach the server by a socket that tests do without.
func addEntries(t *testing.T, root *ldap.Conn, text string) {
	t.Helper()
	for _, r := range records(t, text) {
		if r[1] != slapdtest.Services { // every server of the tests has that one
			slapdtest.Add(t, root, r[1], r[2:]...)
		}
	}
}

// addValues stands for ldapmodify with records that add values.
func addValues(t *testing.T, root *ldap.Conn, text string) {
	t.Helper()
	for _, r := range records(t, text) {
		if len(r) < 8 || r[0] != "dn" || r[2] != "changetype" || r[3] != "modify" || r[4] != "add" {
			t.Fatalf("this adds no values: %q", r)
		}
		var values []string
		for pair := range slices.Chunk(r[6:], 2) {
			values = append(values, pair[1])
		}
		m := ldap.NewModifyRequest(r[1], nil)
		m.Add(r[5], values)
		if err := root.Modify(m); err != nil {
			t.Fatal(err)
		}
	}
}

// followActiveDirectory: a domain of Samba. The guide's OU=people is in a part of the domain where the service has no rights but those
// that the guide's command gives. Windows' commands cannot be run here; they have to say the same as Samba's.
func followActiveDirectory(t *testing.T, g *guided) {
	const part = "OU=corp," + sambatest.Base
	server := sambatest.Start(t)
	ends(t, server.Close)
	admin := server.Admin(t)
	for _, dn := range []string{part, "OU=people," + part} {
		add := ldap.NewAddRequest(dn, nil)
		add.Attribute("objectClass", []string{"organizationalUnit"})
		if err := admin.Add(add); err != nil {
			t.Fatal(err)
		}
	}
	dns := map[string]string{}
	for _, email := range []string{guidesAda, guidesTest} {
		dns[email] = server.User(t, "OU=people,"+part, map[string][]string{"mail": {email}}, "none of anybody's 1")
	}
	host := strings.TrimSuffix(server.Address(), ":636")
	r := newReader(t, "dc1.corp.example.com", host, "dc2.corp.example.com", server.Address(),
		"DC=corp,DC=example,DC=com", part, "sparekey@corp.example.com", sambatest.Service)
	r.write(t, "windows-password", sambatest.ServicePassword+"\n")
	r.write(t, "corp-ca.pem", authorities(t, server.AuthorityFile()))
	r.configure(t, g.take(t, "yaml"))

	sambaTool(t, r, server)
	tells := regexp.MustCompile("`(samba-tool user show [^`]*)`").FindStringSubmatch(g.text)
	if tells == nil {
		t.Fatal("the guide does not tell how to see a SID")
	}
	sid := regexp.MustCompile(`(?m)^objectSid: (S-[0-9-]+)$`).FindStringSubmatch(r.sh(t, tells[1]))
	if sid == nil {
		t.Fatalf("%s shows no SID", tells[1])
	}
	grants := g.take(t, "sh")
	sameRights(t, admin, g.take(t, "bat"), grants)
	r.sh(t, strings.ReplaceAll(grants, ";SID)", ";"+sid[1]+")"))
	r.walk(t, "windows", func(email, password string) bool { return server.Binds(t, dns[email], password) })
}

// sambaTool is samba-tool as it is on the domain controller itself: without saying where the domain is, and who asks.
func sambaTool(t *testing.T, r *reader, server *sambatest.Server) {
	t.Helper()
	program, err := daemontest.Program("samba-tool", "samba-ad-dc")
	if err != nil {
		t.Fatal(err)
	}
	const secret = "An operator's own 1"
	operator := server.User(t, "CN=Users,"+sambatest.Base, nil, secret)
	joins := ldap.NewModifyRequest("CN=Domain Admins,CN=Users,"+sambatest.Base, nil)
	joins.Add("member", []string{operator})
	if err := server.Admin(t).Modify(joins); err != nil {
		t.Fatal(err)
	}
	r.write(t, "smb.conf", "[global]\ntls verify peer = ca_only\ntls cafile = "+filepath.Join(r.dir, "corp-ca.pem")+"\n")
	script := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\" --URL=ldaps://%s --simple-bind-dn='%s' --password=\"%s\" --configfile=%s\n",
		program, server.Address(), operator, secret, filepath.Join(r.dir, "smb.conf"))
	if err := os.WriteFile(filepath.Join(r.dir, "samba-tool"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r.env = append(r.env, "PYTHONDONTWRITEBYTECODE=1")
}

// sameRights holds commands of Windows against Samba's: the domain knows the names in the first by the identifiers in the second.
func sameRights(t *testing.T, admin *ldap.Conn, windows, samba string) {
	t.Helper()
	var entries strings.Builder
	for line := range strings.Lines(windows) {
		words := regexp.MustCompile(`^dsacls "(.*)" /I:S /G "CORP\\sparekey:([A-Z]+);([A-Za-z ]+);([a-z]+)"\n$`).FindStringSubmatch(line)
		if words == nil {
			t.Fatalf("what does this give? %s", line)
		}
		if !strings.Contains(samba, `--objectdn="`+words[1]+`"`) {
			t.Errorf("the commands are about others: %s and %s", line, samba)
		}
		access := words[2]
		var right string
		if access == "CA" && words[3] == "Reset Password" { // Windows shows this extended right so, Samba by its name (MS-ADTS 5.1.3.2.1)
			access, right = "CR", attributeOf(t, admin, "CN=Extended-Rights", "cn=User-Force-Change-Password", "rightsGuid")
		} else {
			right = schemaID(t, admin, words[3])
		}
		// /I:S is CIIO: for what is below it, and not for itself.
		fmt.Fprintf(&entries, "(OA;CIIO;%s;%s;%s;SID)", access, right, schemaID(t, admin, words[4]))
	}
	if !strings.Contains(samba, `--sddl="`+entries.String()+`"`) {
		t.Errorf("on Windows the rights are\n%s\nand on Samba\n%s", &entries, samba)
	}
}

// attributeOf is an attribute of the one entry of the configuration that a filter finds.
func attributeOf(t *testing.T, admin *ldap.Conn, below, filter, attribute string) string {
	t.Helper()
	r, err := admin.Search(ldap.NewSearchRequest(below+",CN=Configuration,"+sambatest.Base, ldap.ScopeWholeSubtree, 0, 0, 0, false,
		"("+filter+")", []string{attribute}, nil))
	if err != nil || len(r.Entries) != 1 {
		t.Fatalf("%s: %v, %v", filter, r, err)
	}
	return string(r.Entries[0].GetRawAttributeValue(attribute))
}

// schemaID is what access control lists call an attribute or a class: its first three groups are stored with the last byte first (MS-DTYP 2.3.4.2).
func schemaID(t *testing.T, admin *ldap.Conn, name string) string {
	t.Helper()
	b := []byte(attributeOf(t, admin, "CN=Schema", "lDAPDisplayName="+name, "schemaIDGUID"))
	if len(b) != 16 {
		t.Fatalf("the identifier of %s has %d bytes", name, len(b))
	}
	for _, group := range [][]byte{b[0:4], b[4:6], b[6:8]} {
		slices.Reverse(group)
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
