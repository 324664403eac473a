package slapdtest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

// TestStartIn: without a test to fail, whoever starts a server is told why it does not start; and nothing of it stays in the folder.
func TestStartIn(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	if s, err := StartIn(parent, Options{Database: "nonsense"}); err == nil || s != nil {
		t.Errorf("a server that cannot start: %v, %v", s, err)
	}
	s, err := StartIn(parent, Options{})
	must(t, err)
	if filepath.Dir(s.dir) != parent {
		t.Errorf("its folder is %s, want one in %s", s.dir, parent)
	}
	conn, err := s.Dial()
	must(t, err)
	if who, err := conn.WhoAmI(nil); err != nil || who.AuthzID != "dn:"+RootDN {
		t.Errorf("bound as %v, %v", who, err)
	}
	must(t, conn.Close())
	text, err := os.ReadFile(s.AuthorityFile())
	must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	secure, err := tls.Dial("tcp", s.SecureAddress(), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	must(t, err)
	must(t, secure.Close())
	must(t, s.Close())
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("after all there is %v, %v", left, err)
	}
}
