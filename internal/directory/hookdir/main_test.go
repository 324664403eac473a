package hookdir_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sparekey/sparekey/internal/daemontest"
	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/directory/hookdir/hooktest"
	"github.com/sparekey/sparekey/internal/reset"
)

var (
	// programs are the reference applications.
	programs []hooktest.Program
	// logged is what anything in this process has written to the standard log.
	logged daemontest.Journal
)

// TestMain names proxies where nobody is, so that whoever asked the environment for one would reach nothing.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "hookdir")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	if programs, err = hooktest.Programs(context.Background(), folder); err != nil {
		panic(err)
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	log.SetOutput(&logged)
	code := m.Run()
	// toxiproxy never lets go what it holds of a connection that was closed while it stalled.
	if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

const (
	ada = "ada@example.test"

	oldPassword = "correct horse battery staple"
	newPassword = "a quiet harbour in november"
)

var key = []byte("a key of thirty-two bytes, or so")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func address(t testing.TB, s string) reset.Address {
	t.Helper()
	a, err := reset.ParseAddress(s)
	must(t, err)
	return a
}

// open makes a directory with a generous time-out, unless c has another, and closes it when t ends.
func open(t testing.TB, c hookdir.Config) *hookdir.Directory {
	t.Helper()
	if c.Keys == nil {
		c.Keys = [][]byte{key}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	d, err := hookdir.New(c)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

// set changes a password as a reset does.
func set(ctx context.Context, d *hookdir.Directory, id, password string) error {
	c, err := d.Prepare(ctx, reset.User{ID: id}, password, nil)
	if err != nil {
		return err
	}
	return c.(reset.Distant).Set(ctx)
}

// certainly checks that nothing was changed for certain, and that nobody but the person has to do anything if reasons are given.
func certainly(t *testing.T, what string, err error) {
	t.Helper()
	if _, ok := errors.AsType[*reset.Unchanged](err); !ok {
		t.Errorf("%s: %v, want Unchanged", what, err)
	}
}

// perhaps checks that nobody knows whether something was changed.
func perhaps(t *testing.T, what string, err error) {
	t.Helper()
	if _, ok := errors.AsType[*reset.Unchanged](err); ok || err == nil {
		t.Errorf("%s: %v, want an error that is not Unchanged", what, err)
	}
}

// names checks that an operator is told which setting to look at, in words that have all of those.
func names(t *testing.T, what string, err error, setting string, words ...string) {
	t.Helper()
	m, ok := errors.AsType[*reset.Misset](err)
	if !ok || m.Setting != setting || m.Fix == "" {
		t.Errorf("%s: %v, want a Misset that names %s", what, err, setting)
		return
	}
	for _, word := range words {
		if !strings.Contains(m.Error(), word) {
			t.Errorf("%s: %q, want %q in it", what, m, word)
		}
	}
}

// later checks that callers are told to come again, and when.
func later(t *testing.T, what string, err error) *reset.Error {
	t.Helper()
	e, ok := errors.AsType[*reset.Error](err)
	if !ok || e.Kind != reset.Unavailable || e.RetryAfter <= 0 {
		t.Errorf("%s: %v, want an error of kind Unavailable that says when to try again", what, err)
		return &reset.Error{}
	}
	return e
}

// roundTripper is a function between a directory and the network.
type roundTripper struct {
	do   func(*http.Request) (*http.Response, error)
	next http.RoundTripper
}

func (r roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return r.do(req) }

func (r roundTripper) CloseIdleConnections() {
	(&http.Client{Transport: r.next}).CloseIdleConnections()
}

func copyAll(into io.Writer, r *http.Request) (int64, error) { return io.Copy(into, r.Body) }

func itoa(n int) string { return strconv.Itoa(n) }

// deaf is a resolver whose name server is not there.
func deaf() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("there is no name server")
	}}
}
