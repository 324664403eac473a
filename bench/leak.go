package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // to disable users, which the command line does one at a time
)

// convicts is the t beyond which a difference counts as proven (Goodwill et al.,
// "A testing methodology for side-channel resistance validation", 2011).
const convicts = 4.5

// kinds of address that must not be told apart; the first is what the others are held against.
var kinds = []string{"known", "unknown", "disabled", "suspended", "throttled"}

// fewThrottled is how many addresses are over their limit: few, so that each is asked for again and again.
const fewThrottled = 100

// pacing is how long to let the outbox catch up after so many asks, so that it does not only grow.
const (
	paceEvery = 500
	pace      = 100 * time.Millisecond
)

// leak is one measurement of asking, under one condition.
type leak struct {
	*bench
	pairs int
}

// leaks measures whether asking takes another time for any kind of address, on
// both databases, idle, under load, and with a directory and a mail server that are slow. It
// answers an error if so.
func (b *bench) leaks(ctx context.Context, pairs int) (table string, err error) {
	var s strings.Builder
	s.WriteString("| database | while | known against | pairs | t | worst t, cropped | below 4.5 |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	told := 0
	for _, database := range []struct {
		name string
		run  func(context.Context, func(*leak, string, func(context.Context) error) error) error
	}{{"SQLite", b.leakOnSQLite(pairs)}, {"PostgreSQL", b.leakOnPostgres(pairs)}} {
		err := database.run(ctx, func(l *leak, while string, disturb func(context.Context) error) error {
			samples, err := l.disturbed(ctx, disturb)
			if err != nil {
				return err
			}
			for i, kind := range kinds[1:] {
				raw, worst := welchOf(samples[0], samples[i+1]), cropped(samples[0], samples[i+1])
				verdict := "yes"
				if worst >= convicts {
					verdict, told = "NO", told+1
				}
				fmt.Fprintf(&s, "| %s | %s | %s | %d | %.1f | %.1f | %s |\n", database.name, while, kind, pairs, raw, worst, verdict)
			}
			return nil
		})
		if err != nil {
			return s.String(), fmt.Errorf("%s: %w", database.name, err)
		}
	}
	if told > 0 {
		err = fmt.Errorf("%d comparisons can be told apart by time", told)
	}
	return s.String(), err
}

func (b *bench) leakOnSQLite(pairs int) func(context.Context, func(*leak, string, func(context.Context) error) error) error {
	return func(ctx context.Context, measure func(*leak, string, func(context.Context) error) error) (err error) {
		other := &bench{dir: b.dir, binary: b.binary, smtp: b.smtp, period: b.period}
		path := filepath.Join(b.dir, "leak.db")
		other.database = "sqlite:" + path
		l := &leak{bench: other, pairs: pairs}
		if err := l.populate(ctx); err != nil {
			return err
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			return err
		}
		_, err = db.ExecContext(ctx, disableUsers)
		if err = errors.Join(err, db.Close()); err != nil {
			return err
		}
		if err := l.start(ctx); err != nil {
			return err
		}
		defer func() { l.service.stop() }()
		return errors.Join(
			measure(l, "idle", nil),
			measure(l, "under load", l.load),
			measure(l, "the mail server is slow", l.slowMail))
	}
}

func (b *bench) leakOnPostgres(pairs int) func(context.Context, func(*leak, string, func(context.Context) error) error) error {
	return func(ctx context.Context, measure func(*leak, string, func(context.Context) error) error) (err error) {
		c, err := b.cluster()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		other := &bench{dir: b.dir, binary: b.binary, smtp: b.smtp, period: b.period}
		if other.database, err = newDatabase(ctx, c, "leak"); err != nil {
			return err
		}
		l := &leak{bench: other, pairs: pairs}
		if err := l.populate(ctx); err != nil {
			return err
		}
		if err := execute(ctx, other.database, disableUsers); err != nil {
			return err
		}
		if err := l.start(ctx); err != nil {
			return err
		}
		defer func() { l.service.stop() }()
		return errors.Join(
			measure(l, "idle", nil),
			measure(l, "under load", l.load),
			measure(l, "the directory is slow", l.slowDirectory))
	}
}

const disableUsers = `UPDATE users SET disabled_at = created_at WHERE email LIKE 'disabled%'`

// populate makes users of each kind, so many that none is asked for often.
func (l *leak) populate(ctx context.Context) error {
	var csv strings.Builder
	csv.WriteString("email,name,accounts\n")
	for i := range l.pairs {
		for _, kind := range []string{"known", "disabled", "suspended"} {
			account := "Acme"
			if kind == "suspended" {
				account = "Gone"
			}
			fmt.Fprintf(&csv, "%s,A user,%s\n", addressOf(kind, i), account)
		}
		if i < fewThrottled {
			fmt.Fprintf(&csv, "%s,A user,Acme\n", addressOf("throttled", i))
		}
	}
	file := filepath.Join(l.dir, "leak.csv")
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		return err
	}
	if _, err := l.sparekey(ctx, "user", "import", file); err != nil {
		return err
	}
	_, err := l.sparekey(ctx, "account", "suspend", "Gone")
	return err
}

