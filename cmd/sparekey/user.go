package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/directory/builtin"
	"github.com/sparekey/sparekey/internal/reset"
)

func newUser(c console) *cobra.Command {
	return newGroup("user", "Manage the users of the built-in directory",
		`Manage the users of the built-in directory. A user is known by the mail address
that links go to. None of these commands changes a password: that takes a reset.`,
		newUserAdd(c), newUserImport(c), newUserList(c), newUserDisable(c), newUserEnable(c), newUserVerify(c),
		newUserChangeAddress(c), newUserRemove(c))
}

func newUserAdd(c console) *cobra.Command {
	var (
		n        builtin.NewUser
		accounts []string
		withPass bool
	)
	cmd := &cobra.Command{
		Use:   "add EMAIL",
		Short: "Add a user",
		Long: `Add a user. Without --password-stdin the user has no password until the first
reset, and that is how most should begin: then nobody else ever knew it.

Accounts that are not there yet are made.`,
		Example: `  sparekey user add ada@example.com --name 'Ada Adams' --account Acme,Globex
  sparekey user add bob@example.com --password-stdin < password.txt`,
		Args: takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Email, n.Accounts = args[0], splitNames(accounts)
			if _, err := parseAddress(n.Email); err != nil {
				return err
			}
			return addUser(c, cmd, n, withPass)
		},
	}
	cmd.Flags().StringVar(&n.Name, "name", "", "address the person as `NAME`")
	cmd.Flags().StringArrayVar(&accounts, "account", nil, "make the user a member of `ACCOUNT`; several with commas between")
	cmd.Flags().StringVar(&n.Locale, "locale", "", "write to the person in `LANGUAGE`, a tag such as de or pt-BR")
	cmd.Flags().BoolVar(&withPass, "password-stdin", false, "read a first password from stdin")
	dataFlags(cmd)
	return cmd
}

func addUser(c console, cmd *cobra.Command, n builtin.NewUser, withPass bool) error {
	password := ""
	if withPass {
		var err error
		if password, err = readPassword(cmd.Context(), c.stdin); err != nil {
			return err
		}
		if password == "" {
			return usagef(passwordHint, "there is no password on stdin")
		}
	}
	return withCore(c, cmd, createMissing, func(ctx context.Context, core *core) (err error) {
		if withPass {
			if n.PasswordHash, err = core.users.HashNew(ctx, n, password); err != nil {
				return advise(err, reset.Invalid, "nobody was added; choose another password, or add the user without one")
			}
		}
		u, err := core.users.Add(ctx, n)
		if err != nil {
			return advise(err, reset.Conflict, "see: sparekey user list; to change the password, ask for a reset")
		}
		_, err = fmt.Fprintf(c.stdout, "added %s\n", visible(u.Email.Raw()))
		return err
	})
}

// splitNames takes apart what --account was given: names with commas between, perhaps more than once.
func splitNames(values []string) []string {
	var names []string
	for name := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// userRow is a user as it is listed.
type userRow struct {
	ID       string   `json:"id"`
	Email    string   `json:"email"`
	Name     string   `json:"name"`
	Locale   string   `json:"locale"`
	Accounts []string `json:"accounts"`
	State    string   `json:"state"`
}

func rowOfUser(u reset.User) userRow {
	row := userRow{ID: u.ID, Email: u.Email.Raw(), Name: u.Name, Locale: u.Locale, Accounts: []string{}, State: "active"}
	for _, a := range u.Accounts {
		row.Accounts = append(row.Accounts, a.Name)
	}
	switch {
	case u.Disabled:
		row.State = "disabled"
	case !u.MayReset():
		row.State = "suspended"
	}
	return row
}

func newUserList(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Long: `List the users by address. The state is active, disabled (sparekey user disable)
or suspended (every account of the user is); only active users are mailed a link.
The id, in --json alone, is what log lines call the user by.`,
		Example: `  sparekey user list
  sparekey user list --json | jq -r '.[] | select(.state != "active") | .email'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				users, err := core.users.List(ctx)
				if err != nil {
					return err
				}
				rows := make([]userRow, len(users))
				for i, u := range users {
					rows[i] = rowOfUser(u)
				}
				return printList(c.stdout, asJSON, rows, []string{"EMAIL", "NAME", "ACCOUNTS", "LOCALE", "STATE"}, func(r userRow) []string {
					return []string{r.Email, r.Name, strings.Join(r.Accounts, ", "), r.Locale, r.State}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	dataFlags(cmd)
	return cmd
}

func newUserDisable(c console) *cobra.Command {
	return newUserSwitch(c, "disable", "Keep a user from resetting",
		`Keep a user from resetting the password: no more mails, and links that are on
their way are dead at once. The password stays; ending sessions and refusing to
log in is up to the application.`,
		"disabled", func(ctx context.Context, d *builtin.Directory, email string) error { return d.Disable(ctx, email) })
}

func newUserEnable(c console) *cobra.Command {
	return newUserSwitch(c, "enable", "Let a disabled user reset again",
		`Let a disabled user reset the password again. Links from before stay dead.`,
		"enabled", func(ctx context.Context, d *builtin.Directory, email string) error { return d.Enable(ctx, email) })
}

func newUserSwitch(c console, name, short, long, done string, do func(context.Context, *builtin.Directory, string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " EMAIL", Short: short, Long: long,
		Example: "  sparekey user " + name + " ada@example.com",
		Args:    takes("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if err := do(ctx, core.users, a.Raw()); err != nil {
					return advise(err, reset.NotFound, seeUsers)
				}
				_, err := fmt.Fprintf(c.stdout, "%s %s\n", done, visible(a.Raw()))
				return err
			})
		},
	}
	dataFlags(cmd)
	return cmd
}

const seeUsers = "see: sparekey user list"
