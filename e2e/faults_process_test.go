package e2e

import (
	"context"
	"database/sql"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// replicasOn is how many processes serve from that kind of database.
func replicasOn(db string) int {
	if db == onSQLite {
		return 1
	}
	return 3
}

// killed kills one replica after another, and now and then all of them, as power cuts would.
func killed(t *testing.T, db string) balance {
	n := size(60, 2000)
	f := newFleet(t, databases[db](t), replicasOn(db), n)
	kill := func(i int) { f.replicas[i].server.end(t, syscall.SIGKILL) }
	f.live(t, n, func(ctx context.Context) {
		sometimes(ctx, 50*time.Millisecond, 800*time.Millisecond, func(round int) {
			if round%4 != 3 {
				i := rand.IntN(len(f.replicas))
				kill(i)
				f.startReplica(t, i)
				return
			}
			for i := range f.replicas {
				kill(i)
			}
			for i := range f.replicas {
				f.startReplica(t, i)
			}
		})
	})
	return f.balance(t)
}

// stampedes is how many ids are used in the long form: SPAREKEY_FAULTS_STAMPEDES, or a few hundred.
func stampedes() int {
	if n, err := strconv.Atoi(os.Getenv("SPAREKEY_FAULTS_STAMPEDES")); err == nil && n > 0 {
		return n
	}
	return 250
}

// stampede has 200 callers use one id at once, over all replicas.
func stampede(t *testing.T, db string) balance {
	n := size(1, stampedes())
	f := newFleet(t, databases[db](t), replicasOn(db), n)
	f.askAll(t, n)
	f.settled(t)
	for who, id := range f.newest(t) {
		var (
			wg   sync.WaitGroup
			won  atomic.Int64
			gate = make(chan struct{})
		)
		for range 200 {
			wg.Go(func() {
				<-gate
				switch status, _ := f.use(t, id); status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusUnauthorized, http.StatusServiceUnavailable:
				default:
					t.Errorf("a reset was answered %d", status)
				}
			})
		}
		close(gate)
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 200 resets of one id succeeded", won.Load())
		}
		f.ledger.won[id], f.ledger.changed[who] = int(won.Load()), true
	}
	f.settled(t)
	return f.balance(t)
}

// rollingRestart replaces one replica after the other under load, while the
// tables become those of a release that is one migration ahead. Nobody may see a failure.
func rollingRestart(t *testing.T, db string) balance {
	n := size(150, 600)
	f := newFleet(t, databases[db](t), replicasOn(db), n, "SPAREKEY_SHUTDOWN_DELAY=1s")
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { f.watch(done) })
	restarted := make(chan struct{})
	wg.Go(func() {
		defer close(restarted)
		for i, r := range f.replicas {
			r.server.end(t, syscall.SIGTERM)
			if i == 0 {
				// What the next release's `sparekey migrate` would do: the older replicas go on.
				f.db.exec(t, `ALTER TABLE users ADD COLUMN of_the_next_release text`)
				f.db.exec(t, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
			}
			f.startReplica(t, i)
		}
	})
	f.askAll(t, n)
	f.settled(t)
	links := f.newest(t)
	f.resetAll(t, links)
	for again := 0; ; again++ { // load until the last is replaced
		select {
		case <-restarted:
		default:
			if status, _, err := f.call(http.MethodPost, requestPath, asking(person(again%n))); err != nil || status != http.StatusOK {
				t.Errorf("asking during a restart: %d, %v", status, err)
			}
			continue
		}
		break
	}
	close(done)
	wg.Wait()
	f.settled(t)
	b := f.balance(t)
	if b.failed+b.refused > 0 {
		t.Errorf("%d calls were not answered and %d refused", b.failed, b.refused)
	}
	return b
}

// clocksApart has replicas whose clocks differ by two minutes either way.
func clocksApart(t *testing.T, db string) balance {
	const apart, ttl = 2 * time.Minute, 30 * time.Minute
	n := size(30, 300)
	f := newFleet(t, databases[db](t), 0, n)
	f.env = append(f.env, "SPAREKEY_REQUEST_TTL="+ttl.String())
	skewed := buildSkewed(t)
	for _, offset := range []time.Duration{-apart, 0, apart} {
		r := *f.world
		r.addr = freeAddr(t)
		r.env = append(append([]string{}, f.env...), "SPAREKEY_LISTEN="+r.addr, "CLOCK_OFFSET="+offset.String())
		r.server = startProgram(t, skewed, r.env, "serve")
		f.replicas, f.outputs = append(f.replicas, &r), append(f.outputs, r.server.output)
		until(t, "a replica that is ready", patience, func() bool {
			status, _, err := r.call(http.MethodGet, "/readyz", "")
			return err == nil && status == http.StatusOK
		})
	}
	f.out = make([]atomic.Bool, len(f.replicas))
	f.askAll(t, n)
	f.settled(t)
	var latest time.Time
	if err := f.db.(pgDatabase).pool.QueryRow(t.Context(), `SELECT max(expires_at) FROM requests`).Scan(&latest); err != nil {
		t.Fatal(err)
	}
	if most := time.Now().Add(ttl + apart); latest.After(most) {
		t.Errorf("a link is good until %v, which is after %v", latest, most)
	}
	f.resetAll(t, f.newest(t))
	f.settled(t)
	return f.balance(t)
}

// buildSkewed builds the service with a clock that is set by CLOCK_OFFSET.
func buildSkewed(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sparekey")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "clockoffset", "-o", program, "../cmd/sparekey")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// powerCut kills the service between write and checkpoint and goes on with a
// copy of the two files, as a machine would after a power cut.
func powerCut(t *testing.T, _ string) balance {
	n := size(60, 400)
	db := newFile(t)
	f := newFleet(t, db, 1, n)
	f.live(t, n, func(ctx context.Context) {
		sometimes(ctx, 200*time.Millisecond, 900*time.Millisecond, func(int) {
			db.swap.Lock()
			f.replicas[0].server.end(t, syscall.SIGKILL)
			for _, suffix := range []string{"", "-wal"} {
				copyFile(t, db.path+suffix, db.path+".copy"+suffix)
			}
			_ = os.Remove(db.path + "-shm") // this is memory, and gone
			intact(t, db.path+".copy")
			for _, suffix := range []string{"", "-wal"} {
				if err := os.Rename(db.path+".copy"+suffix, db.path+suffix); err != nil && !os.IsNotExist(err) {
					t.Error(err)
				}
			}
			db.swap.Unlock()
			f.startReplica(t, 0)
		})
	})
	intact(t, db.path)
	return f.balance(t)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Error(err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
}

// intact has SQLite check a copy of the file, WAL included, so that the check itself writes nothing.
func intact(t *testing.T, path string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		copyFile(t, path+suffix, path+".checked"+suffix)
	}
	conn, err := sql.Open("sqlite", path+".checked")
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	var verdict string
	if err := conn.QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity_check: %q, %v", verdict, err)
	}
}
