package sqldir

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	certificate, key := certificateFor(t, "localhost")
	secureMaria, err := mariadbtest.Start("--ssl-cert="+certificate, "--ssl-key="+key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, secureMaria.Close()) })
	for name, server := range map[string]struct{ url, authority string }{
		"PostgreSQL": {securePG.URL("postgres"), authorityPG},
		"MariaDB":    {secureMaria.URL("mysql"), certificate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(host, authority, query string) (lines []string, err error) {
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
			strict := map[string]string{"PostgreSQL": "sslmode=verify-full", "MariaDB": "tls=true"}[name]
			unsigned, _ := certificateFor(t, "localhost")
			for what, tc := range map[string]struct{ host, authority, query string }{
				"another name":             {"127.0.0.1", server.authority, ""},
				"another authority":        {"localhost", unsigned, ""},
				"the system's authorities": {"localhost", "", strict},
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

// certificateFor makes a certificate that signs itself, in files that MariaDB, which is somebody else, may read.
func certificateFor(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, way := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(way, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o644); err != nil {
			t.Fatal(err)
		}
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
			c.CA, _ = certificateFor(t, "localhost")
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
