// Command bench measures Sparekey against what the machine itself can do, in
// one run, and prints a table of ratios: absolute figures drift with the
// machine, ratios say what Sparekey adds.
//
//	go run ./bench            # or: make bench
//	go run ./bench -seconds 3 # a quick look
//	go run ./bench -only metadata,resets -out ''
//	go run ./bench -leak 20000 # can kinds of address be told apart? (make leak)
//
// Everything runs on loopback, bounded in time, and stops by itself. The
// service is the real binary in a process of its own, with a real SQLite file
// on disk, or a PostgreSQL server started for it, and a real SMTP server to deliver to. Directories are
// real servers too, of which Samba's listens on ports that take root.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// workers is how many callers ask at once.
const workers = 8

func main() {
	if len(os.Args) == 2 && os.Args[1] == bareArg {
		if err := serveBare(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	seconds := flag.Int("seconds", 10, "how long to measure each figure")
	out := flag.String("out", "bench/results.md", "where to keep the table; empty: nowhere")
	only := flag.String("only", "", "measure only these, separated by commas: "+strings.Join(names(), ", "))
	leak := flag.Int("leak", 0, "measure instead whether kinds of address can be told apart by time, by `PAIRS` of asks for each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	measure := func() error { return run(ctx, time.Duration(*seconds)*time.Second, *out, *only) }
	if *leak > 0 {
		measure = func() error { return runLeak(ctx, *leak) }
	}
	err := measure()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// measures are what can be measured, in this order.
var measures = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"requests", (*bench).requests},
	{"metadata", (*bench).metadata},
	{"resets", (*bench).resets},
	{"mails", (*bench).mails},
	{"timing", (*bench).timing},
	{"postgres", (*bench).onPostgres},
	{"growth", (*bench).growth},
	{"directories", (*bench).directories},
}

func names() (list []string) {
	for _, m := range measures {
		list = append(list, m.name)
	}
	return list
}

func run(ctx context.Context, period time.Duration, out, only string) error {
	// Beside the repository's files, which are on a disk; a temporary folder often is not.
	dir, err := os.MkdirTemp("bench", ".data-")
	if err != nil {
		return fmt.Errorf("%w; run this from the root of the repository", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, period: period, database: "sqlite:" + filepath.Join(dir, "sparekey.db")}
	defer b.stop()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.startAndMemory(ctx); err != nil {
		return err
	}
	for _, m := range measures {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		if err := m.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	table := b.table()
	fmt.Print(table)
	if out == "" {
		return nil
	}
	head := fmt.Sprintf("# Benchmark\n\nPrinted by `make bench` on %s/%s, %d cores, %s, %d workers, %v a figure.\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), workers, period)
	return os.WriteFile(filepath.Clean(out), []byte(head+table), 0o644)
}

// runLeak prints the table of leaks.
func runLeak(ctx context.Context, pairs int) error {
	dir, err := os.MkdirTemp("bench", ".data-")
	if err != nil {
		return fmt.Errorf("%w; run this from the root of the repository", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, period: time.Second}
	defer b.stop()
	if err := b.build(ctx); err != nil {
		return err
	}
	table, err := b.leaks(ctx, pairs)
	fmt.Print(table)
	return err
}
