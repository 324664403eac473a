package e2e

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite"

	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// cluster is the PostgreSQL server of all tests; each has a database of its own in it.
var cluster *pgtest.Cluster

// database is where a service under test keeps its data, seen from outside.
type database interface {
	// setting is the value of SPAREKEY_DATABASE.
	setting() string
	// unfinished counts the mails that the outbox still has to send.
	unfinished(t *testing.T) (int, error)
	// atRest is everything that is stored, as bytes.
	atRest(t *testing.T) []byte
	// exec changes it behind the service's back.
	exec(t *testing.T, statement string)
}

// databases are the kinds of it; a test of what the database has a part in runs on each.
var databases = map[string]func(t *testing.T) database{
	"SQLite":     func(t *testing.T) database { return file(filepath.Join(t.TempDir(), "sparekey.db")) },
	"PostgreSQL": newPostgres,
}

const unfinished = `SELECT count(*) FROM river_job WHERE kind IN ('link', 'notice') AND finalized_at IS NULL`

// file is a SQLite database.
type file string

func (f file) setting() string { return "sqlite:" + string(f) }

func (f file) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", string(f)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func (f file) exec(t *testing.T, statement string) {
	t.Helper()
	db := f.open(t)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func (f file) unfinished(t *testing.T) (n int, err error) {
	t.Helper()
	db := f.open(t)
	defer func() { _ = db.Close() }()
	err = db.QueryRowContext(t.Context(), unfinished).Scan(&n)
	return n, err
}

func (f file) atRest(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, name := range []string{"", "-wal"} {
		content, err := os.ReadFile(string(f) + name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.Bytes()
}

// server of PostgreSQL.
type pgDatabase struct {
	address string
	pool    *pgxpool.Pool
}

func newPostgres(t *testing.T) database {
	t.Helper()
	address := cluster.Database(t)
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pgDatabase{address, pool}
}

func (p pgDatabase) setting() string { return p.address }

func (p pgDatabase) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := p.pool.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func (p pgDatabase) unfinished(t *testing.T) (n int, err error) {
	t.Helper()
	err = p.pool.QueryRow(t.Context(), unfinished).Scan(&n)
	return n, err
}

// atRest reads every row of every table as text.
func (p pgDatabase) atRest(t *testing.T) []byte {
	t.Helper()
	rows, err := p.pool.Query(t.Context(), `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 10 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	var all bytes.Buffer
	for _, table := range tables {
		rows, err := p.pool.Query(t.Context(), `SELECT row::text FROM `+pgx.Identifier{table}.Sanitize()+` AS row`)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts {
			all.WriteString(text + "\n")
		}
	}
	return all.Bytes()
}
