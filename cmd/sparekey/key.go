package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/reset"
)

func newKey(c console) *cobra.Command {
	return newGroup("key", "Manage API keys",
		`Manage API keys. An application sends its key as X-Auth-Token with each call.`,
		newKeyCreate(c), newKeyList(c), newKeyRevoke(c))
}

func newKeyCreate(c console) *cobra.Command {
	var (
		scope   string
		account string
		expires lifetime
	)
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key and print it, this once",
		Long: `Make a key and print it, alone, on stdout. Nobody can see it again: only a digest
is stored. NAME is for you, to know the key by in key list and key revoke.

The scope says what the key may do: reset looks at requests and resets; admin may
also ask for links in bulk. A key with an account opens only requests of that
account's users.`,
		Example: `  sparekey key create my-app > key.txt
  sparekey key create acme-import --scope admin --account Acme --expires 90d`,
		Args: takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s := reset.Scope(scope); s != reset.ScopeReset && s != reset.ScopeAdmin {
				return usagef("write --scope reset or --scope admin", "there is no scope %q", scope)
			}
			return withCore(c, cmd, createMissing, func(ctx context.Context, core *core) error {
				secret, err := createKey(ctx, core, args[0], reset.Scope(scope), account, time.Duration(expires))
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintln(c.stderr, "note: this is the only time the key is shown; put it where your application keeps its secrets"); err != nil {
					return err
				}
				_, err = fmt.Fprintln(c.stdout, secret)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&scope, "scope", string(reset.ScopeReset), "let the key do what `SCOPE` says: reset or admin")
	cmd.Flags().StringVar(&account, "account", "", "open only requests of users of `ACCOUNT`")
	cmd.Flags().Var(&expires, "expires", "make the key useless after `TIME`, such as 90d or 12h (default: never)")
	dataFlags(cmd)
	return cmd
}

func createKey(ctx context.Context, core *core, name string, scope reset.Scope, account string, expires time.Duration) (string, error) {
	var id int64
	if account != "" {
		a, err := core.users.Account(ctx, account)
		if err != nil {
			return "", advise(err, reset.NotFound, seeAccounts+"; or make it: sparekey account add NAME")
		}
		id = a.ID
	}
	secret, err := core.keys().Create(ctx, name, scope, id, expires)
	return secret, advise(err, reset.Conflict, "choose another name; that of a revoked key stays taken; "+seeKeys)
}

// keyRow is a key as it is listed; its secret is nowhere.
type keyRow struct {
	Name       string      `json:"name"`
	Scope      reset.Scope `json:"scope"`
	Account    string      `json:"account"`
	CreatedAt  *time.Time  `json:"created_at"`
	ExpiresAt  *time.Time  `json:"expires_at"`
	LastUsedAt *time.Time  `json:"last_used_at"`
	RevokedAt  *time.Time  `json:"revoked_at"`
	State      string      `json:"state"`
}

func rowOfKey(k reset.Key, now time.Time) keyRow {
	row := keyRow{
		Name: k.Name, Scope: k.Scope, Account: k.AccountName,
		CreatedAt: instant(k.CreatedAt), ExpiresAt: instant(k.ExpiresAt),
		LastUsedAt: instant(k.LastUsedAt), RevokedAt: instant(k.RevokedAt),
		State: "active",
	}
	switch {
	case !k.RevokedAt.IsZero():
		row.State = "revoked"
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		row.State = "expired"
	}
	return row
}

func newKeyList(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Long: `List the keys by name, without their secrets. The state is active, expired or
revoked. When a key was last used is exact to the minute.`,
		Example: `  sparekey key list
  sparekey key list --json | jq -r '.[] | select(.last_used_at == null) | .name'`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				keys, err := core.keys().List(ctx)
				if err != nil {
					return err
				}
				now := c.now()
				rows := make([]keyRow, len(keys))
				for i, k := range keys {
					rows[i] = rowOfKey(k, now)
				}
				header := []string{"NAME", "SCOPE", "ACCOUNT", "CREATED", "EXPIRES", "LAST USED", "STATE"}
				return printList(c.stdout, asJSON, rows, header, func(r keyRow) []string {
					return []string{
						r.Name, string(r.Scope), r.Account,
						stamp(r.CreatedAt, "-"), stamp(r.ExpiresAt, "never"), stamp(r.LastUsedAt, "never"), r.State,
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	dataFlags(cmd)
	return cmd
}

func newKeyRevoke(c console) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Make a key useless at once",
		Long: `Make a key useless at once, for good. It stays listed. On a terminal it asks
first; a script is not asked, so that it can shut off a stolen key at once.`,
		Example: `  sparekey key revoke my-app`,
		Args:    takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := confirm(cmd.Context(), c, yes, goOnUnasked, fmt.Sprintf("Revoke the key %s?", args[0])); err != nil {
				return err
			}
			return withCore(c, cmd, refuseMissing, func(ctx context.Context, core *core) error {
				if err := core.keys().Revoke(ctx, args[0]); err != nil {
					return advise(err, reset.NotFound, "it may be revoked already; "+seeKeys)
				}
				_, err := fmt.Fprintf(c.stdout, "revoked %s\n", visible(args[0]))
				return err
			})
		},
	}
	yesFlag(cmd, &yes)
	dataFlags(cmd)
	return cmd
}

const seeKeys = "see: sparekey key list"
