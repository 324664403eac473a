// Package postgres is the store on PostgreSQL 14 and later: requests, keys, bulk
// jobs, limits, the built-in directory's users and the outbox, in one database
// that any number of replicas share.
//
// Each Update is a transaction of its own with synchronous_commit as the server
// has it (on, by default): what it has answered survives a power cut. Where two
// replicas compete, rows decide: guarded updates (a claim, a limit), and for the
// rule that a user has one open request an advisory lock per user.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/sparekey/sparekey/internal/reset"
)

// Tx is the driver's transaction, in which the outbox puts its entries.
type Tx = pgx.Tx

// RiverDriver is what the outbox works with.
type RiverDriver = riverdriver.Driver[Tx]

// Inserter puts entries into the outbox as part of a transaction.
type Inserter interface {
	InsertTx(ctx context.Context, tx pgx.Tx, entries []reset.Entry) error
}

const (
	defaultConnections = 16
	// connectTimeout bounds making a connection, and waiting for a free one.
	connectTimeout = 5 * time.Second
	// statementTimeout ends a statement on the server, lockTimeout its waiting
	// for others. Statements here take a millisecond; what takes seconds is stuck.
	statementTimeout = 10 * time.Second
	lockTimeout      = 5 * time.Second
	// callTimeout bounds a call however the network fails: the server's own
	// timeouts do not end a wait for an answer that is never coming.
	callTimeout = 15 * time.Second
	// attempts is how often a transaction is tried when the server has ended it
	// in favour of another one (a deadlock).
	attempts = 4
)

// Options are how to open a store.
type Options struct {
	// URL is the database's address, as libpq takes it: postgres://user:password@host:5432/name?sslmode=verify-full.
	URL string
	// Connections is how many connections one process has at most; default 16.
	Connections int
	// Inserter makes what puts entries into the outbox. It must be set if anything is enqueued.
	Inserter func(RiverDriver) (Inserter, error)
	Log      *slog.Logger
}

// Store is a reset.Store and keeps the built-in directory's users.
type Store struct {
	pool     *pgxpool.Pool
	id       string // of this process, among others that serve
	inserter Inserter
	chain    *reset.Chain            // nil: no audit trail is kept
	serving  atomic.Pointer[Serving] // the way by which this process is known to others
	log      *slog.Logger
}

// Open makes the pool. It changes nothing in the database: call Migrate before use.
func Open(ctx context.Context, o Options) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		// The driver's text holds parts of the URL, and with it perhaps the password.
		return nil, errors.New("the address of the database is malformed; write postgres://user:password@host:5432/name?sslmode=verify-full")
	}
	if o.Connections == 0 {
		o.Connections = defaultConnections
	}
	cfg.MaxConns = int32(min(o.Connections, math.MaxInt16)) //nolint:gosec // far below
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	params := cfg.ConnConfig.RuntimeParams
	params["application_name"] = "sparekey"
	for name, d := range map[string]time.Duration{
		"statement_timeout": statementTimeout, "idle_in_transaction_session_timeout": statementTimeout, "lock_timeout": lockTimeout,
	} {
		params[name] = strconv.FormatInt(d.Milliseconds(), 10)
	}
	// The server notices within 25 seconds that a replica's machine has gone, and
	// with its sessions go its locks (see alive.go). Its own default is two hours.
	params["tcp_keepalives_idle"], params["tcp_keepalives_interval"], params["tcp_keepalives_count"] = "10", "5", "3"
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", translate(err))
	}
	s := &Store{pool: pool, id: uuid.NewString(), log: o.Log}
	if o.Inserter != nil {
		if s.inserter, err = o.Inserter(s.RiverDriver()); err != nil {
			pool.Close()
			return nil, err
		}
	}
	return s, nil
}

// RiverDriver returns the outbox's way to the database.
func (s *Store) RiverDriver() RiverDriver { return riverpgxv5.New(s.pool) }

// Ready answers an error when the store cannot be read.
func (s *Store) Ready(ctx context.Context) error {
	_, err := read(ctx, s, func(ctx context.Context, db querier) (n int, err error) {
		err = db.QueryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM requests LIMIT 1) AS r`).Scan(&n)
		return n, err
	})
	return err
}

// Close waits for what is under way and closes the connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// Update implements reset.Store.
func (s *Store) Update(ctx context.Context, fn func(reset.Tx) error) error {
	// Waiting for a connection is bounded; what was begun is finished, since
	// nobody would know how it went otherwise. The server's timeouts bound that.
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := s.try(whole, conn, fn)
		if !repeatable(err) || attempt == attempts || ctx.Err() != nil {
			return translate(err)
		}
	}
}

func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	return conn, nil
}

// try runs fn in a transaction, once.
func (s *Store) try(ctx context.Context, conn *pgxpool.Conn, fn func(reset.Tx) error) (err error) {
	t := &tx{sql: &pipeline{conn: conn}, chain: s.chain}
	defer func() {
		if err != nil {
			_ = t.sql.Rollback(ctx) // its own failure closes the connection, which ends the transaction as well
		}
	}()
	if err := protect(fn, t); err != nil {
		return err
	}
	if len(t.entries) > 0 {
		if s.inserter == nil {
			return errors.New("the store was opened without an outbox")
		}
		if err := s.inserter.InsertTx(ctx, t.sql, t.entries); err != nil {
			return err
		}
	}
	if s.chain != nil {
		if err := s.chain.Append(ctx, ledger{t}, t.audit); err != nil {
			return err
		}
	}
	return t.sql.Commit(ctx)
}

// repeatable reports whether the server has ended a transaction in favour of another one.
func repeatable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40P01" || e.Code == "40001")
}

// protect turns a panic into an error, so that the transaction is rolled back and its connection can be used again.
func protect(fn func(reset.Tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v\n%s", p, debug.Stack())
		}
	}()
	return fn(t)
}
