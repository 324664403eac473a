package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
	"github.com/sparekey/sparekey/internal/store/postgres"
	"github.com/sparekey/sparekey/internal/store/sqlite"
)

// users is how many there are to mail and to reset.
const users = 4000

// bench is one run.
type bench struct {
	dir, binary string
	database    string // what SPAREKEY_DATABASE is
	period      time.Duration
	smtp        *sink
	key         string
	ids         []string // secrets of open requests, one a user
	service     *process
	rows        []row
	throttled   bool   // the limits of addresses are in force
	settings    string // a configuration file; empty: none
}

func (b *bench) stop() {
	b.service.stop()
	if b.smtp != nil {
		b.smtp.close()
	}
}

// store is what the bench does to a database by itself.
type store interface {
	reset.Store
	builtin.Records
	Close() error
}

func (b *bench) openStore(ctx context.Context) (store, error) {
	if path, ok := strings.CutPrefix(b.database, "sqlite:"); ok {
		return sqlite.Open(ctx, sqlite.Options{Path: path})
	}
	return postgres.Open(ctx, postgres.Options{URL: b.database})
}

func email(i int) string { return fmt.Sprintf("user%04d@example.test", i) }

// prepare builds the binary, starts the mail server and fills a database.
func (b *bench) prepare(ctx context.Context) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	return b.fill(ctx)
}

// build builds the binary and starts the mail server.
func (b *bench) build(ctx context.Context) (err error) {
	b.binary = filepath.Join(b.dir, "sparekey")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.binary, "./cmd/sparekey")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	b.smtp, err = startSink(ctx)
	return err
}

// fill makes users and a key through the command line.
func (b *bench) fill(ctx context.Context) (err error) {
	var csv strings.Builder
	csv.WriteString("email,name,accounts\n")
	for i := range users {
		fmt.Fprintf(&csv, "%s,User %d,Acme\n", email(i), i)
	}
	file := filepath.Join(b.dir, "users.csv")
	if err := os.WriteFile(file, []byte(csv.String()), 0o600); err != nil {
		return err
	}
	if _, err := b.sparekey(ctx, "user", "import", file); err != nil {
		return err
	}
	b.key, err = b.sparekey(ctx, "key", "create", "bench", "--scope", "admin")
	return err
}

