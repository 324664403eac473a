// Command bench measures Sparekey against what the machine itself can do, in
// one run, and prints a table of ratios: absolute figures drift with the
// machine, ratios say what Sparekey adds.
//
//	go run ./bench            # or: make bench
//	go run ./bench -seconds 3 # a quick look
//
// Everything runs on loopback, bounded in time, and stops by itself. The
// service is the real binary in a process of its own, with a real SQLite file
// on disk and a real SMTP server to deliver to.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
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
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, time.Duration(*seconds)*time.Second, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, period time.Duration, out string) error {
	// Beside the repository's files, which are on a disk; a temporary folder often is not.
	dir, err := os.MkdirTemp("bench", ".data-")
	if err != nil {
		return fmt.Errorf("%w; run this from the root of the repository", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, period: period}
	defer b.stop()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for _, measure := range []func(context.Context) error{
		b.startAndMemory, b.requests, b.metadata, b.resets, b.mails, b.timing,
	} {
		if err := measure(ctx); err != nil {
			return err
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
