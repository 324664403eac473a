package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// directoryUsers is how many there are in a directory.
	directoryUsers = 100_000
	// mailed is how many of them ask for a link.
	mailed = users
	// connections is how many a directory is given, and how many the raw loop has: the default.
	connections = 4
)

// elsewhere is a directory on a server of its own, with users in it: email(0) and so on.
type elsewhere struct {
	name     string // what it is, in the table
	settings string // its type, and on further lines its other settings, in YAML without indentation
	users    int
	// against says what raw does: the same change as a reset's, by a program that does nothing else.
	against string
	raw     func(ctx context.Context) (change func(w, i int) error, end func() error, err error)
	close   func() error
}

// directories measures completed resets through each kind of directory against
// the same change made by the directory's own Go library, and whether the memory
// grows with a directory's size.
func (b *bench) directories(ctx context.Context) error {
	without, err := b.memoryWithout(ctx)
	if err != nil {
		return err
	}
	worst, of := 0.0, ""
	for _, start := range []func(context.Context) (*elsewhere, error){
		b.postgresDirectory, b.mariaDirectory, b.sqliteDirectory, b.slapdDirectory, b.quickDirectory, b.sambaDirectory, b.goDirectory, b.nodeDirectory,
	} {
		memory, e, err := b.through(ctx, start)
		if err != nil {
			return err
		}
		if e.users == directoryUsers && memory > worst {
			worst, of = memory, e.name
		}
	}
	b.rows = append(b.rows, row{
		what:   fmt.Sprintf("memory after %d mails with a directory of %d users, against the built-in one of %d (%.1f MiB, %.1f MiB), at worst, %s", mailed, directoryUsers, users, worst, without, of),
		figure: worst / without, unit: "times", most: 1.1,
	})
	return nil
}

// through measures one directory. It answers the memory after the mails.
func (b *bench) through(ctx context.Context, start func(context.Context) (*elsewhere, error)) (memory float64, e *elsewhere, err error) {
	if e, err = start(ctx); err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	other, err := b.beside(ctx, e)
	if err != nil {
		return 0, e, fmt.Errorf("%s: %w", e.name, err)
	}
	defer func() { other.service.stop() }()
	if memory, err = other.askFor(ctx, min(mailed, e.users)); err != nil {
		return 0, e, fmt.Errorf("%s: %w", e.name, err)
	}
	change, end, err := e.raw(ctx)
	if err != nil {
		return 0, e, fmt.Errorf("%s: %w", e.name, err)
	}
	defer func() { err = errors.Join(err, end()) }()
	figure, base, err := sandwich(
		func() (float64, error) { return rate(ctx, workers, b.period/2, change) },
		func() (float64, error) { return other.resetRate(ctx) })
	if err != nil {
		return 0, e, fmt.Errorf("%s: %w", e.name, err)
	}
	b.rows = append(b.rows, row{
		what: "completed resets/s, " + e.name, figure: figure, against: e.against, base: base, ratio: true, least: 0.8,
	})
	return memory, e, other.drained(ctx)
}

// beside starts the service with that directory, on a database of its own.
func (b *bench) beside(ctx context.Context, e *elsewhere) (*bench, error) {
	dir, err := os.MkdirTemp(b.dir, "beside-")
	if err != nil {
		return nil, err
	}
	settings := fmt.Sprintf("type: %s\nconnections: %d\n", e.settings, connections)
	file := filepath.Join(dir, "sparekey.yaml")
	text := "directories:\n  there:\n    " + strings.ReplaceAll(strings.TrimSpace(settings), "\n", "\n    ") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	other := &bench{
		dir: dir, binary: b.binary, database: "sqlite:" + filepath.Join(dir, "sparekey.db"), settings: file, period: b.period, smtp: b.smtp,
	}
	if other.key, err = other.sparekey(ctx, "key", "create", "bench", "--scope", "admin"); err != nil {
		return nil, err
	}
	other.service, _, err = other.startService(ctx)
	return other, err
}

// memoryWithout is how much the service takes after as many mails to users of the built-in directory.
func (b *bench) memoryWithout(ctx context.Context) (_ float64, err error) {
	dir, err := os.MkdirTemp(b.dir, "without-")
	if err != nil {
		return 0, err
	}
	other := &bench{dir: dir, binary: b.binary, database: "sqlite:" + filepath.Join(dir, "sparekey.db"), period: b.period, smtp: b.smtp}
	if err := other.fill(ctx); err != nil {
		return 0, err
	}
	if other.service, _, err = other.startService(ctx); err != nil {
		return 0, err
	}
	defer func() { other.service.stop() }()
	return other.askFor(ctx, mailed)
}

// askFor asks for a link for n users, keeps the links that are mailed, and
// answers how much memory the service has when all is done.
func (b *bench) askFor(ctx context.Context, n int) (float64, error) {
	var mu sync.Mutex
	ids := map[string]string{}
	keep := func(to, id string) {
		mu.Lock()
		defer mu.Unlock()
		ids[to] = id
	}
	b.smtp.linked.Store(&keep)
	defer b.smtp.linked.Store(nil)
	_, err := rateHTTP(ctx, b.service.addr, time.Minute, func(c *caller, w, i int) error {
		if w+i*workers >= n {
			return errEnough
		}
		method, path, key, body := b.ask(w + i*workers)
		return c.do(method, path, key, body)
	})
	if err != nil {
		return 0, err
	}
	if err := b.drained(ctx); err != nil {
		return 0, err
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) != n {
		return 0, fmt.Errorf("of %d people who asked for a link, %d were mailed one; the log:\n%s", n, len(ids), b.lastLog())
	}
	b.ids = b.ids[:0]
	for i := range n {
		b.ids = append(b.ids, ids[email(i)])
	}
	pause(ctx, 5*time.Second) // idle
	return rss(b.service.cmd.Process.Pid)
}

// lastLog is the end of what the service said.
func (b *bench) lastLog() string {
	text, err := os.ReadFile(filepath.Join(b.dir, "serve.log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}