// sparekey runs one command line.
func (b *bench) sparekey(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.binary, args...)
	cmd.Env = b.environ()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("sparekey %s: %w\n%s", args[0], err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// openRequests opens a request for every user, as the outbox would, so that
// resets can be measured without waiting for mails.
func (b *bench) openRequests(ctx context.Context) (err error) {
	s, err := b.openStore(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b.ids = make([]string, users)
	return s.Update(ctx, func(tx reset.Tx) error {
		now := time.Now()
		for i := range users {
			a, err := reset.ParseAddress(email(i))
			if err != nil {
				return err
			}
			u, err := s.UserByKey(ctx, a.Key())
			if err != nil {
				return err
			}
			id := reset.NewID()
			b.ids[i] = id.Reveal()
			if err := tx.OpenRequest(ctx, id.Digest(), u.ID, now, now.Add(time.Hour)); err != nil {
				return err
			}
		}
		return nil
	})
}

// startAndMemory starts the service on the existing database several times,
// takes the median, and leaves the last one running.
func (b *bench) startAndMemory(ctx context.Context) error {
	const starts = 5
	var took []float64
	for i := range starts {
		p, d, err := b.startService(ctx)
		if err != nil {
			return err
		}
		took = append(took, float64(d.Milliseconds()))
		if i < starts-1 {
			p.stop()
		} else {
			b.service = p
		}
	}
	slices.Sort(took)
	pause(ctx, 5*time.Second) // idle
	mem, err := rss(b.service.cmd.Process.Pid)
	if err != nil {
		return err
	}
	b.rows = append(
		b.rows,
		row{what: "idle memory (RSS)", figure: mem, unit: "MiB", most: 40},
		row{what: "start to first 200 on /readyz, median of 5", figure: took[starts/2], unit: "ms", most: 300},
	)
	return nil
}

const requestPath = "/api/1.0/reset-password/request"

func (b *bench) ask(i int) (method, path, key, body string) {
	return "POST", requestPath, "", fmt.Sprintf(`{"email":["%s"]}`, email(i%users))
}

// sandwich measures a baseline before and after, and answers its mean with the figure between.
func sandwich(base, figure func() (float64, error)) (f, b float64, err error) {
	before, err := base()
	if err != nil {
		return 0, 0, err
	}
	if f, err = figure(); err != nil {
		return 0, 0, err
	}
	after, err := base()
	return f, (before + after) / 2, err
}

// requests measures asking. The mails go out meanwhile, as they would.
func (b *bench) requests(ctx context.Context) error {
	figure, base, err := sandwich(
		func() (float64, error) { return b.insertRate(ctx, b.period/2) },
		func() (float64, error) {
			f, err := rateHTTP(ctx, b.service.addr, b.period, func(c *caller, w, i int) error {
				method, path, key, body := b.ask(w + i*workers)
				return c.do(method, path, key, body)
			})
			return f, errors.Join(err, b.drained(ctx))
		})
	b.rows = append(b.rows, row{
		what: "requests/s on POST /reset-password/request", figure: figure,
		against: "one-row insert+commit/s, synchronous=FULL", base: base, ratio: true, least: 0.5,
	})
	return err
}

// drained waits until no mail has arrived for a while.
func (b *bench) drained(ctx context.Context) error {
	last, at := b.smtp.count.Load(), time.Now()
	for time.Since(at) < 3*time.Second {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause(ctx, 100*time.Millisecond)
		if n := b.smtp.count.Load(); n != last {
			last, at = n, time.Now()
		}
	}
	return nil
}

func (b *bench) metadata(ctx context.Context) error {
	if err := b.openRequests(ctx); err != nil {
		return err
	}
	bare, err := startBare(ctx)
	if err != nil {
		return err
	}
	defer bare.stop()
	figure, base, err := sandwich(
		func() (float64, error) {
			return rateHTTP(ctx, bare.addr, b.period/2, func(c *caller, w, i int) error {
				return c.do("POST", "/", "", `{"id":"`+b.ids[(w+i*workers)%users]+`","multiple_accounts":false}`)
			})
		},
		func() (float64, error) {
			return rateHTTP(ctx, b.service.addr, b.period, func(c *caller, w, i int) error {
				return c.do("GET", "/api/1.0/reset-password/metadata/"+b.ids[(w+i*workers)%users], b.key, "")
			})
		})
	b.rows = append(b.rows, row{
		what: "metadata/s", figure: figure,
		against: "a bare net/http handler that decodes and answers JSON", base: base, ratio: true, least: 0.5,
	})
	return err
}

func (b *bench) resets(ctx context.Context) error {
	if err := b.openRequests(ctx); err != nil {
		return err
	}
	figure, base, err := sandwich(
		func() (float64, error) { return hashRate(ctx, b.period/2) },
		func() (float64, error) { return b.resetRate(ctx) })
	b.rows = append(b.rows, row{
		what: "completed resets/s", figure: figure,
		against: "raw argon2id hashes/s on as many cores", base: base, ratio: true, least: 0.85,
	})
	return errors.Join(err, b.drained(ctx))
}

// resetRate is how many resets a second are completed with the links that there are.
func (b *bench) resetRate(ctx context.Context) (float64, error) {
	return rateHTTP(ctx, b.service.addr, b.period, func(c *caller, w, i int) error {
		n := w + i*workers
		if n >= len(b.ids) {
			return errEnough
		}
		return c.do("POST", "/api/1.0/reset-password/reset/"+b.ids[n], b.key, `{"password":"correct horse battery staple"}`)
	})
}

// mails measures what arrives while requests keep coming in: both over the same time.
func (b *bench) mails(ctx context.Context) error {
	var (
		wg        sync.WaitGroup
		delivered float64
		counted   error
		warm      = b.period / 5
	)
	// The mails are counted over the middle of the load, so that neither its beginning nor its end flatters.
	wg.Go(func() {
		pause(ctx, warm)
		from, at := b.smtp.count.Load(), time.Now()
		pause(ctx, 2*b.period)
		delivered = float64(b.smtp.count.Load()-from) / time.Since(at).Seconds()
		if math.IsNaN(delivered) {
			counted = errors.New("nothing was counted")
		}
	})
	accepted, err := rateHTTP(ctx, b.service.addr, 2*b.period+2*warm, func(c *caller, w, i int) error {
		method, path, key, body := b.ask(w + i*workers)
		return c.do(method, path, key, body)
	})
	wg.Wait()
	b.rows = append(b.rows, row{
		what: "mails/s delivered to a local SMTP server", figure: delivered,
		against: "requests/s accepted meanwhile, sustained", base: accepted, ratio: true, least: 0.5, floor: 200,
	})
	return errors.Join(err, counted)
}
