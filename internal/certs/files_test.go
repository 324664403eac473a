package certs_test

import (
	"crypto/tls"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sparekey/sparekey/internal/certs"
	"github.com/sparekey/sparekey/internal/certs/certtest"
)

// TestReloadWhileConnected: a new pair is taken on SIGHUP; whoever is connected goes on.
func TestReloadWhileConnected(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	j := newJournal()
	first, second := authority.Good(t, "reset.example.com"), authority.Good(t, "reset.example.com")
	f, dir := openFiles(t, j, first)
	address := speak(t, listen(t), f.TLSConfig())
	reload := make(chan os.Signal)
	watch(t, f, reload)
	client := &tls.Config{RootCAs: authority.Pool(), ServerName: "reset.example.com", MinVersion: tls.VersionTLS12}
	shown := func(c *tls.Conn) *big.Int { return c.ConnectionState().PeerCertificates[0].SerialNumber }

	before, err := dial(t, address, client)
	if err != nil {
		t.Fatal(err)
	}
	second.Write(t, dir)
	reload <- syscall.SIGHUP
	j.waitFor(t, "tls.loaded", 1)
	after, err := dial(t, address, client)
	if err != nil {
		t.Fatal(err)
	}
	if shown(before).Cmp(parse(t, first).SerialNumber) != 0 || shown(after).Cmp(parse(t, second).SerialNumber) != 0 {
		t.Errorf("shown were %v and %v", shown(before), shown(after))
	}
	if err := echo(before); err != nil {
		t.Errorf("the connection from before: %v", err)
	}

	// A bad pair changes nothing, and is told of each time that one asks.
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), first.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 2; n++ {
		reload <- syscall.SIGHUP
		if e := j.waitFor(t, "tls.kept_old", n); e.Level != "WARN" || !strings.Contains(e.Error, "do not fit") || e.Hint == "" {
			t.Errorf("the log says %+v", e)
		}
	}
	if c, err := dial(t, address, client); err != nil || shown(c).Cmp(parse(t, second).SerialNumber) != 0 {
		t.Errorf("with a bad pair: %v", err)
	}
}

// TestFilesAreFollowed: by content, within seconds; what is no better than the old is not taken.
func TestFilesAreFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		authority := certtest.New(t)
		j := newJournal()
		pairs := make([]certtest.Pair, 4)
		for i := range pairs {
			pairs[i] = authority.Good(t, "reset.example.com")
		}
		f, dir := openFiles(t, j, pairs[0])
		stop := watch(t, f, nil)
		write := func(name string, contents []byte) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), contents, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		told := 0
		expect := func(what string, shown certtest.Pair, events ...string) {
			t.Helper()
			<-time.After(95 * time.Second) // looked at more than once: what is told of once is told of once
			synctest.Wait()
			all, _ := j.events(t)
			var names []string
			for _, e := range all[told:] {
				names = append(names, e.Event)
			}
			told = len(all)
			if !slices.Equal(names, events) {
				t.Errorf("%s: the log has %q, want %q", what, names, events)
			}
			if f.Leaf().SerialNumber.Cmp(parse(t, shown).SerialNumber) != 0 {
				t.Errorf("%s: another certificate is shown", what)
			}
		}
		expect("nothing", pairs[0])
		pairs[1].Write(t, dir)
		expect("a new pair", pairs[1], "tls.loaded")
		write("cert.pem", pairs[2].Certificate)
		expect("half a pair", pairs[1], "tls.kept_old")
		write("key.pem", pairs[2].Key)
		expect("the other half", pairs[2], "tls.loaded")
		if err := os.Remove(filepath.Join(dir, "key.pem")); err != nil {
			t.Fatal(err)
		}
		expect("no key", pairs[2], "tls.kept_old")
		write("key.pem", pairs[2].Key)
		expect("the key again", pairs[2], "tls.loaded")
		write("cert.pem", []byte("no certificate"))
		expect("no certificate", pairs[2], "tls.kept_old")
		authority.Issue(t, now.AddDate(0, -3, 0), now.Add(-time.Hour), "reset.example.com").Write(t, dir)
		expect("an expired pair", pairs[2], "tls.kept_old")
		// As Kubernetes and certbot do it: a link that leads elsewhere.
		elsewhere := t.TempDir()
		certificate, key := pairs[3].Write(t, elsewhere)
		for from, to := range map[string]string{"cert.pem": certificate, "key.pem": key} {
			if err := os.Remove(filepath.Join(dir, from)); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
				t.Fatal(err)
			}
		}
		expect("a link", pairs[3], "tls.loaded")
		stop()
	})
}

// TestExpiryIsToldDaily: a certificate that ends is warned of once a day, before and after.
func TestExpiryIsToldDaily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		authority := certtest.New(t)
		j := newJournal()
		f, _ := openFiles(t, j, authority.Issue(t, time.Now().AddDate(0, 0, -80), time.Now().Add(50*time.Hour), "reset.example.com"))
		stop := watch(t, f, nil)
		<-time.After(84 * time.Hour)
		stop()
		var names []string
		events, _ := j.events(t)
		for _, e := range events {
			names = append(names, strings.TrimPrefix(e.Event, "tls."))
			if e.Level != "WARN" || e.Hint == "" {
				t.Errorf("the log says %+v", e)
			}
		}
		want := []string{"expires_soon", "expires_soon", "expires_soon", "expired", "expired"}
		if !slices.Equal(names, want) {
			t.Errorf("in three days and a half the log was told %q, want %q", names, want)
		}
	})
}

// TestPairsThatCannotBeOpened: what does not work at the start stops the start, and says why.
func TestPairsThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	authority := certtest.New(t)
	one, other := authority.Good(t, "a.example.com"), authority.Good(t, "a.example.com")
	locked := certtest.Pair{Certificate: one.Certificate, Key: []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")}
	for name, tt := range map[string]struct {
		pair certtest.Pair
		want string
	}{
		"a pair":         {one, ""},
		"another's key":  {certtest.Pair{Certificate: one.Certificate, Key: other.Key}, "do not fit"},
		"no certificate": {certtest.Pair{Key: one.Key}, "do not fit"},
		"no key":         {certtest.Pair{Certificate: one.Certificate}, "do not fit"},
		"swapped":        {certtest.Pair{Certificate: one.Key, Key: one.Certificate}, "do not fit"},
		"a passphrase":   {locked, "passphrase"},
		"endless":        {certtest.Pair{Certificate: make([]byte, 1<<20+1), Key: one.Key}, "larger than"},
	} {
		certificate, key := tt.pair.Write(t, t.TempDir())
		_, err := certs.OpenFiles(certs.FilesOptions{Certificate: certificate, Key: key, Now: time.Now, Log: newJournal().log()})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v repeats the key", name, err)
		}
	}
}
