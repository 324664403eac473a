package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/store/postgres/pgtest"
)

// cluster starts a PostgreSQL server beside the repository's files, with what a
// server of this kind would have: more memory, and every commit on the disk.
func (b *bench) cluster() (*pgtest.Cluster, error) {
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL does not run as root
		return nil, err
	}
	return pgtest.StartIn(dir, "shared_buffers = 1GB", "max_wal_size = 4GB", "checkpoint_timeout = 15min")
}

// database makes one in the cluster and answers its address.
func newDatabase(ctx context.Context, c *pgtest.Cluster, name string) (string, error) {
	return c.URL(name), execute(ctx, c.URL("postgres"), "CREATE DATABASE "+name)
}

func execute(ctx context.Context, address string, statements ...string) error {
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return err
	}
	defer pool.Close()
	for _, s := range statements {
		if _, err := pool.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// on starts the service on another database. The caller stops it.
func (b *bench) on(ctx context.Context, database string) (*bench, error) {
	other := &bench{dir: b.dir, binary: b.binary, database: database, period: b.period, smtp: b.smtp}
	if err := other.fill(ctx); err != nil {
		return nil, err
	}
	var err error
	other.service, _, err = other.startService(ctx)
	return other, err
}

// onPostgres measures the same as on SQLite, and what PostgreSQL is asked for besides.
func (b *bench) onPostgres(ctx context.Context) (err error) {
	c, err := b.cluster()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	address, err := newDatabase(ctx, c, "bench")
	if err != nil {
		return err
	}
	p, err := b.on(ctx, address)
	if err != nil {
		return err
	}
	defer func() { p.service.stop() }()
	pause(ctx, 3*time.Second)
	idle, err := rss(p.service.cmd.Process.Pid)
	if err != nil {
		return err
	}
	for _, measure := range []func(context.Context) error{p.pgRequests, p.resets, p.pgMails, p.latency} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	if err := p.crowd(ctx, idle); err != nil {
		return err
	}
	for _, r := range p.rows {
		r.what += ", PostgreSQL"
		b.rows = append(b.rows, r)
	}
	return nil
}

// pgInsertRate is what PostgreSQL does at best: one row inserted and committed
// at a time by each of as many connections as there are callers.
func (b *bench) pgInsertRate(ctx context.Context, period time.Duration) (float64, error) {
	cfg, err := pgxpool.ParseConfig(b.database)
	if err != nil {
		return 0, err
	}
	cfg.MinConns, cfg.MaxConns = workers, workers
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS baseline (id bigserial PRIMARY KEY, v text)`); err != nil {
		return 0, err
	}
	return rate(ctx, workers, period, func(_, _ int) error {
		_, err := pool.Exec(ctx, `INSERT INTO baseline (v) VALUES ($1)`, "a row as good as any other")
		return err
	})
}

func (b *bench) pgRequests(ctx context.Context) error {
	figure, base, err := sandwich(
		func() (float64, error) { return b.pgInsertRate(ctx, b.period/2) },
		func() (float64, error) {
			f, err := b.askRate(ctx, b.period)
			return f, errors.Join(err, b.drained(ctx))
		})
	b.rows = append(b.rows, row{
		what: "requests/s", figure: figure,
		against: "one-row insert+commit/s by pgx on the same server", base: base, ratio: true, least: 0.5,
	})
	return err
}

func (b *bench) askRate(ctx context.Context, period time.Duration) (float64, error) {
	return rateHTTP(ctx, b.service.addr, period, func(c *caller, w, i int) error {
		method, path, key, body := b.ask(w + i*workers)
		return c.do(method, path, key, body)
	})
}

// pgMails is mails, whose ratio is for information: what is asked is a rate.
func (b *bench) pgMails(ctx context.Context) error {
	if err := b.mails(ctx); err != nil {
		return err
	}
	last := &b.rows[len(b.rows)-1]
	last.least, last.floor = 0, 500
	return b.drained(ctx)
}

// latency asks a hundred times a second, each time for somebody else, and
// measures how long after the answer the mail arrives.
func (b *bench) latency(ctx context.Context) error {
	var (
		mu    sync.Mutex
		asked = map[string]time.Time{}
		took  []float64
	)
	note := func(to string) {
		mu.Lock()
		defer mu.Unlock()
		if at, ok := asked[to]; ok {
			took = append(took, float64(time.Since(at).Microseconds())/1000)
			delete(asked, to)
		}
	}
	b.smtp.arrived.Store(&note)
	defer b.smtp.arrived.Store(nil)
	c, err := dial(ctx, b.service.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.conn.Close() }()
	n := min(int(b.period.Seconds()*100), users)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		mu.Lock()
		asked[email(i)] = time.Now() // a little before the answer, which is against us
		mu.Unlock()
		method, path, key, body := b.ask(i)
		if err := c.do(method, path, key, body); err != nil {
			return err
		}
	}
	if err := b.drained(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if len(took) < n {
		return fmt.Errorf("of %d mails %d arrived", n, len(took))
	}
	slices.Sort(took)
	b.rows = append(b.rows,
		row{what: "from request to mail at 100 requests/s, 99th percentile", figure: took[n*99/100], unit: "ms", most: 1000},
		row{what: "from request to mail at 100 requests/s, longest", figure: took[n-1], unit: "ms", most: 1000})
	return nil
}

// crowd lets 64 callers ask and reset, and looks how much memory that takes at most.
func (b *bench) crowd(ctx context.Context, idle float64) error {
	const callers = 64
	if err := b.openRequests(ctx); err != nil {
		return err
	}
	conns := make([]*caller, callers)
	for i := range conns {
		var err error
		if conns[i], err = dial(ctx, b.service.addr); err != nil {
			return err
		}
		defer func() { _ = conns[i].conn.Close() }()
	}
	_, err := rate(ctx, callers, b.period, func(w, i int) error {
		n := w + i*callers
		if w%4 == 0 && n < users {
			return conns[w].do("POST", "/api/1.0/reset-password/reset/"+b.ids[n], b.key, `{"password":"correct horse battery staple"}`)
		}
		method, path, key, body := b.ask(n)
		return conns[w].do(method, path, key, body)
	})
	if err != nil {
		return err
	}
	peak, err := peakRSS(b.service.cmd.Process.Pid)
	hash := float64(password.DefaultParams().MemoryKiB) / 1024
	b.rows = append(b.rows, row{
		what:   fmt.Sprintf("most memory with 64 callers (idle %.0f MiB, %d hashes of %.0f MiB)", idle, runtime.NumCPU(), hash),
		figure: peak, unit: "MiB", most: math.Round(idle + 64 + float64(runtime.NumCPU())*hash),
	})
	return errors.Join(err, b.drained(ctx))
}

// peakRSS is the most memory that a process had since it was started, in MiB.
func peakRSS(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			return float64(n) / 1024, err
		}
	}
	return 0, errors.New("no VmHWM; this needs Linux")
}
