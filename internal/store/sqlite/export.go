package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Exported is a table as it is handed over: times as time.Time, the rest as it is stored.
type Exported struct {
	Name    string
	Columns []string // the first names a row
	Rows    int64
}

// exportedTable is what is selected of a table. Columns with an @ are times.
type exportedTable struct{ name, columns, from string }

func (t exportedTable) query() string {
	return `SELECT ` + strings.ReplaceAll(t.columns, "@", "") + ` FROM ` + t.from
}

// exported are all tables, each after those that it refers to. Of the outbox it
// is what is still to be done.
var exported = []exportedTable{
	{"accounts", "id, name, name_key, @suspended_at, @created_at", "accounts"},
	{"brands", "account_id, name, accent, background, sender, reply_to, support, link_base, logo_type, logo_width, logo_height, logo_digest, logo", "brands"},
	{"brand_hosts", "host, account_id, position", "brand_hosts"},
	{"brand_version", "id, version", "brand_version"},
	{"users", "id, email, email_key, name, locale, password_hash, @password_changed_at, @disabled_at, @created_at", "users"},
	{"memberships", "user_id, account_id", "memberships"},
	{"requests", "ref, digest, user_id, state, @created_at, @expires_at, @claimed_at, @ended_at", "requests"},
	{"request_users", "ref, user_id", "request_users"},
	{"keys", "id, name, digest, scope, account_id, @created_at, @expires_at, @revoked_at, @last_used_at", "keys"},
	{"limits", "name, tat", "limits"},
	{"secrets", "name, value", "secrets"},
	{"jobs", "id, key_id, @created_at", "jobs"},
	{"job_entries", "job_id, position, outcome", "job_entries"},
	{"audit_families", "family, streams, mac", "audit_families"},
	{"audit_streams", streamColumns, "audit_streams"},
	{"audit_entries", strings.Replace(recordColumns, " at,", " @at,", 1), "audit_entries"},
	{"river_job", "id, kind, args, state, attempt, max_attempts, priority, queue, @scheduled_at, @created_at", `(
		SELECT id, kind, json(args) AS args, CASE state WHEN 'running' THEN 'available' ELSE state END AS state,
			attempt, max_attempts, priority, queue,
			CAST(round(unixepoch(scheduled_at, 'subsec') * 1000) AS INTEGER) AS scheduled_at,
			CAST(round(unixepoch(created_at, 'subsec') * 1000) AS INTEGER) AS created_at
		FROM river_job WHERE finalized_at IS NULL AND kind IN ('link', 'notice', 'event', 'settle'))`},
}

// Export is everything in a file at one moment, read without changing a byte of it.
type Export struct {
	db   *sql.DB
	tx   *sql.Tx
	lock *flock.Flock
}

// OpenExport opens a file that nobody serves from, or answers ErrServed. Its
// tables must be those of this build.
func OpenExport(ctx context.Context, path string) (e *Export, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no database at %s", path)
	}
	lock, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	e = &Export{lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
			e = nil
		}
	}()
	// mode=ro reads what is left in the write-ahead log too, and never writes it back into the file.
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: "mode=ro&_pragma=query_only(1)&_pragma=busy_timeout(5000)"}
	if e.db, err = sql.Open("sqlite", dsn.String()); err != nil {
		return e, err
	}
	e.db.SetMaxOpenConns(1)
	if e.tx, err = e.db.BeginTx(ctx, nil); err != nil {
		return e, fmt.Errorf("open the database %s: %w", path, translate(err))
	}
	return e, e.current(ctx)
}

// current answers an error unless the tables are those of this build.
func (e *Export) current(ctx context.Context) error {
	p, err := (&Store{write: e.db, log: slog.New(slog.DiscardHandler)}).migrator()
	if err != nil {
		return err
	}
	sources := p.ListSources()
	want := sources[len(sources)-1].Version
	var have int64
	if err := e.tx.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have); err != nil {
		return fmt.Errorf("read its version: %w; is it a database of Sparekey?", err)
	}
	if have != want {
		return fmt.Errorf("its tables have version %d and this build knows %d; bring them up to date first: sparekey migrate", have, want)
	}
	return nil
}

// Close ends the export.
func (e *Export) Close() error {
	var errs []error
	if e.tx != nil {
		errs = append(errs, e.tx.Rollback())
	}
	if e.db != nil {
		errs = append(errs, e.db.Close())
	}
	return errors.Join(append(errs, e.lock.Close())...)
}

// Tables lists what is handed over, each table after those that it refers to.
func (e *Export) Tables(ctx context.Context) ([]Exported, error) {
	tables := make([]Exported, len(exported))
	for i, t := range exported {
		tables[i] = Exported{Name: t.name, Columns: strings.Split(strings.ReplaceAll(t.columns, "@", ""), ", ")}
		if err := e.tx.QueryRowContext(ctx, `SELECT count(*) FROM `+t.from).Scan(&tables[i].Rows); err != nil {
			return nil, fmt.Errorf("count %s: %w", t.name, err)
		}
	}
	return tables, nil
}

// Rows reads a table, a row at a time.
func (e *Export) Rows(ctx context.Context, table string) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		at := slices.IndexFunc(exported, func(t exportedTable) bool { return t.name == table })
		if at < 0 {
			yield(nil, fmt.Errorf("there is no table %s", table))
			return
		}
		columns := strings.Split(exported[at].columns, ", ")
		rows, err := e.tx.QueryContext(ctx, exported[at].query())
		if err != nil {
			yield(nil, fmt.Errorf("read %s: %w", table, err))
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			row, err := scanRow(rows, columns)
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, fmt.Errorf("read %s: %w", table, err))
		}
	}
}

func scanRow(rows *sql.Rows, columns []string) ([]any, error) {
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i, name := range columns {
		if ms, ok := row[i].(int64); ok && strings.HasPrefix(name, "@") {
			row[i] = time.UnixMilli(ms).UTC()
		}
	}
	return row, nil
}
