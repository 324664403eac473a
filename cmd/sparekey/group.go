package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// slips is how many letters a mistyped command may differ by from the one that is suggested.
const slips = 2

// newGroup makes a command that only holds others.
func newGroup(use, short, long string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		SuggestionsMinimumDistance: slips,
		Args:                       knownCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(subs...)
	return cmd
}

// knownCommand is what a command that only holds others says to an argument: it can only be a mistyped command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	name := cmd.CommandPath() + " " + args[0]
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("there is no command %q; did you mean %q?", name, cmd.CommandPath()+" "+near[0])
	}
	return fmt.Errorf("there is no command %q", name)
}

// takes demands exactly these arguments. Its errors repeat none of them: an
// argument too many may well be a password.
func takes(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", names[len(args)])
		case len(args) > len(names) && len(names) == 0:
			return fmt.Errorf("there are arguments, but it takes none")
		case len(args) > len(names):
			return fmt.Errorf("there are %d arguments, but it takes %d; an argument with spaces needs quotes", len(args), len(names))
		}
		return nil
	}
}
