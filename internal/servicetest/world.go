// Package servicetest sets a whole service up on a real database, a SQLite file
// unless a test wants PostgreSQL, without HTTP and without a mail server, for the tests of the adapters that face
// people and programs. The outbox is worked when a test says so, and the clock
// stands still until a test moves it.
package servicetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/throttle"
)

// BaseURL is what links begin with.
const BaseURL = "https://reset.example.com"

// ServiceName is the name of the default brand.
const ServiceName = "Example"

// AddressNames is what names addresses in the audit trail.
var AddressNames = reset.AddressNames("the key of addresses")

// World is a service and what surrounds it.
type World struct {
	Store   Store
	Users   *builtin.Directory
	Service *reset.Service
	Keys    *reset.Keys
	Courier *reset.Courier
	// Brands are those of accounts; what is changed in the store is known after Brands.Refresh.
	Brands *reset.Brands
	// Puzzle is what WithPuzzle made, or nil.
	Puzzle *puzzle.Puzzle
	Clock  *Clock
	// Recorder keeps what is noted for the audit trail until Trail is called.
	Recorder *reset.Recorder
	// Chain seals the audit trail.
	Chain *reset.Chain
	// Path is the database file, on SQLite.
	Path string

	mail   *mailer
	outbox *memoryOutbox // nil if the outbox is that of the product
	dump   func(t testing.TB) string
}

// Option changes how a World is made.
type Option func(*options)

type options struct {
	throttle  bool
	puzzle    *puzzle.Options
	busy      time.Duration
	pages     int
	postgres  string
	inserter  bool
	hasher    builtin.Hasher
	log       *slog.Logger
	clients   reset.ClientDetail
	directory func(reset.Directory) reset.Directory
	mailer    func(reset.Mailer) reset.Mailer
	events    reset.Events
	sender    reset.EventSender
	set       time.Duration
}

// WithThrottle switches the throttle on, with the default limits.
func WithThrottle() Option { return func(o *options) { o.throttle = true } }

// WithPuzzle demands puzzles of callers without a key.
func WithPuzzle(p puzzle.Options) Option { return func(o *options) { o.puzzle = &p } }

// WithBusyTimeout sets how long the store waits for another process's lock.
func WithBusyTimeout(d time.Duration) Option { return func(o *options) { o.busy = d } }

// WithDisk bounds the database to so many pages of 4 KiB, like a disk that is nearly full.
func WithDisk(pages int) Option { return func(o *options) { o.pages = pages } }

// OnPostgres keeps the data in that database, which must be empty.
func OnPostgres(address string) Option { return func(o *options) { o.postgres = address } }

// WithRealOutbox has entries go where the product puts them, and nobody works
// them. Without it they are kept in memory, for WorkOutbox.
func WithRealOutbox() Option { return func(o *options) { o.inserter = true } }

// WithHasher takes another hasher, such as one that does no work.
func WithHasher(h builtin.Hasher) Option { return func(o *options) { o.hasher = h } }

// WithLog sets where the domain logs to; by default nowhere.
func WithLog(l *slog.Logger) Option { return func(o *options) { o.log = l } }

// WithClients sets how exactly the audit trail tells where calls came from.
func WithClients(d reset.ClientDetail) Option { return func(o *options) { o.clients = d } }

// WithDirectory puts something between the domain and the directory, such as
// one that fails or waits. World.Users stays the directory behind it.
func WithDirectory(wrap func(reset.Directory) reset.Directory) Option {
	return func(o *options) { o.directory = wrap }
}

// WithSetTimeout bounds setting a password in a directory that shares no database with the store.
func WithSetTimeout(d time.Duration) Option { return func(o *options) { o.set = d } }

// WithMailer puts something between the domain and the mailer, such as one that fails or waits.
func WithMailer(wrap func(reset.Mailer) reset.Mailer) Option {
	return func(o *options) { o.mailer = wrap }
}

// WithEvents has the sender told of events.
func WithEvents(e reset.Events, sender reset.EventSender) Option {
	return func(o *options) { o.events, o.sender = e, sender }
}

