package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/reset"
)

func newUserChangeAddress(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "change-address EMAIL NEW-EMAIL",
		Short: "Give a user another mail address",
		Long: `Give a user another mail address. The password stays. Links that are on their way
to the old address are dead at once, and both addresses are told that it changed.`,
		Example: "  sparekey user change-address ada@example.com ada.adams@example.com",
		Args:    takes("EMAIL", "NEW-EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			to, err := parseAddress(args[1])
			if err != nil {
				return err
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if err := core.users.ChangeAddress(ctx, from.Raw(), to.Raw()); err != nil {
					return advise(advise(err, reset.NotFound, seeUsers), reset.Conflict, seeUsers)
				}
				_, err := fmt.Fprintf(c.stdout, "changed the address of %s to %s\n", visible(from.Raw()), visible(to.Raw()))
				return err
			})
		},
	}
	dataFlags(cmd)
	return cmd
}

func newUserRemove(c console) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove EMAIL",
		Short: "Remove a user, with all that is kept of the person",
		Long: `Remove a user: the name, the address, the password, the memberships, the requests
and, from what the outbox still holds, the address. Links that are on their way are
dead at once, and nobody is told. What earlier backups have is not touched.`,
		Example: "  sparekey user remove ada@example.com --yes",
		Args:    takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			if err := confirm(cmd.Context(), c, yes, refuseUnasked, fmt.Sprintf("Remove %s?", a.Raw())); err != nil {
				return err
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if err := core.users.Remove(ctx, a.Raw()); err != nil {
					return advise(advise(err, reset.NotFound, seeUsers), reset.Unavailable,
						"see: sparekey user list; if the user is gone, the rest goes when no program has the database's file open any more")
				}
				_, err := fmt.Fprintf(c.stdout, "removed %s\n", visible(a.Raw()))
				return err
			})
		},
	}
	yesFlag(cmd, &yes)
	dataFlags(cmd)
	return cmd
}
