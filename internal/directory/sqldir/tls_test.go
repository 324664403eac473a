package sqldir

import (
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sparekey/sparekey/internal/certs/certtest"
	"github.com/sparekey/sparekey/internal/directory/sqldir/mariadbtest"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// A server is spoken to over TLS only if its certificate is of the named authority and for the name by which it
// was called; otherwise no password is sent to it.
func TestTLS(t *testing.T) {
	t.Parallel()
	securePG, authorityPG, err := pgtest.StartTLS("localhost")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, securePG.Close()) })
	signer := certtest.New(t)
	certificate, key := identity(t, signer, "localhost")
	secureMaria, err := mariadbtest.Start("--ssl-cert="+certificate, "--ssl-key="+key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, secureMaria.Close()) })
	for name, server := range map[string]struct {
		url       string
		authority *x509.CertPool
	}{
		"PostgreSQL": {securePG.URL("postgres"), authorities(t, authorityPG)},
		"MariaDB":    {secureMaria.URL("mysql"), signer.Pool()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(host string, authority *x509.CertPool, query string) (lines []string, err error) {
				u, parsing := url.Parse(server.url)
				if parsing != nil {
					t.Fatal(parsing)
				}
				u.Host, u.RawQuery = host+":"+u.Port(), query
				d := open(t, Config{
					URL: u.String(), CA: authority, Hasher: hasher(t, "ssha512"), Now: now,
					Statements: Statements{Find: "SELECT '1' AS id, :address AS email", FindByID: "SELECT :id AS id, '' AS email", Set: "UPDATE nothing SET a = :hash WHERE b = :id"},
				})
				err = d.Check(t.Context(), func(line string) { lines = append(lines, line) })
				return lines, err
			}
			lines, err := check("localhost", server.authority, "")
			misset(t, err, "statements.set") // as far as that it comes
			if len(lines) == 0 || !strings.Contains(lines[0], "over TLS 1.3") {
				t.Errorf("it says %q", lines)
			}
			if name == "PostgreSQL" { // which may have several hosts
				lines, err := check("localhost:1,localhost", server.authority, "")
				misset(t, err, "statements.set")
				if len(lines) == 0 || !strings.Contains(lines[0], "over TLS 1.3") {
					t.Errorf("of the second host it says %q", lines)
				}
			}
			strict := map[string]string{"PostgreSQL": "sslmode=verify-full", "MariaDB": "tls=true"}[name]
			for what, tc := range map[string]struct {
				host      string
				authority *x509.CertPool
				query     string
			}{
				"another name":             {"127.0.0.1", server.authority, ""},
				"another authority":        {"localhost", certtest.New(t).Pool(), ""},
				"the system's authorities": {"localhost", nil, strict},
			} {
				lines, err := check(tc.host, tc.authority, tc.query)
				if m, ok := errors.AsType[*reset.Misset](err); !ok || m.Setting != "ca_file" || len(lines) != 0 || strings.Contains(err.Error(), "tester's own") {
					t.Errorf("%s: %v, after %q", what, err, lines)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// authorities reads a file of authorities.
func authorities(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(text) {
		t.Fatalf("%s has no certificate", file)
	}
	return p
}

// identity writes a certificate into files that MariaDB, which is somebody else, may read.
func identity(t *testing.T, authority *certtest.Authority, name string) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = authority.Good(t, name).Write(t, dir)
	for _, path := range []string{dir, filepath.Dir(dir), certificate, key} {
		must(t, os.Chmod(path, 0o755))
	}
	return certificate, key
}

// A server that speaks no TLS is not spoken to in the clear instead.
func TestNoTLSIsNotPutUpWith(t *testing.T) {
	t.Parallel()
	for _, kind := range databases[:2] {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			w := kind.make(t)
			w.users(t)
			c := w.config(t)
			c.CA = certtest.New(t).Pool()
			err := open(t, c).Check(t.Context(), func(line string) { t.Errorf("it says %q", line) })
			misset(t, err, "ca_file")
		})
	}
}

// MariaDB over its socket.
func TestSocket(t *testing.T) {
	t.Parallel()
	w := newMaria(t)
	w.users(t)
	w.add(t, "ada@example.test", "old")
	c := w.config(t)
	u, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.Password, _ = u.User.Password()
	u.User, u.Host, u.RawQuery = url.User(u.User.Username()), "", url.Values{"socket": {maria.Socket}}.Encode()
	c.URL = u.String()
	if _, err := open(t, c).UserByAddress(t.Context(), address(t, "ada@example.test")); err != nil {
		t.Error(err)
	}
}