// New makes a World that ends with the test.
func New(t testing.TB, opts ...Option) *World {
	t.Helper()
	o := options{
		log:       slog.New(slog.DiscardHandler),
		directory: func(d reset.Directory) reset.Directory { return d },
		mailer:    func(m reset.Mailer) reset.Mailer { return m },
	}
	for _, opt := range opts {
		opt(&o)
	}
	w := &World{
		Clock:  &Clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)},
		Path:   filepath.Join(t.TempDir(), "sparekey.db"),
		mail:   &mailer{},
		outbox: &memoryOutbox{},
	}
	if o.inserter {
		w.outbox = nil
	}
	w.open(t, o)
	policy, err := password.NewPolicy(password.Options{MinLength: 15, MaxLength: 1024, MinStrength: password.DefaultStrength})
	must(t, err)
	if o.hasher == nil {
		o.hasher, err = password.NewHasher(password.DefaultParams(), 2, 32, time.Now)
		must(t, err)
	}
	w.Users = builtin.New(w.Store, o.hasher, policy, w.Clock.Now)
	var limits reset.Throttle = throttle.Off{}
	if o.throttle {
		limits = throttle.New(throttle.Defaults(), w.Store, o.log)
	}
	cfg := reset.Config{BaseURL: BaseURL, TTL: time.Hour, MaxAddresses: 10, MaxBulk: 5000, SetTimeout: o.set}
	directory := o.directory(w.Users)
	w.Service = reset.NewService(cfg, w.Store, directory, policy, limits, w.Clock.Now, o.log)
	if o.puzzle != nil {
		w.Puzzle = puzzle.New([]byte("a key of tests, for puzzles alone"), *o.puzzle)
		w.Service.Demand(w.Puzzle)
	}
	w.Keys = reset.NewKeys(w.Store, limits, w.Clock.Now)
	w.Keys.Log(o.log)
	w.Courier = reset.NewCourier(cfg, w.Store, directory, o.mailer(w.mail), w.Clock.Now, o.log)
	w.Courier.Limit(limits)
	base, err := reset.Branding{Name: ServiceName, Sender: "Example <noreply@example.com>", LinkBase: BaseURL}.Default()
	must(t, err)
	w.Brands = reset.NewBrands(base, w.Store, o.log)
	w.Courier.Wear(w.Brands)
	w.Service.Announce(o.events)
	w.Courier.Announce(o.events, o.sender)
	w.Recorder = reset.NewRecorder(w.Store, w.Clock.Now, o.log)
	w.Chain = reset.NewChain([]byte("the key of the audit trail"), "test", slog.New(slog.DiscardHandler))
	w.Store.Seal(w.Chain)
	audit := reset.NewAudit(AddressNames, o.clients, w.Recorder, w.Clock.Now)
	w.Service.Audit(audit)
	w.Keys.Audit(audit)
	w.Courier.Audit(audit)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// AddUser adds a user, and the accounts that are missing.
func (w *World) AddUser(t testing.TB, email, name string, accounts ...string) reset.User {
	t.Helper()
	u, err := w.Users.Add(t.Context(), builtin.NewUser{Email: email, Name: name, Accounts: accounts})
	must(t, err)
	return u
}

// Brand sets an account's brand, which pages and mails then wear, and returns the account.
func (w *World) Brand(t testing.TB, account string, b reset.Branding) reset.Account {
	t.Helper()
	set, err := w.Users.SetBranding(t.Context(), account, w.Brands.Default(), func(reset.Branding) (reset.Branding, error) { return b, nil })
	must(t, err)
	must(t, w.Brands.Refresh(t.Context()))
	return set.Account
}

// SetPassword gives a user a password, as a reset would without its link.
func (w *World) SetPassword(ctx context.Context, u reset.User, password string) error {
	change, err := w.Users.Prepare(ctx, u, password, nil)
	if err != nil {
		return err
	}
	return w.Store.Update(ctx, func(tx reset.Tx) error { return change.Apply(ctx, tx, w.Clock.Now()) })
}

// NewKey makes a key and returns its secret; account may be empty.
func (w *World) NewKey(t testing.TB, name string, scope reset.Scope, account string) string {
	t.Helper()
	var id int64
	if account != "" {
		a, err := w.Users.Account(t.Context(), account)
		must(t, err)
		id = a.ID
	}
	secret, err := w.Keys.Create(t.Context(), name, scope, id, 0)
	must(t, err)
	return secret
}

