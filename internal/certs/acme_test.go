package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/certs"
	"github.com/sparekey/sparekey/internal/certs/acmetest"
)

const acmeHost = "reset.example.test"

func newACME(t *testing.T, authority *acmetest.Authority, j *journal, cache string) *certs.ACME {
	t.Helper()
	a, err := certs.NewACME(certs.ACMEOptions{
		Hosts: []string{acmeHost}, Cache: cache, Directory: authority.Directory, Email: "ops@example.test",
		Roots: authority.Pool(), Now: time.Now, Log: slog.New(slog.NewJSONHandler(j, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func port(t *testing.T, l net.Listener) int {
	t.Helper()
	tcp, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal("no TCP")
	}
	return tcp.Port
}

// TestACME: a certificate is issued by a real authority, which looks at the
// listener; the next start takes it from the cache; strangers cause no order.
func TestACME(t *testing.T) {
	t.Parallel()
	l := listen(t)
	authority := acmetest.Start(t, port(t, l), 90*24)
	j, cache := newJournal(), filepath.Join(t.TempDir(), "acme")
	a := newACME(t, authority, j, cache)
	address := speak(t, l, a.TLSConfig())
	client := func(name string) *tls.Config {
		return &tls.Config{RootCAs: authority.Roots(), ServerName: name, MinVersion: tls.VersionTLS12}
	}
	if _, err := dial(t, address, client(acmeHost)); err == nil || authority.Orders() != 0 {
		t.Errorf("before anything was issued a handshake ended with %v and caused %d orders", err, authority.Orders())
	}
	stop := watch(t, a, nil)
	j.waitFor(t, "tls.loaded", 1)
	orders := authority.Orders() // more than one only where this machine is so busy that the authority lost patience
	for _, name := range []string{acmeHost, "RESET.example.test"} {
		c, err := dial(t, address, client(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if kind := c.ConnectionState().PeerCertificates[0].PublicKeyAlgorithm; kind != x509.ECDSA {
			t.Errorf("%s: a key of the kind %v", name, kind)
		}
	}
	for _, name := range []string{"other.example.test", "example.test", "127.0.0.1", "x." + acmeHost} {
		if _, err := dial(t, address, client(name)); err == nil {
			t.Errorf("%s: somebody else's name was answered", name)
		}
	}
	old := client(acmeHost) // who can RSA alone does not make it get a second certificate
	old.MaxVersion, old.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	if _, err := dial(t, address, old); err == nil {
		t.Error("a certificate with RSA was shown")
	}
	if n := authority.Orders(); n != orders || n == 0 {
		t.Errorf("%d orders, and %d when the certificate was there", n, orders)
	}
	stop()

	// Keys are their owner's alone.
	checkPrivate(t, cache)
	leaf, err := certs.Cached(cache, acmeHost)
	if err != nil || !slices.Equal(leaf.DNSNames, []string{acmeHost}) {
		t.Errorf("in the cache is %v, %v", leaf, err)
	}
	if _, err := certs.Cached(cache, "other.example.test"); !os.IsNotExist(err) {
		t.Errorf("of another host the cache has %v", err)
	}

	// The next start shows it at once, and orders nothing.
	again := newACME(t, authority, newJournal(), cache)
	address = speak(t, listen(t), again.TLSConfig())
	c, err := dial(t, address, client(acmeHost))
	if err != nil || c.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(leaf.SerialNumber) != 0 || authority.Orders() != orders {
		t.Errorf("after a new start: %v, %d orders", err, authority.Orders())
	}
}

func checkPrivate(t *testing.T, folder string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, want nothing for others", path, info.Mode())
		}
		return nil
	})
	if err != nil || files < 3 { // the folder, the account's key, the certificate
		t.Errorf("%d files, %v", files, err)
	}
}

// TestACMEOfMoreHosts: hosts that come later get their certificates by themselves; what no authority names is passed over.
func TestACMEOfMoreHosts(t *testing.T) {
	t.Parallel()
	l := listen(t)
	authority := acmetest.Start(t, port(t, l), 90*24)
	var more atomic.Pointer[[]string]
	more.Store(&[]string{"localhost", "192.0.2.7", acmeHost})
	j, cache := newJournal(), t.TempDir()
	options := certs.ACMEOptions{
		Hosts: []string{acmeHost}, More: func() []string { return *more.Load() }, Cache: cache, Directory: authority.Directory,
		Roots: authority.Pool(), Now: time.Now, Log: j.log(),
	}
	a, err := certs.NewACME(options)
	if err != nil {
		t.Fatal(err)
	}
	address := speak(t, l, a.TLSConfig())
	client := func(name string) *tls.Config {
		return &tls.Config{RootCAs: authority.Roots(), ServerName: name, MinVersion: tls.VersionTLS12}
	}
	stop := watch(t, a, nil)
	j.waitFor(t, "tls.loaded", 1)
	const later = "reset.acme.test"
	if _, err := dial(t, address, client(later)); err == nil {
		t.Error("a certificate was shown for a host that is none of ours")
	}
	more.Store(&[]string{later, "localhost"})
	j.waitFor(t, "tls.loaded", 2)
	for _, name := range []string{later, acmeHost} {
		if _, err := dial(t, address, client(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop()
	if again, err := certs.NewACME(options); err != nil {
		t.Error(err)
	} else if _, err := dial(t, speak(t, listen(t), again.TLSConfig()), client(later)); err != nil {
		t.Errorf("after a new start: %v", err)
	}
}

// TestACMEFails: an authority that looks elsewhere, or is not there, or is not
// who it should be, is told of, with what to do; the listener goes on.
func TestACMEFails(t *testing.T) {
	t.Parallel()
	closed := listen(t)
	nobody := port(t, closed)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	authority := acmetest.Start(t, nobody, 1)
	for name, change := range map[string]func(*certs.ACMEOptions){
		"it cannot see us":        func(*certs.ACMEOptions) {},
		"it is not there":         func(o *certs.ACMEOptions) { o.Directory = "https://" + closed.Addr().String() + "/dir" },
		"it is somebody else":     func(o *certs.ACMEOptions) { o.Roots = x509.NewCertPool() },
		"there is no such folder": func(o *certs.ACMEOptions) { o.Directory = authority.Directory + "/nowhere" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJournal()
			o := certs.ACMEOptions{
				Hosts: []string{acmeHost}, Cache: t.TempDir(), Directory: authority.Directory,
				Roots: authority.Pool(), Now: time.Now, Log: j.log(),
			}
			change(&o)
			a, err := certs.NewACME(o)
			if err != nil {
				t.Fatal(err)
			}
			watch(t, a, nil)
			if e := j.waitFor(t, "tls.acme_failed", 1); e.Level != "WARN" || e.Error == "" || e.Hint == "" {
				t.Errorf("the log says %+v", e)
			}
		})
	}
}
