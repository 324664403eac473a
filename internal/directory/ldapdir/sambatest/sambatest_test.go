package sambatest

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

// TestStartIn: a domain without a test, in a folder of which nothing stays.
func TestStartIn(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	s, err := StartIn(parent)
	must(t, err)
	if filepath.Dir(s.dir) != parent {
		t.Errorf("its folder is %s, want one in %s", s.dir, parent)
	}
	conn, err := s.Dial()
	must(t, err)
	dn, err := AddUser(conn, People, "ada", map[string][]string{"mail": {"ada@example.test"}}, "a password")
	must(t, err)
	must(t, conn.Close())
	if !s.Binds(t, dn, "a password") {
		t.Error("the user does not bind")
	}
	text, err := os.ReadFile(s.AuthorityFile())
	must(t, err)
	if pool := x509.NewCertPool(); !pool.AppendCertsFromPEM(text) || !pool.Equal(s.Authority()) {
		t.Error("the file holds another authority")
	}
	must(t, s.Close())
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("after all there is %v, %v", left, err)
	}
}