// MailedID asks for a link, works the outbox and returns the id that was mailed to the address.
func (w *World) MailedID(t testing.TB, email string) string {
	t.Helper()
	must(t, w.Service.Ask(t.Context(), reset.Caller{Client: "192.0.2.1"}, []string{email}))
	before := len(w.Links())
	w.WorkOutbox(t)
	links := w.Links()
	if len(links) == before {
		t.Fatalf("no mail came for %s", email)
	}
	return ID(links[len(links)-1])
}

// ID is the secret id in a link mail.
func ID(m reset.LinkMail) string {
	path, _, _ := strings.Cut(m.Link, "?")
	return path[strings.LastIndexByte(path, '/')+1:]
}

// VerifyPassword reports whether the password is the user's.
func (w *World) VerifyPassword(t testing.TB, email, password string) bool {
	t.Helper()
	ok, err := w.Users.Verify(t.Context(), email, password)
	must(t, err)
	return ok
}

// Links returns the link mails that were sent, oldest first.
func (w *World) Links() []reset.LinkMail { return w.mail.copyLinks() }

// Unknown are the mails to addresses that nobody has, so far.
func (w *World) Unknown() []reset.UnknownMail {
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	return append([]reset.UnknownMail(nil), w.mail.unknown...)
}

// Notices returns the notices that were sent, oldest first.
func (w *World) Notices() []reset.NoticeMail { return w.mail.copyNotices() }

// Pending returns the entries in the outbox that were not worked yet.
func (w *World) Pending() []reset.Entry {
	w.outbox.mu.Lock()
	defer w.outbox.mu.Unlock()
	return append([]reset.Entry(nil), w.outbox.entries...)
}

// TakeOutbox takes out of the outbox what is due, and returns it, oldest first.
func (w *World) TakeOutbox() []reset.Entry { return w.outbox.take(w.Clock.Now()) }

// WorkOutbox works everything in the outbox once, in order. What is
// undeliverable is given up; any other failure fails the test.
func (w *World) WorkOutbox(t testing.TB) {
	t.Helper()
	for _, e := range w.TakeOutbox() {
		err := w.Work(t.Context(), e)
		if _, never := errors.AsType[*reset.Undeliverable](err); never {
			err = w.Courier.GiveUp(t.Context(), e, 1, err)
		}
		must(t, err)
	}
}

// Work does what one entry asks for.
func (w *World) Work(ctx context.Context, e reset.Entry) error {
	switch e := e.(type) {
	case reset.LinkEntry:
		return w.Courier.MailLink(ctx, e, false)
	case reset.NoticeEntry:
		return w.Courier.MailNotice(ctx, e)
	case reset.EventEntry:
		return w.Courier.TellEvent(ctx, e)
	case reset.SettleEntry:
		return w.Courier.Settle(ctx, e)
	}
	return fmt.Errorf("no such entry: %T", e)
}

// FailMail makes every mail fail with err, until it is called with nil.
func (w *World) FailMail(err error) {
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	w.mail.err = err
}

// Lock holds the database's write lock, as another process might, until the returned function is called.
func (w *World) Lock(t testing.TB) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", w.Path)
	must(t, err)
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	must(t, err)
	return func() {
		_, err := db.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK")
		must(t, errors.Join(err, db.Close()))
	}
}

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// mailer keeps mails instead of sending them.
type mailer struct {
	mu      sync.Mutex
	err     error
	links   []reset.LinkMail
	notices []reset.NoticeMail
	unknown []reset.UnknownMail
}

func (m *mailer) SendUnknown(_ context.Context, u reset.UnknownMail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.unknown = append(m.unknown, u)
	}
	return m.err
}

func (m *mailer) SendLink(_ context.Context, l reset.LinkMail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.links = append(m.links, l)
	}
	return m.err
}

func (m *mailer) SendNotice(_ context.Context, n reset.NoticeMail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.notices = append(m.notices, n)
	}
	return m.err
}

func (m *mailer) copyLinks() []reset.LinkMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]reset.LinkMail(nil), m.links...)
}

func (m *mailer) copyNotices() []reset.NoticeMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]reset.NoticeMail(nil), m.notices...)
}
