package ldapdir_test

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/daemontest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/sambatest"
	"github.com/sparekey/sparekey/internal/directory/ldapdir/slapdtest"
)

// stalled is where toxiproxy waits: data of a connection that was closed while it stalled is never let go.
const stalled = "github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"

// patience is how long what goes on after the tests may take to end.
const patience = 10 * time.Second

// One server of each kind for all tests, started by the first that needs it; each test has a part of the tree to itself.
var (
	slapd shared[*slapdtest.Server]
	samba shared[*sambatest.Server]
)

func TestMain(m *testing.M) {
	code := m.Run()
	// First while the servers run: when they end they would close what a directory has left open.
	for _, end := range []func() error{leaks, slapd.close, samba.close, leaks} {
		if err := end(); err != nil {
			_, _ = fmt.Fprintln(os.Stdout, "FAIL: after the tests:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func leaks() (err error) {
	for deadline := time.Now().Add(patience); ; {
		if err = goleak.Find(goleak.IgnoreAnyFunction(stalled), goleak.IgnoreAnyFunction(daemontest.Waiting), goleak.IgnoreAnyFunction(daemontest.Listening)); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// shared is a server that is started once.
type shared[S interface {
	comparable
	Close() error
}] struct {
	once   sync.Once
	server S
}

func (s *shared[S]) get(t *testing.T, start func(t testing.TB) S) S {
	t.Helper()
	s.once.Do(func() { s.server = start(t) })
	var none S
	if s.server == none {
		t.Fatal("the server that all tests share did not start")
	}
	return s.server
}

func (s *shared[S]) close() error {
	var none S
	if s.server == none {
		return nil
	}
	return s.server.Close()
}

func theSlapd(t *testing.T) *slapdtest.Server {
	t.Helper()
	return slapd.get(t, func(t testing.TB) *slapdtest.Server {
		return slapdtest.Start(t, slapdtest.Options{Database: `limits dn.children="` + limited + `" size.soft=5 size.hard=5 size.prtotal=unlimited`})
	})
}

// limited are services that may be told of few entries at once.
const limited = "ou=limited," + slapdtest.Services

// lines collects what is logged.
type lines struct{ daemontest.Journal }

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open makes a directory, which is closed with the test.
func open(t testing.TB, c ldapdir.Config) *ldapdir.Directory {
	t.Helper()
	d, err := ldapdir.New(c)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}
