package main

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/outbox"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres"
	"github.com/sparekey/sparekey/internal/store/sqlite"
)

// store is what the commands need of a database, whichever holds the data.
type store interface {
	reset.Store
	builtin.Records
	// Migrate brings the tables up to date and says what it did.
	Migrate(ctx context.Context) (applied []string, err error)
	// Pending reports whether Migrate would do anything.
	Pending(ctx context.Context) (bool, error)
	reset.AuditTrail
	// Seal has it keep an audit trail.
	Seal(c *reset.Chain)
	// Secret returns what is kept under a name; whoever asks first keeps fresh, and nil keeps nothing.
	Secret(ctx context.Context, name string, fresh []byte) ([]byte, error)
	// Ready answers an error when it cannot be read.
	Ready(ctx context.Context) error
	Close() error
}

// worker is a running outbox.
type worker interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// database is an open store with what serving from it takes besides.
type database struct {
	store
	// behind is the same database for what nobody waits for, the outbox's work. On
	// PostgreSQL it has connections of its own: mails that pile up then leave those
	// that callers wait for alone.
	behind    store
	newOutbox func(h outbox.Handler, o outbox.Options) (worker, error)
	// hold makes this process one that serves from it, until release, and says
	// how many entries of dead ones it has made available again.
	hold func(ctx context.Context) (release func(), reclaimed int, err error)
	// turns are those of all replicas; nil where one process serves alone.
	turns reset.Turns
}

// openDatabase opens what is configured. It changes nothing in it.
func openDatabase(ctx context.Context, cfg *config.Config, log *slog.Logger) (*database, error) {
	if cfg.Database.URL != "" {
		return openPostgres(ctx, cfg, log)
	}
	s, err := sqlite.Open(ctx, sqlite.Options{
		Path: cfg.Database.Path, Log: log,
		Inserter: func(d sqlite.RiverDriver) (sqlite.Inserter, error) { return outbox.NewInserter[*sql.Tx](d) },
	})
	if err != nil {
		return nil, err
	}
	return &database{
		store: s, behind: s,
		newOutbox: func(h outbox.Handler, o outbox.Options) (worker, error) {
			// Polling an index is cheaper than a notification row per mail, and nobody else writes here.
			o.PollOnly = true
			return outbox.New(s.RiverDriver(), h, o)
		},
		hold: func(ctx context.Context) (func(), int, error) {
			if err := s.LockForServing(); err != nil {
				return nil, 0, err
			}
			n, err := s.ReclaimOutbox(ctx)
			return func() {}, n, err // closing the store lets the lock go
		},
	}, nil
}

// openPostgres opens a database that other replicas may serve from at the same time.
func openPostgres(ctx context.Context, cfg *config.Config, log *slog.Logger) (*database, error) {
	address, err := postgresAddress(cfg.Database, cfg.DatabasePassword)
	if err != nil {
		return nil, err
	}
	few := outboxConnections(cfg.DatabaseConnections)
	s, err := openPool(ctx, address, cfg.DatabaseConnections-few, log)
	if err != nil {
		return nil, err
	}
	work, err := openPool(ctx, address, few, log)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &database{
		store: pools{s, work}, behind: work, turns: work,
		newOutbox: func(h outbox.Handler, o outbox.Options) (worker, error) {
			o.ID = work.ID()
			return outbox.New(work.RiverDriver(), h, o)
		},
		hold: func(ctx context.Context) (release func(), reclaimed int, err error) {
			serving, n, err := work.Serve(ctx)
			if err != nil {
				return nil, 0, err
			}
			return serving.Close, n, nil
		},
	}, nil
}

// pools are two sets of connections to one database. Commands use the first.
type pools struct {
	*postgres.Store
	work *postgres.Store
}

// Seal has both keep the audit trail.
func (p pools) Seal(c *reset.Chain) {
	p.Store.Seal(c)
	p.work.Seal(c)
}

// Close waits for what is under way and closes the connections of both.
func (p pools) Close() error { return errors.Join(p.Store.Close(), p.work.Close()) }

// outboxConnections is how many of a process's connections are for the outbox's
// work: three in eight. At least four, since one hears of new entries and one holds
// the locks that say that the process is alive.
func outboxConnections(all int) int { return max(4, all*3/8) }

func openPool(ctx context.Context, address string, connections int, log *slog.Logger) (*postgres.Store, error) {
	s, err := postgres.Open(ctx, postgres.Options{
		URL: address, Connections: connections, Log: log,
		Inserter: func(d postgres.RiverDriver) (postgres.Inserter, error) { return outbox.NewInserter[postgres.Tx](d) },
	})
	if err != nil {
		return nil, hintf(err, "set SPAREKEY_DATABASE to postgres://USER@HOST:PORT/NAME?sslmode=verify-full and SPAREKEY_DATABASE_PASSWORD, and try: sparekey doctor")
	}
	return s, nil
}

// postgresAddress is the address with the password, if that is set apart.
func postgresAddress(d config.Database, password config.Secret) (string, error) {
	address, err := url.Parse(d.URL.Reveal())
	if err != nil {
		return "", errors.New("the address of the database is no URL")
	}
	if password != "" {
		address.User = url.UserPassword(address.User.Username(), password.Reveal())
	}
	return address.String(), nil
}

// isMissing reports whether there is no database yet. A PostgreSQL server
// knows by itself which it has.
func isMissing(d config.Database) bool {
	if d.Path == "" {
		return false
	}
	_, err := os.Stat(d.Path)
	return errors.Is(err, fs.ErrNotExist)
}

// ready says whether requests can be served: the tables are up to date, and can be read.
func (d *database) ready(ctx context.Context) error {
	pending, err := d.Pending(ctx)
	if err != nil {
		return err
	}
	if pending {
		return errors.New("the tables are older than this build; bring them up to date with: sparekey migrate")
	}
	return d.Ready(ctx)
}
