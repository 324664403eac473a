package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/reset"
)

func newAccount(c console) *cobra.Command {
	return newGroup("account", "Manage accounts, the organisations that users belong to",
		`Manage accounts, the organisations that users belong to. A user joins accounts
when it is added (sparekey user add --account). Upper and lower case do not
matter in an account's name.`,
		newAccountAdd(c), newAccountList(c), newAccountSet(c), newAccountShow(c), newAccountSuspend(c), newAccountResume(c))
}

func newAccountAdd(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "add NAME",
		Short:   "Add an account",
		Long:    `Add an account. Its name stands in the mails to its users.`,
		Example: `  sparekey account add 'Acme Ltd'`,
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCore(c, cmd, createMissing, func(ctx context.Context, core *core) error {
				a, err := core.users.AddAccount(ctx, args[0])
				if err != nil {
					return advise(err, reset.Conflict, seeAccounts)
				}
				_, err = fmt.Fprintf(c.stdout, "added %s\n", visible(a.Name))
				return err
			})
		},
	}
	dataFlags(cmd)
	return cmd
}

// accountRow is an account as it is listed.
type accountRow struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

func newAccountList(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the accounts",
		Long:  `List the accounts by name. The state is active or suspended.`,
		Example: `  sparekey account list
  sparekey account list --json | jq -r '.[].name'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				accounts, err := core.users.Accounts(ctx)
				if err != nil {
					return err
				}
				rows := make([]accountRow, len(accounts))
				for i, a := range accounts {
					rows[i] = accountRow{Name: a.Name, State: "active"}
					if a.Suspended {
						rows[i].State = "suspended"
					}
				}
				return printList(c.stdout, asJSON, rows, []string{"NAME", "STATE"}, func(r accountRow) []string {
					return []string{r.Name, r.State}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	dataFlags(cmd)
	return cmd
}

func newAccountSuspend(c console) *cobra.Command {
	return newAccountSwitch(c, "suspend", "Keep the users of an account from resetting",
		`Keep the users of an account from resetting their passwords. Those who are in no
other active account get no mails, and their links are dead at once.`,
		"suspended", func(ctx context.Context, core *core, name string) error { return core.users.Suspend(ctx, name) })
}

func newAccountResume(c console) *cobra.Command {
	return newAccountSwitch(c, "resume", "End an account's suspension",
		`End an account's suspension. Links from before stay dead.`,
		"resumed", func(ctx context.Context, core *core, name string) error { return core.users.Resume(ctx, name) })
}

func newAccountSwitch(c console, name, short, long, done string, do func(context.Context, *core, string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " NAME", Short: short, Long: long,
		Example: "  sparekey account " + name + " 'Acme Ltd'",
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if err := do(ctx, core, args[0]); err != nil {
					return advise(err, reset.NotFound, seeAccounts)
				}
				_, err := fmt.Fprintf(c.stdout, "%s %s\n", done, visible(args[0]))
				return err
			})
		},
	}
	dataFlags(cmd)
	return cmd
}

const seeAccounts = "see: sparekey account list"
