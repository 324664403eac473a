package postgres_test

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres"
)

// connect opens a store without migrating.
func connect(t *testing.T, address string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Options{URL: address, Inserter: inserter, Connections: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestReplicasMigrateAtOnce: ten that start together apply each migration once, and all find them applied.
func TestReplicasMigrateAtOnce(t *testing.T) {
	t.Parallel()
	const replicas = 10
	address := cluster.Database(t)
	stores := make([]*postgres.Store, replicas)
	for i := range stores {
		stores[i] = connect(t, address)
	}
	if pending, err := stores[0].Pending(t.Context()); !pending || err != nil {
		t.Errorf("an empty database: pending %v, %v", pending, err)
	}
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		applied []string
	)
	for _, s := range stores {
		wg.Go(func() {
			list, err := s.Migrate(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			applied = append(applied, list...)
		})
	}
	wg.Wait()
	if got := strings.Join(applied, " "); got != "00001 00002 00003 00004 00005 00006 00007" {
		t.Errorf("applied: %s", got)
	}
	for _, s := range stores {
		if pending, err := s.Pending(t.Context()); pending || err != nil {
			t.Errorf("afterwards: pending %v, %v", pending, err)
		}
	}
}

// grants are the rights that docs/operate.md gives the role that serves: rows,
// and no tables. They are taken from there.
func grants(t *testing.T) string {
	t.Helper()
	guide, err := os.ReadFile("../../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```sql\n(.*?)^```").FindAllStringSubmatch(string(guide), -1) {
		if strings.Contains(block[1], "ALTER DEFAULT PRIVILEGES") {
			return block[1]
		}
	}
	t.Fatal("the guide grants nothing")
	return ""
}

// TestLeastRights: a role that may touch rows alone serves; what is left to
// migrate it is told of, and what it may not do it cannot.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	address := cluster.Database(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Trim(u.Path, "/")
	// The two roles belong to the whole cluster, and this test alone uses them.
	cluster.Exec(t, "postgres", `CREATE ROLE sparekey_owner LOGIN PASSWORD 'owned'; CREATE ROLE sparekey LOGIN PASSWORD 'served'; ALTER DATABASE `+name+` OWNER TO sparekey_owner`)
	cluster.Exec(t, name, grants(t))
	u.User = url.UserPassword("sparekey", "served")
	if _, err := connect(t, u.String()).Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "migrate as the role that owns them") {
		t.Errorf("a role without rights migrates: %v", err)
	}
	u.User = url.UserPassword("sparekey_owner", "owned")
	open(t, u.String()) // and migrates
	u.User = url.UserPassword("sparekey", "served")

	s := connect(t, u.String())
	if applied, err := s.Migrate(t.Context()); err != nil || len(applied) != 0 {
		t.Errorf("Migrate with nothing to do: %v, %v", applied, err)
	}
	s.Seal(chain())
	now := time.Now()
	for what, fn := range map[string]func(tx reset.Tx) error{
		"ask": func(tx reset.Tx) error {
			if _, err := tx.Take(t.Context(), "limit", 1, reset.Rate{Count: 1, Per: time.Hour}, now); err != nil {
				return err
			}
			return tx.Enqueue(t.Context(), reset.LinkEntry{Address: "ada@example.test"})
		},
		"open": func(tx reset.Tx) error {
			return tx.OpenRequest(t.Context(), reset.NewID().Digest(), "ada", now, now.Add(time.Hour))
		},
		"purge": func(tx reset.Tx) error { _, err := tx.Purge(t.Context(), now, now, now); return err },
		"record": func(tx reset.Tx) error {
			tx.Record(reset.AuditEntry{At: now, What: reset.ActLooked})
			return nil
		},
		"purge the trail": func(tx reset.Tx) error { _, err := tx.PurgeAudit(t.Context(), now, now.Add(-time.Hour)); return err },
		"key": func(tx reset.Tx) error {
			return tx.AddKey(t.Context(), reset.Key{Name: "k", Scope: reset.ScopeReset, CreatedAt: now}, reset.Digest{1})
		},
	} {
		if err := s.Update(t.Context(), fn); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	db, err := pgxpool.New(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, forbidden := range []string{
		"DROP TABLE users", "CREATE TABLE mine (a int)", "ALTER TABLE users ADD COLUMN a int", "TRUNCATE requests", "CREATE ROLE other",
		"UPDATE audit_entries SET who = 'nobody'", "DELETE FROM audit_entries", "ALTER TABLE audit_entries DISABLE TRIGGER USER",
	} {
		if _, err := db.Exec(t.Context(), forbidden); err == nil {
			t.Errorf("the role may: %s", forbidden)
		}
	}
}
