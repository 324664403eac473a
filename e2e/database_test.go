package e2e

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
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
	// unfinished counts what the outbox still has to do.
	unfinished(t *testing.T) (int, error)
	// atRest is everything that is stored, as bytes.
	atRest(t *testing.T) []byte
	// stay keeps the database where it is until release.
	stay() (release func())
	// files hands over the content of every file it is kept in.
	files(t *testing.T, look func(name string, content []byte))
	// history tells what became of a person's requests, for a test that has failed.
	history(t *testing.T, email string) string
	// exec changes it behind the service's back.
	exec(t *testing.T, statement string)
}

// databases are the kinds of it; a test of what the database has a part in runs on each.
var databases = map[string]func(t *testing.T) database{
	"SQLite":     func(t *testing.T) database { return newFile(t) },
	"PostgreSQL": newPostgres,
}

const unfinished = `SELECT count(*) FROM river_job WHERE kind IN ('link', 'notice', 'event', 'settle') AND finalized_at IS NULL`

// file is a SQLite database.
type file struct {
	path string
	// swap is held by who puts another file in its place.
	swap *sync.RWMutex
}

func newFile(t *testing.T) file {
	t.Helper()
	return file{filepath.Join(t.TempDir(), "sparekey.db"), &sync.RWMutex{}}
}

func (f file) setting() string { return "sqlite:" + f.path }

func (f file) stay() func() {
	f.swap.RLock()
	return f.swap.RUnlock
}

func (f file) open(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", f.path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func (f file) exec(t *testing.T, statement string) {
	t.Helper()
	defer f.stay()()
	db := f.open(t)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

const history = `SELECT 'request ' || ref || ' ' || state || ', made ' || created_at || ', ended ' || coalesce(ended_at || '', '-')
	FROM requests WHERE user_id = (SELECT id FROM users WHERE email = '%s') ORDER BY ref`

func (f file) history(t *testing.T, email string) string {
	t.Helper()
	defer f.stay()()
	db := f.open(t)
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), fmt.Sprintf(history, email))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rows.Close() }()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err.Error()
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		return err.Error()
	}
	return strings.Join(lines, "\n")
}

func (f file) files(t *testing.T, look func(string, []byte)) {
	t.Helper()
	look("its file", f.atRest(t))
}

func (f file) unfinished(t *testing.T) (n int, err error) {
	t.Helper()
	defer f.stay()()
	db := f.open(t)
	defer func() { _ = db.Close() }()
	err = db.QueryRowContext(t.Context(), unfinished).Scan(&n)
	return n, err
}

func (f file) atRest(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	for _, name := range []string{"", "-wal"} {
		content, err := os.ReadFile(f.path + name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.Bytes()
}

// server of PostgreSQL.
type pgDatabase struct {
	cluster *pgtest.Cluster
	address string
	pool    *pgxpool.Pool
}

func newPostgres(t *testing.T) database {
	t.Helper()
	return postgresOn(t, cluster)
}

// postgresOn makes a database in that cluster.
func postgresOn(t *testing.T, cluster *pgtest.Cluster) pgDatabase {
	t.Helper()
	address := cluster.Database(t)
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pgDatabase{cluster, address, pool}
}

func (p pgDatabase) stay() func() { return func() {} }

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

// uuids are what ids look like.
var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func (p pgDatabase) history(t *testing.T, email string) string {
	t.Helper()
	rows, err := p.pool.Query(t.Context(), fmt.Sprintf(history, email))
	if err != nil {
		return err.Error()
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return strings.Join(lines, "\n") + fmt.Sprint(err)
}

func (p pgDatabase) files(t *testing.T, look func(string, []byte)) {
	t.Helper()
	err := filepath.WalkDir(p.cluster.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return ignoreGone(err)
		}
		content, err := os.ReadFile(path)
		if err == nil {
			look(filepath.Base(filepath.Dir(path))+"/"+entry.Name(), content)
		}
		return ignoreGone(err)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ignoreGone forgives that a running server removes files of its own.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
