// Command sparekey is a self-hosted password-reset service.
//
// This package is the command line and the wiring: the one place that knows
// every adapter. Rules are in internal/reset.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, console{
		args: os.Args[1:], environ: os.Environ(),
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		now: clock,
	})
	stop()
	os.Exit(code)
}
