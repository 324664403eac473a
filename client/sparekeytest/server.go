// Package sparekeytest starts a whole Sparekey server inside a Go test: the API,
// the pages, the outbox and the built-in directory, with a mailbox to read
// instead of a mail server. Nothing leaves the process but what the test itself
// asks for on 127.0.0.1, and nothing stays behind when the test ends.
//
//	s := sparekeytest.Start(t)
//	s.AddUser("ann@example.com", "an old password, long")
//	c := s.Client()
//
// It is the real thing, only quicker to set up: links work once, used ones are
// refused, passwords are hashed with argon2id and held to the policy (15
// characters at least). The limits on how often one may ask are off unless
// WithThrottle says otherwise, and Advance moves the server's clock, so that
// links expire at once.
//
// Whatever fails in a set-up ends the test with t.Fatal, so methods without an
// error must be called from the test's own goroutine.
package sparekeytest

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sparekey/sparekey/client"
	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/httpserver"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/mail"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/sqlite"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/web"
)

// patience is how long a mail may take. They come within a fraction of a second.
const patience = 30 * time.Second

// Server is a running server. It ends with its test.
type Server struct {
	// URL is the server's base URL, such as http://127.0.0.1:41234.
	URL string
	// Key is an API key of the scope admin, which may do everything.
	Key string

	t       testing.TB
	advance atomic.Int64 // how far the clock is ahead, in nanoseconds
	users   *builtin.Directory
	box     *mailbox
}

// Option changes how a Server is set up.
type Option func(*settings)

type settings struct {
	requireKey bool
	throttle   bool
	ttl        time.Duration
	origins    []string
	log        *slog.Logger
}

// WithoutKeys lets metadata and reset be called without a key, like the setting
// api.require_key: false.
func WithoutKeys() Option { return func(o *settings) { o.requireKey = false } }

// WithThrottle switches the limits on, with their defaults: one mail a minute
// and three an hour to an address, and so on.
func WithThrottle() Option { return func(o *settings) { o.throttle = true } }

// WithTTL sets for how long links are good. The default is an hour.
func WithTTL(d time.Duration) Option { return func(o *settings) { o.ttl = d } }

// WithOrigins lets pages of these origins call the API (CORS), such as http://127.0.0.1:3000.
func WithOrigins(origin ...string) Option { return func(o *settings) { o.origins = origin } }

// WithLog tells the server where to log. By default it does not.
func WithLog(l *slog.Logger) Option { return func(o *settings) { o.log = l } }

// Start starts a server that ends with the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	o := settings{requireKey: true, ttl: time.Hour, log: slog.New(slog.DiscardHandler)}
	for _, option := range options {
		option(&o)
	}
	s := &Server{t: t}
	// The listener comes first, since links begin with its address.
	front := httptest.NewUnstartedServer(nil)
	s.URL = "http://" + front.Listener.Addr().String()
	t.Cleanup(front.Close)
	front.Config.Handler = s.assemble(&o)
	front.Start()
	return s
}

