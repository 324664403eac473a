package hookdir_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/sparekey/sparekey/internal/directory/directorytest"
	"github.com/sparekey/sparekey/internal/directory/hookdir"
	"github.com/sparekey/sparekey/internal/directory/hookdir/hooktest"
)

// TestConformance runs the suite against the reference applications, each a process of its own behind toxiproxy.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, p := range programs {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			directorytest.Run(t, func(t *testing.T) directorytest.Fixture { return fixture(t, p) })
		})
	}
}

// start starts an application, and ends it when t ends.
func start(t testing.TB, p hooktest.Program) *hooktest.App {
	t.Helper()
	app, err := p.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() {
		must(t, app.Close())
		if t.Failed() {
			t.Logf("the application's log: %s", app.Log())
		}
	})
	return app
}

// through puts toxiproxy in front of an application, and returns a directory that calls it that way.
func through(t testing.TB, app *hooktest.App) (*hookdir.Directory, *toxiproxy.Proxy) {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "application", "127.0.0.1:0", app.Address)
	must(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	return open(t, hookdir.Config{URL: "http://" + proxy.Listen + "/sparekey", Keys: [][]byte{app.Key}}), proxy
}

// again starts an application that was killed, and lets the proxy lead there.
func again(t testing.TB, app *hooktest.App, proxy *toxiproxy.Proxy) {
	t.Helper()
	proxy.Stop()
	must(t, app.Restart())
	proxy.Upstream = app.Address
	must(t, proxy.Start())
}

func fixture(t *testing.T, p hooktest.Program) directorytest.Fixture {
	t.Helper()
	app := start(t, p)
	d, proxy := through(t, app)
	held(t, d)
	return directorytest.Fixture{
		Directory: d,
		Add: func(t *testing.T, u directorytest.User) {
			must(t, app.AddAll(hooktest.User{Email: u.Email, Name: u.Name, Password: u.Password}))
		},
		Verify: func(t *testing.T, email, password string) bool {
			ok, err := app.Verify(email, password)
			must(t, err)
			return ok
		},
		Disable:       func(t *testing.T, email string) { must(t, app.Disable(email)) },
		Remove:        func(t *testing.T, email string) { must(t, app.Remove(email)) },
		ChangeAddress: func(t *testing.T, email, to string) { must(t, app.ChangeAddress(email, to)) },
		Twin:          func(t *testing.T, email string) { must(t, app.AddAll(hooktest.User{Email: strings.ToUpper(email)})) },
		Down: func(t *testing.T) func() {
			proxy.Stop()
			return func() { must(t, proxy.Start()) }
		},
		Stall: func(t *testing.T) func() {
			hookdir.SetTimeout(d, 500*time.Millisecond)
			_, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"stall","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`))
			must(t, err)
			return func() {
				proxy.Toxics.ResetToxics(context.Background())
				hookdir.SetTimeout(d, 30*time.Second)
			}
		},
		Forbid: func(t *testing.T) { // the application has another secret now
			app.Kill()
			app.Key = []byte(strings.Repeat("?", 32))
			again(t, app, proxy)
		},
	}
}
