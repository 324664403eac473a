package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/httpapi"
	"github.com/sparekey/sparekey/internal/httpserver"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/puzzle"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/throttle"
	"github.com/sparekey/sparekey/internal/web"
)

// core is what every command that touches data works with.
type core struct {
	cfg    *config.Config
	now    reset.Clock
	log    *slog.Logger
	store  *database
	lists  *lists
	policy *password.Policy
	users  *builtin.Directory
	hasher *password.Hasher
	// directories are where users live besides; people are all users, wherever they live.
	directories *directories
	people      reset.Directory

	brands   *reset.Brands // nil before openBrands
	audit    *reset.Audit
	recorder *reset.Recorder
	names    reset.AddressNames
}

// openCore opens the database and migrates it. create says whether a database
// that is not there is made; a command that only reads had better say that it is missing.
func openCore(ctx context.Context, cfg *config.Config, now reset.Clock, log *slog.Logger, create bool) (*core, error) {
	if !create && isMissing(cfg.Database) {
		return nil, hintf(errors.New("there is no database at "+cfg.Database.Path),
			"name the right one with --database sqlite:PATH or SPAREKEY_DATABASE, or make it: sparekey migrate")
	}
	known := newLists(cfg.Password)
	policy, err := newPolicy(cfg, known, log)
	if err != nil {
		return nil, err
	}
	hasher, err := newHasher(cfg, now)
	if err != nil {
		return nil, err
	}
	others, err := newDirectories(cfg, hasher, now, log)
	if err != nil {
		return nil, err
	}
	store, err := openDatabase(ctx, cfg, log)
	if err != nil {
		return nil, errors.Join(err, others.close())
	}
	c := &core{
		cfg: cfg, now: now, log: log, store: store, lists: known, policy: policy, hasher: hasher,
		users: builtin.New(store, hasher, policy, now), directories: others,
	}
	applied, err := store.Migrate(ctx)
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	if len(applied) > 0 {
		log.InfoContext(ctx, "database migrated", "event", "database.migrated", "versions", applied)
	}
	if c.people, err = others.whole(c.users); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := c.keepTrail(ctx, applied); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// keys returns the API keys for a command, where nobody guesses.
func (c *core) keys() *reset.Keys { return reset.NewKeys(c.store, throttle.Off{}, c.now) }

func (c *core) close() error {
	return errors.Join(c.lists.close(), c.directories.close(), c.store.Close())
}

// service is everything that runs while serving.
type service struct {
	*core
	outbox worker
	server *httpserver.Server
	// certificates is nil where a proxy in front speaks TLS, or nobody does.
	certificates certificates
	reload       <-chan os.Signal // to read them again; nil for never
	redirect     *httpserver.Redirect
	plain        net.Listener // for redirect; nil for none
}

// newService wires the service: store, directory, mailer, domain, outbox, API,
// pages, server, in this order. dev and certificates may be nil.
func newService(ctx context.Context, c *core, mailer reset.Mailer, dev http.Handler, certificates certificates) (*service, error) {
	cfg := c.cfg
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	limits := c.limits()
	domain := reset.Config{
		BaseURL: cfg.BaseURL, TTL: cfg.Request.TTL,
		MaxAddresses: cfg.API.MaxAddresses, MaxBulk: cfg.API.MaxBulk,
	}
	resets := reset.NewService(domain, c.store, c.people, c.policy, limits, c.now, c.log)
	challenge, err := c.demandPuzzles(ctx, resets)
	if err != nil {
		return nil, err
	}
	keys := reset.NewKeys(c.store, limits, c.now)
	keys.Log(c.log)
	resets.Audit(c.audit)
	keys.Audit(c.audit)
	work, err := c.newWork(ctx, domain, resets, mailer, limits)
	if err != nil {
		return nil, err
	}
	clientOf := httpserver.ClientOf(cfg.HTTP.TrustedProxies)
	api := httpapi.New(httpapi.Options{
		Service: resets, Keys: keys,
		RequireKey: cfg.API.RequireKey, CORSOrigins: cfg.API.CORSOrigins, BrandOf: wears(c.brands), Challenge: challenge, ClientOf: clientOf, Log: c.log,
	})
	pages, err := web.New(web.Options{
		Service: resets, BaseURL: cfg.BaseURL, ServiceName: cfg.Mail.ServiceName, BrandOf: pageWears(c.brands), LogoOf: c.brands.Logo,
		MinLength: cfg.Password.MinLength, MaxLength: cfg.Password.MaxLength, Challenge: challenge, ClientOf: clientOf, Now: c.now, Log: c.log,
	})
	if err != nil {
		return nil, err
	}
	var speak *tls.Config
	if certificates != nil {
		speak = certificates.TLSConfig()
	}
	server := httpserver.New(httpserver.Options{
		API:   c.tellsAddress(c.atOurHosts(httpserver.Surface{Handler: api, Refuse: httpapi.WriteError})),
		Pages: c.tellsAddress(c.atOurHosts(httpserver.Surface{Handler: pages, Refuse: pages.WriteError})),
		Dev:   dev, BasePath: base.Path, Secure: base.Scheme == "https", TLS: speak,
		Delay:       cfg.Shutdown.Delay,
		MaxInFlight: cfg.HTTP.MaxInFlight,
		Ready:       c.store.ready,
		WithRequestID: func(ctx context.Context, id string) context.Context {
			return reset.WithRequestID(logs.WithRequestID(ctx, id), id)
		},
		Now: c.now, Log: c.log,
	})
	return &service{
		core: c, outbox: work, server: server,
		certificates: certificates, redirect: httpserver.NewRedirect(sentTo(c.brands, base), httpapi.WriteError, c.log),
	}, nil
}

// newWork wires the outbox to what works it.
func (c *core) newWork(ctx context.Context, domain reset.Config, resets *reset.Service, mailer reset.Mailer, limits reset.Throttle) (worker, error) {
	courier, err := c.newCourier(domain, mailer, limits)
	if err != nil {
		return nil, err
	}
	courier.Wear(c.brands)
	if err := c.announce(ctx, resets, courier); err != nil {
		return nil, err
	}
	return c.store.newOutbox(courier, outbox.Options{Workers: c.cfg.Outbox.Workers, Targets: c.cfg.Events.Targets, Now: c.now, Log: c.log})
}

// limits are those in force.
func (c *core) limits() reset.Throttle {
	if !c.cfg.Throttle.Enabled {
		return throttle.Off{}
	}
	return throttle.New(limitsOf(c.cfg.Throttle), c.store, c.log)
}

// newCourier wires what works the outbox, on connections that no caller waits for.
func (c *core) newCourier(domain reset.Config, mailer reset.Mailer, limits reset.Throttle) (*reset.Courier, error) {
	people, err := c.directories.whole(builtin.New(c.store.behind, c.hasher, c.policy, c.now))
	if err != nil {
		return nil, err
	}
	courier := reset.NewCourier(domain, c.store.behind, people, mailer, c.now, c.log)
	courier.Limit(limits)
	if c.cfg.Mail.TellUnknown {
		courier.TellUnknown()
	}
	courier.Audit(c.audit)
	courier.KeepTrail(c.store.behind, c.retention())
	if c.store.turns != nil {
		courier.ShareTurns(c.store.turns)
	}
	return courier, nil
}

// demandPuzzles has callers without a key solve puzzles, if that is configured, and answers what makes them; else nil.
func (c *core) demandPuzzles(ctx context.Context, of *reset.Service) (challenge func() ([]byte, error), err error) {
	if !c.cfg.Puzzle.Enabled {
		return challenge, nil
	}
	key, err := c.derive(ctx, "puzzle")
	if err != nil {
		return nil, err
	}
	p := puzzle.New(key, puzzle.Options{Difficulty: c.cfg.Puzzle.Difficulty, WithoutScript: c.cfg.Puzzle.WithoutScript})
	of.Demand(p)
	return func() ([]byte, error) { return p.Challenge(c.now()) }, nil
}

// limitsOf are the limits as they are configured. A key is believed ten times as
// many wrong ids as a client, since an application calls for many people.
func limitsOf(cfg config.Throttle) throttle.Limits {
	l := throttle.Defaults()
	l.AddressShort.Count, l.AddressLong.Count = cfg.AddressPerMinute, cfg.AddressPerHour
	l.Client.Count, l.Key.Count = cfg.Client, cfg.Key
	l.Account.Count, l.Service.Count = cfg.Account, cfg.Service
	l.Guess.Count, l.KeyGuess.Count, l.ServiceGuess.Count = cfg.Guesses, 10*cfg.Guesses, 100*cfg.Guesses
	return l
}
