// Package sqlite is the store on SQLite: requests, keys, bulk jobs, limits, the
// built-in directory's users and the outbox, in one file.
//
// All writing goes through one connection and one goroutine that commits
// waiting transactions together (writer.go), with synchronous=FULL: what
// Update has answered survives a power cut. Reading has a small pool of its
// own and never waits for a writer (WAL).
//
// One process at a time may serve from a file (Store.LockForServing); the command line
// may read and write beside it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	driver "modernc.org/sqlite"

	"github.com/sparekey/sparekey/internal/reset"
)

// RiverDriver is what the outbox works with.
type RiverDriver = riverdriver.Driver[*sql.Tx]

// Inserter puts entries into the outbox as part of a transaction.
type Inserter interface {
	InsertTx(ctx context.Context, tx *sql.Tx, entries []reset.Entry) error
}

// Options are how to open a store.
type Options struct {
	// Path of the database file; it and its folder are made if missing, readable by their owner alone.
	Path string
	// Inserter makes what puts entries into the outbox. It must be set if anything is enqueued.
	Inserter func(RiverDriver) (Inserter, error)
	// BusyTimeout is how long to wait for another process's lock; default 5 seconds.
	BusyTimeout time.Duration
	// MaxPages is how many pages of 4 KiB the file may have; 0: as many as the
	// disk holds. At the bound SQLite behaves as on a full disk.
	MaxPages int
	Log      *slog.Logger
}

const (
	// readers is how many connections may read at once. Reads take microseconds,
	// so more would only cost memory.
	readers = 4
	// readerCache is how much of the database each of them may keep in memory, as
	// cache_size counts it: 8 MB hold the indexes for some ten thousand open
	// requests, which SQLite's own 2 MB do not.
	readerCache = "cache_size(-8000)"
)

// reader reads. Its queries do not end with the caller's context: they take
// microseconds, never wait for a writer, and watching a context would cost
// database/sql a goroutine for each.
type reader struct{ *sql.DB }

// QueryContext is that of sql.DB, unwatched.
func (r reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return r.DB.QueryContext(context.WithoutCancel(ctx), query, args...)
}

// QueryRowContext is that of sql.DB, unwatched.
func (r reader) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return r.DB.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

// Store is a reset.Store and keeps the built-in directory's users.
type Store struct {
	path     string
	write    *sql.DB // one connection
	read     reader
	inserter Inserter
	chain    *reset.Chain // nil: no audit trail is kept
	writer   *writer
	log      *slog.Logger
	serving  *flock.Flock
}

// Open opens the file. It changes nothing in it: call Migrate before use.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.BusyTimeout == 0 {
		o.BusyTimeout = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := prepareFile(o.Path); err != nil {
		return nil, fmt.Errorf("open the database %s: %w; check that the folder can be written by this user", o.Path, err)
	}
	s := &Store{path: o.Path, log: o.Log}
	var err error
	// What is deleted is overwritten: it may have been an address.
	if s.write, err = open(o, "immediate", "secure_delete(1)"); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	s.write.SetMaxIdleConns(1)
	if s.read.DB, err = open(o, "deferred", "query_only(1)", readerCache); err != nil {
		return nil, errors.Join(err, s.write.Close())
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if o.Inserter != nil {
		if s.inserter, err = o.Inserter(s.RiverDriver()); err != nil {
			return nil, errors.Join(err, s.read.Close(), s.write.Close())
		}
	}
	// WAL is a property of the file; setting it needs a moment without readers, so only now.
	if _, err := s.write.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database %s: %w; is it a SQLite file?", o.Path, translate(err)), s.read.Close(), s.write.Close())
	}
	s.writer = startWriter(s)
	return s, nil
}

// prepareFile makes the file readable by its owner alone; SQLite gives its
// companions (-wal, -shm) the same mode.
func prepareFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func open(o Options, lock string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {lock}}
	if o.MaxPages > 0 {
		pragmas = append(pragmas, fmt.Sprintf("max_page_count(%d)", o.MaxPages))
	}
	for _, p := range append([]string{
		fmt.Sprintf("busy_timeout(%d)", o.BusyTimeout.Milliseconds()),
		"synchronous(full)",
		"foreign_keys(1)",
		"journal_size_limit(67108864)", // a burst's WAL is given back
		"temp_store(memory)",
	}, pragmas...) {
		q.Add("_pragma", p)
	}
	dsn := (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: o.Path}).EscapedPath(), RawQuery: q.Encode()}).String()
	c, err := driver.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", o.Path, err)
	}
	return sql.OpenDB(cachingConnector{c}), nil
}

// RiverDriver returns the outbox's way to the file.
func (s *Store) RiverDriver() RiverDriver { return riversqlite.New(s.write) }

// ErrServed says that another process serves from this file.
var ErrServed = errors.New("another sparekey process serves from this database; stop it first, or give this one its own database")

// LockForServing makes this process the one that serves from the file, until
// Close, or answers ErrServed. Alone, it may give back at once what an earlier
// process left unfinished (ReclaimOutbox).
func (s *Store) LockForServing() error {
	lock, err := lockFile(s.path)
	if err == nil {
		s.serving = lock
	}
	return err
}

// lockFile takes the lock of whoever serves from a file.
func lockFile(path string) (*flock.Flock, error) {
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the database: %w", err)
	}
	if !ok {
		return nil, ErrServed
	}
	return lock, nil
}

// ReclaimOutbox makes entries available again that a process had leased when it
// died, and says how many. It must be called only while nobody works the
// outbox: after LockForServing and before the outbox starts.
func (s *Store) ReclaimOutbox(ctx context.Context) (int, error) {
	res, err := s.write.ExecContext(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
	if err != nil {
		return 0, translate(err)
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// Ready answers an error when the store cannot be read.
func (s *Store) Ready(ctx context.Context) error {
	var one int
	return translate(s.read.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM requests LIMIT 1)`).Scan(&one))
}

// Close finishes what was begun and closes the file.
func (s *Store) Close() error {
	s.writer.stop()
	errs := []error{s.read.Close(), s.write.Close()}
	if s.serving != nil {
		errs = append(errs, s.serving.Unlock())
	}
	return errors.Join(errs...)
}
