package sqlite

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sparekey/sparekey/internal/reset"
)

// TestRequestsOfBefore: the table of requests is made anew with all that was in
// it, and goes on behind the highest ref that was ever given, though its row is gone.
func TestRequestsOfBefore(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, Options{Path: filepath.Join(t.TempDir(), "sparekey.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := s.migrator()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(ctx, 6); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`INSERT INTO requests (ref, digest, user_id, state, created_at, expires_at, ended_at) VALUES
			(3, zeroblob(32), 'ada', 'used', 1, 2, 3), (7, randomblob(32), 'ada', 'open', 4, 5, NULL), (9, randomblob(32), 'bob', 'open', 4, 5, NULL)`,
		`DELETE FROM requests WHERE ref = 9`,
	} {
		if _, err := s.write.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(4)
	err = s.Update(ctx, func(tx reset.Tx) error { return tx.OpenRequest(ctx, reset.Digest{1}, "bob", at, at) })
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.Requests(ctx, 10)
	if err != nil || len(list) != 3 {
		t.Fatalf("requests: %+v, %v", list, err)
	}
	if list[0].Ref != 10 || list[1].Ref != 7 || list[1].State != reset.StateOpen || list[1].UserID != "ada" || !list[2].EndedAt.Equal(time.UnixMilli(3)) {
		t.Errorf("the requests are %+v", list)
	}
	if r, err := s.OpenRequestOf(ctx, "ada"); err != nil || r.Ref != 7 {
		t.Errorf("the open one is %+v, %v", r, err)
	}
}

// TestPlansOfRequests: what a reset asks of the requests is found by indexes.
func TestPlansOfRequests(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, Options{Path: filepath.Join(t.TempDir(), "sparekey.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		closing + `ref IN ` + liveOf, closing + `ref = ?1`, `SELECT * FROM requests WHERE ref IN ` + liveOf + ` AND state = 'open' ORDER BY ref DESC LIMIT 1`,
	} {
		rows, err := s.read.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, "x", 1)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := scanAll(rows, func(row interface{ Scan(...any) error }) (detail string, err error) {
			var id, parent, unused int
			return detail, row.Scan(&id, &parent, &unused, &detail)
		})
		if err != nil || len(plan) == 0 {
			t.Fatal(plan, err)
		}
		for _, line := range plan {
			if len(line) > 4 && line[:4] == "SCAN" {
				t.Errorf("%s\nreads all of a table: %q", query, plan)
			}
		}
	}
}

// TestExportHasEveryColumn: what is handed over to another database is all that there is.
func TestExportHasEveryColumn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := Open(ctx, Options{Path: filepath.Join(t.TempDir(), "sparekey.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	handed := map[string]string{}
	for _, table := range exported {
		handed[table.name] = strings.ReplaceAll(strings.ReplaceAll(table.columns, "@", ""), " ", "")
	}
	rows, err := s.read.QueryContext(ctx, `SELECT m.name, group_concat(c.name) FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'river_%' AND m.name NOT LIKE 'goose_%' GROUP BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := scanAll(rows, func(row interface{ Scan(...any) error }) (t [2]string, err error) { return t, row.Scan(&t[0], &t[1]) })
	if err != nil || len(tables) < 10 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		if got, want := sorted(handed[table[0]]), sorted(table[1]); got != want {
			t.Errorf("of %s are handed over %s, and there are %s", table[0], got, want)
		}
	}
}

func sorted(columns string) string {
	list := strings.Split(columns, ",")
	slices.Sort(list)
	return strings.Join(list, ",")
}