// addressOf has the same length whatever the kind, so that nothing but the kind differs.
func addressOf(kind string, i int) string {
	return fmt.Sprintf("%s%0*d@example.test", kind, 20-len(kind), i)
}

func (l *leak) start(ctx context.Context) (err error) {
	// The limits of addresses are in force; those of the one client that asks here are out of the way.
	l.throttled = true
	if l.service, _, err = l.startService(ctx); err != nil {
		return err
	}
	c, err := dial(ctx, l.service.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.conn.Close() }()
	for i := range 4 * fewThrottled {
		if err := l.askFor(c, "throttled", i%fewThrottled); err != nil {
			return err
		}
	}
	return l.drained(ctx)
}

func (l *leak) askFor(c *caller, kind string, i int) error {
	return c.do("POST", requestPath, "", `{"email":["`+addressOf(kind, i)+`"]}`)
}

// disturbed takes samples while disturb does what it does.
func (l *leak) disturbed(ctx context.Context, disturb func(context.Context) error) (samples [][]float64, err error) {
	if disturb == nil {
		samples, err = l.sample(ctx)
		return samples, errors.Join(err, l.drained(ctx))
	}
	within, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = disturb(within) })
	samples, err = l.sample(ctx)
	stop()
	wg.Wait()
	return samples, errors.Join(err, failed, l.drained(ctx))
}

// sample asks for each kind as often, in an order that is shuffled in each round.
func (l *leak) sample(ctx context.Context) ([][]float64, error) {
	c, err := dial(ctx, l.service.addr)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	samples := make([][]float64, len(kinds))
	order := make([]int, len(kinds))
	for i := range order {
		order[i] = i
	}
	for i := range l.pairs {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if i%paceEvery == 0 {
			pause(ctx, pace)
		}
		rand.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
		for _, k := range order {
			n := i
			if kinds[k] == "throttled" {
				n %= fewThrottled
			}
			at := time.Now()
			if err := l.askFor(c, kinds[k], n); err != nil {
				return nil, err
			}
			samples[k] = append(samples[k], float64(time.Since(at).Nanoseconds()))
		}
	}
	return samples, nil
}

// load keeps two callers asking for others, as fast as they are answered.
func (l *leak) load(ctx context.Context) error {
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			c, err := dial(ctx, l.service.addr)
			if err != nil {
				return
			}
			defer func() { _ = c.conn.Close() }()
			for i := 0; ctx.Err() == nil; i++ {
				if l.askFor(c, "others", w+2*i) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return nil
}

// slowMail has the mail server take its time for each mail.
func (l *leak) slowMail(ctx context.Context) error {
	l.smtp.delay.Store(int64(100 * time.Millisecond))
	defer l.smtp.delay.Store(0)
	<-ctx.Done()
	return nil
}

// slowDirectory locks the users away nine tenths of the time, so that each look-up takes some fifty milliseconds.
func (l *leak) slowDirectory(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, l.database)
	if err != nil {
		return err
	}
	defer pool.Close()
	for ctx.Err() == nil {
		if _, err := pool.Exec(ctx, `BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.09); COMMIT`); err != nil && ctx.Err() == nil {
			return err
		}
		pause(ctx, 10*time.Millisecond)
	}
	return nil
}

// welchOf is the absolute t of two samples.
func welchOf(a, b []float64) float64 {
	var x, y sample
	for _, v := range a {
		x.add(v)
	}
	for _, v := range b {
		y.add(v)
	}
	return math.Abs(welch(x, y))
}

// cropped is the worst t over the samples as they are and cropped at a hundred
// thresholds, which thin out towards the slowest (Reparaz, Balasch and
// Verbauwhede, "Dude, is my code constant time?", 2017): what a few slow answers hide in the mean shows then.
func cropped(a, b []float64) float64 {
	const crops = 100
	worst := welchOf(a, b)
	all := slices.Sorted(slices.Values(slices.Concat(a, b)))
	below := func(list []float64, limit float64) (kept []float64) {
		for _, v := range list {
			if v < limit {
				kept = append(kept, v)
			}
		}
		return kept
	}
	for i := range crops {
		limit := all[int(float64(len(all)-1)*(1-math.Pow(0.5, 10*float64(i+1)/crops)))]
		x, y := below(a, limit), below(b, limit)
		if len(x) > len(a)/10 && len(y) > len(b)/10 { // too few are no sample
			worst = max(worst, welchOf(x, y))
		}
	}
	return worst
}
