package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/reset"
)

func newUserVerify(c console) *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use:   "verify EMAIL --password-stdin",
		Short: "Say whether a password is the user's",
		Long: `Say whether a password is the user's. The exit code is 0 when it is, 1 when it is
not (or there is no such user), and 2 when that could not be found out.

The password is all of stdin, without one line break at its end.`,
		Example: `  printf 'correct horse battery staple' | sparekey user verify ada@example.com --password-stdin`,
		Args:    takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			if !fromStdin {
				return usagef(passwordHint, "the password comes by stdin alone, and --password-stdin says so")
			}
			password, err := readPassword(cmd.Context(), c.stdin)
			if err != nil {
				return err
			}
			return unlessNo(withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				return verifyUser(ctx, c, core, a, password)
			}))
		},
	}
	cmd.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from stdin; the only way to hand it in")
	dataFlags(cmd)
	return cmd
}

func verifyUser(ctx context.Context, c console, core *core, a reset.Address, password string) error {
	ok, err := core.users.Verify(ctx, a.Raw(), password)
	if e, is := errors.AsType[*reset.Error](err); is && e.Kind == reset.NotFound {
		_, err := fmt.Fprintf(c.stderr, "%s\nhint: %s\n", e.Message, seeUsers)
		return errors.Join(errNo, err)
	}
	if err != nil {
		return err
	}
	if !ok {
		_, err := fmt.Fprintln(c.stderr, "that is not the password")
		return errors.Join(errNo, err)
	}
	_, err = fmt.Fprintln(c.stdout, "that is the password")
	return err
}

// unlessNo gives every error but the answer no an exit code of its own, so that
// a script never takes a locked database for a wrong password.
func unlessNo(err error) error {
	if err == nil || errors.Is(err, errNo) {
		return err
	}
	hint := ""
	if f, ok := errors.AsType[*failure](err); ok {
		hint = f.hint
	}
	return &failure{cause: err, hint: hint, code: exitUsage}
}
