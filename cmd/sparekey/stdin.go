package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// maxPassword is how much is read where a password is expected, in bytes: far
// more than any policy takes, and little enough to hold.
const maxPassword = 64 << 10

// passwordHint says how a password gets in. It is never an argument or a flag:
// every user of the machine sees those in the list of processes.
const passwordHint = "pipe the password in, or take it from a file: … --password-stdin < FILE"

// readPassword reads a password from all of stdin and takes one line break off
// its end, which echo and editors put there. Further ones belong to it.
func readPassword(ctx context.Context, stdin io.Reader) (string, error) {
	if isTerminal(stdin) {
		return "", usagef(passwordHint, "the password would be visible while it is typed: stdin is a terminal")
	}
	text, err := await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(stdin, maxPassword+1)) })
	switch {
	case err != nil:
		return "", fmt.Errorf("read the password from stdin: %w", err)
	case len(text) > maxPassword:
		return "", usagef(passwordHint, "there is no password on stdin, but more than %d KiB of something else", maxPassword>>10)
	}
	if rest, ok := bytes.CutSuffix(text, []byte("\n")); ok {
		text = bytes.TrimSuffix(rest, []byte("\r"))
	}
	return string(text), nil
}

// await returns what fn returns, or the end of ctx if that comes first. It is
// for reading from stdin, which nothing can interrupt: what is still being read
// when the user gives up ends with the process.
func await[T any](ctx context.Context, fn func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := fn()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// isTerminal reports whether somebody sits at the other end.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
