package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// unasked is what a command that cannot be undone does when nobody is there to
// be asked: when stdin is no terminal.
type unasked bool

const (
	// refuseUnasked is for what deletes, or reaches everybody: a script has to say --yes.
	refuseUnasked unasked = false
	// goOnUnasked is for what only shuts a door and names it, such as revoking a
	// key. A script that shuts off a stolen key must not fail for want of a flag,
	// and what was shut by mistake is made anew in a moment.
	goOnUnasked unasked = true
)

// yesFlag adds --yes to a command that asks.
func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do not ask whether to go on")
}

// confirm asks whether to go on with what cannot be undone, and returns nil if
// so. Ask before anything is opened, so that nothing was tried when the answer
// is no. The question ends with a question mark; that it cannot be undone is
// added. What can be undone is not asked about.
func confirm(ctx context.Context, c console, yes bool, u unasked, question string) error {
	switch {
	case yes:
		return nil
	case isTerminal(c.stdin):
	case u == goOnUnasked:
		return nil
	default:
		return usagef("say --yes, since nobody can be asked: stdin is no terminal", "it cannot be undone, and nobody said yes")
	}
	if _, err := fmt.Fprintf(c.stderr, "%s It cannot be undone. [y/N] ", visible(question)); err != nil {
		return err
	}
	answer, err := await(ctx, func() (string, error) { return bufio.NewReader(c.stdin).ReadString('\n') })
	if errors.Is(err, io.EOF) { // Ctrl-D: whatever was typed before it was not sent off
		answer, err = "", nil
		_, _ = fmt.Fprintln(c.stderr)
	}
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return hintf(errors.New("the answer was not yes; nothing was changed"), "answer y, or say --yes to go on without being asked")
	}
	return nil
}
