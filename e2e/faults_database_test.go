package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// ownCluster is a cluster that the test may stop.
func ownCluster(t *testing.T, dir string) *pgtest.Cluster {
	t.Helper()
	c, err := pgtest.StartIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// databaseOn makes a database that goes with its cluster.
func databaseOn(t *testing.T, c *pgtest.Cluster) pgDatabase {
	t.Helper()
	c.Exec(t, "postgres", "CREATE DATABASE sparekey")
	return connected(t, c, c.URL("sparekey"))
}

func connected(t *testing.T, c *pgtest.Cluster, address string) pgDatabase {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pgDatabase{c, address, pool}
}

// databaseRestarted restarts the database, now in order, now by a crash.
func databaseRestarted(t *testing.T, _ string) balance {
	n := size(60, 400)
	c := ownCluster(t, "")
	f := newFleet(t, databaseOn(t, c), 2, n)
	f.liveInTurns(t, n, func(ctx context.Context) {
		sometimes(ctx, 300*time.Millisecond, 1500*time.Millisecond, func(round int) {
			if err := c.Stop([]syscall.Signal{syscall.SIGINT, syscall.SIGQUIT}[round%2]); err != nil {
				t.Error(err)
			}
			if err := c.Restart(); err != nil {
				t.Error(err)
			}
		})
	})
	return f.balance(t)
}

// proxied puts toxiproxy in front of a database and answers the address through it.
func proxied(t *testing.T, address string) (*toxiproxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "database", freeAddr(t), u.Host)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	u.Host = p.Listen
	return p, u.String()
}

// connectionsCut cuts the replicas' connections to the database, and lets them stall.
func connectionsCut(t *testing.T, _ string) balance {
	n := size(60, 400)
	db := databases[onPostgres](t).(pgDatabase)
	p, address := proxied(t, db.address)
	f := newFleet(t, through{db, address}, 2, n)
	stall := time.Duration(size(2, 20)) * time.Second
	f.liveInTurns(t, n, func(ctx context.Context) {
		sometimes(ctx, 300*time.Millisecond, 1500*time.Millisecond, func(round int) {
			if round%3 != 2 {
				p.Stop()
				within(ctx, 200*time.Millisecond)
				if err := p.Start(); err != nil {
					t.Error(err)
				}
				return
			}
			for _, way := range []string{"upstream", "downstream"} {
				toxic := fmt.Sprintf(`{"name":%q,"type":"timeout","stream":%q,"attributes":{"timeout":0}}`, way, way)
				if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
					t.Error(err)
				}
			}
			within(ctx, stall)
			p.Toxics.ResetToxics(context.WithoutCancel(ctx))
		})
	})
	return f.balance(t)
}

// through is a database that the service reaches by another address than the test.
type through struct {
	database
	address string
}

func (d through) setting() string { return d.address }

// within lets a fault last, unless nobody is left to meet it.
func within(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// failedOver ends the primary in the middle and promotes its synchronous
// standby. The service knows both by one address.
func failedOver(t *testing.T, _ string) balance {
	n := size(60, 400)
	primary := ownCluster(t, "")
	primary.Exec(t, "postgres", "CREATE DATABASE sparekey")
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Close(); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(primary.URL("sparekey"))
	if err != nil {
		t.Fatal(err)
	}
	u.Host += fmt.Sprintf(",127.0.0.1:%d", standby.Port)
	u.RawQuery += "&target_session_attrs=read-write"
	db := pair{connected(t, primary, u.String()), standby}
	f := newFleet(t, db, 2, n)
	promoted := false
	f.liveInTurns(t, n, func(ctx context.Context) {
		sometimes(ctx, 300*time.Millisecond, 900*time.Millisecond, func(int) {
			if promoted {
				return
			}
			promoted = true
			if err := standby.Promote(primary); err != nil {
				t.Error(err)
			}
		})
	})
	if !promoted {
		t.Error("it was over before the standby was promoted")
	}
	return f.balance(t)
}

// pair is a database with its standby.
type pair struct {
	pgDatabase
	standby *pgtest.Cluster
}

func (p pair) files(t *testing.T, look func(string, []byte)) {
	t.Helper()
	p.pgDatabase.files(t, look)
	pgDatabase{p.standby, "", nil}.files(t, look)
}

// diskFull fills the disk under the database, and gives the space back.
func diskFull(t *testing.T, kind string) balance {
	n := size(60, 400)
	disk, err := os.MkdirTemp("", "sparekey-disk-") //nolint:usetesting // into t.TempDir PostgreSQL's user may not look
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(disk); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0755", map[string]int{onSQLite: 64, onPostgres: 400}[kind])); err != nil {
		t.Fatalf("mount: %v; this scenario must run as root, in a container for instance", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	var db database = file{filepath.Join(disk, "sparekey.db"), newFile(t).swap}
	restart := func() {}
	if kind == onPostgres {
		c := ownCluster(t, disk)
		db = databaseOn(t, c)
		restart = func() { // an operator does that if PostgreSQL has given up
			if err := c.Restart(); err != nil {
				t.Error(err)
			}
		}
	}
	f := newFleet(t, db, replicasOn(kind), n)
	f.liveInTurns(t, n, func(ctx context.Context) {
		sometimes(ctx, 300*time.Millisecond, 1500*time.Millisecond, func(int) {
			ballast := filepath.Join(disk, "ballast")
			fill(t, ballast)
			within(ctx, 2*time.Second)
			if err := os.Remove(ballast); err != nil {
				t.Error(err)
			}
			restart()
		})
	})
	if f.ledger.refused == 0 {
		t.Error("nobody has met the full disk")
	}
	if kind == onSQLite {
		intact(t, db.(file).path)
	}
	return f.balance(t)
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = out.Close() }()
	for _, block := range []int{1 << 20, 4 << 10} {
		for err = nil; err == nil; {
			_, err = out.Write(make([]byte, block))
		}
	}
}