// assemble wires the server as the command does, inside out.
func (s *Server) assemble(o *settings) http.Handler {
	s.t.Helper()
	ctx := context.WithoutCancel(s.t.Context())
	store, err := sqlite.Open(ctx, sqlite.Options{
		Path: filepath.Join(s.t.TempDir(), "sparekey.db"), Log: o.log,
		Inserter: func(d sqlite.RiverDriver) (sqlite.Inserter, error) { return outbox.NewInserter(d) },
	})
	s.must(err)
	s.t.Cleanup(func() { s.end("close the database", store.Close()) })
	_, err = store.Migrate(ctx)
	s.must(err)

	policy, err := password.NewPolicy(password.Options{MinLength: 15, MaxLength: 1024, MinStrength: password.DefaultStrength})
	s.must(err)
	hasher, err := password.NewHasher(password.DefaultParams(), 2, 200, time.Now)
	s.must(err)
	s.users = builtin.New(store, hasher, policy, s.now)
	var limits reset.Throttle = throttle.Off{}
	if o.throttle {
		limits = throttle.New(throttle.Defaults(), store, slog.New(slog.DiscardHandler))
	}
	keys := reset.NewKeys(store, limits, s.now)
	s.Key, err = keys.Create(ctx, "test", reset.ScopeAdmin, 0, 0)
	s.must(err)

	composer, err := mail.NewComposer(mail.Sender{From: "Sparekey <noreply@example.com>", BaseURL: s.URL}, s.now)
	s.must(err)
	s.box = newMailbox(composer)
	cfg := reset.Config{BaseURL: s.URL, TTL: o.ttl, MaxAddresses: 10, MaxBulk: 5000}
	resets := reset.NewService(cfg, store, s.users, policy, limits, s.now, o.log)
	courier := reset.NewCourier(cfg, store, s.users, s.box, s.now, o.log)
	courier.Limit(limits)
	s.work(ctx, store.RiverDriver(), courier, o.log)

	clientOf := httpserver.ClientOf(nil)
	api := httpapi.New(httpapi.Options{
		Service: resets, Keys: keys, RequireKey: o.requireKey, CORSOrigins: o.origins, ClientOf: clientOf, Log: o.log,
	})
	pages, err := web.New(web.Options{
		Service: resets, BaseURL: s.URL, ServiceName: "Sparekey", MinLength: 15, MaxLength: 1024, ClientOf: clientOf, Now: s.now, Log: o.log,
	})
	s.must(err)
	return httpserver.New(httpserver.Options{
		API:   httpserver.Surface{Handler: api, Refuse: httpapi.WriteError},
		Pages: httpserver.Surface{Handler: pages, Refuse: pages.WriteError},
		Ready: store.Ready, WithRequestID: logs.WithRequestID, MaxInFlight: 1000, Now: s.now, Log: o.log,
	}).Handler()
}

// work starts the outbox, which ends with the test.
func (s *Server) work(ctx context.Context, driver sqlite.RiverDriver, courier *reset.Courier, log *slog.Logger) {
	s.t.Helper()
	// River compares its own times with the machine's clock, so the outbox keeps to that.
	work, err := outbox.New[*sql.Tx](driver, courier, outbox.Options{Workers: 8, PollOnly: true, Now: time.Now, Log: log})
	s.must(err)
	s.must(work.Start(ctx))
	s.t.Cleanup(func() {
		deadline, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		s.end("stop the outbox", work.Stop(deadline))
	})
}

func (s *Server) now() time.Time { return time.Now().Add(time.Duration(s.advance.Load())) }

// Advance moves the server's clock on: after the lifetime of a link (an hour,
// unless WithTTL says otherwise) all that are open have expired.
func (s *Server) Advance(d time.Duration) { s.advance.Add(int64(d)) }

// Client returns a client of the server with its key, and with these options besides.
func (s *Server) Client(options ...client.Option) *client.Client {
	s.t.Helper()
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	base := []client.Option{client.WithHTTPClient(&http.Client{Transport: transport}), client.WithKey(s.Key)}
	c, err := client.New(s.URL, append(base, options...)...)
	s.must(err)
	return c
}

// AddUser adds a user with a password, in these accounts; accounts that are
// missing are made. The empty password is none: the user cannot log in yet.
func (s *Server) AddUser(address, password string, accounts ...string) {
	s.t.Helper()
	u := builtin.NewUser{Email: address, Accounts: accounts}
	if password != "" {
		var err error
		u.PasswordHash, err = s.users.HashNew(s.t.Context(), u, password)
		s.must(err)
	}
	_, err := s.users.Add(s.t.Context(), u)
	s.must(err)
}

// DisableUser keeps a user from resetting: no mails, and links that were sent open nothing.
func (s *Server) DisableUser(address string) {
	s.t.Helper()
	s.must(s.users.Disable(s.t.Context(), address))
}

// HasPassword reports whether the password is the user's.
func (s *Server) HasPassword(address, password string) bool {
	s.t.Helper()
	ok, err := s.users.Verify(s.t.Context(), address, password)
	if !errors.Is(err, reset.ErrNoUser) {
		s.must(err)
	}
	return ok
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("sparekeytest: %v", err)
	}
}

// end reports what went wrong at the end, when it is too late for must.
func (s *Server) end(what string, err error) {
	if err != nil {
		s.t.Errorf("sparekeytest: %s: %v", what, err)
	}
}
