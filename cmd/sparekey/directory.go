package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/logs"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/reset"
)

func newDirectory(c console) *cobra.Command {
	return newGroup("directory", "Look at the directories that users live in",
		`Directories are where users and their passwords live besides Sparekey's own table: an
application's database, LDAP, Active Directory, an application that answers calls.
They are set up in the configuration file; docs/directories.md takes you through each.`,
		newDirectoryList(c), newDirectoryCheck(c))
}

func newDirectoryList(c console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the directories that the configuration names",
		Example: "  sparekey directory list",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			return listDirectories(c.stdout, cfg.Directories, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	config.AddFlags(cmd.Flags())
	return cmd
}

func listDirectories(w io.Writer, list []config.Directory, asJSON bool) error {
	type row struct {
		Name    string   `json:"name"`
		Type    string   `json:"type"`
		Domains []string `json:"domains"`
		Account string   `json:"account"`
	}
	rows := make([]row, len(list))
	for i, d := range list {
		rows[i] = row{d.Name, d.Type, append([]string{}, d.Domains...), d.Account}
	}
	return printList(w, asJSON, rows, []string{"NAME", "TYPE", "DOMAINS", "ACCOUNT"}, func(r row) []string {
		return []string{r.Name, r.Type, cmp.Or(strings.Join(r.Domains, ", "), "all"), cmp.Or(r.Account, "-")}
	})
}

func newDirectoryCheck(c console) *cobra.Command {
	var (
		address string
		set     bool
	)
	cmd := &cobra.Command{
		Use:   "check NAME",
		Short: "Walk through a directory: connect, bind, find, and say what would be written",
		Long: `Walk through a directory as a reset would: connect, bind, see that what is needed is
there and allowed. With --address it finds who has that address, and says what a reset
would write where. It writes nothing.

With --set-test-user it sets the password of --address, read from standard input, as a
reset would, without a link. Name somebody who is there for tests: whoever it is has
that password from then on. The audit trail is told before and after; where there is
no database yet, the command says so and goes on.`,
		Example: `  sparekey directory check corp
  sparekey directory check corp --address ada@example.com
  sparekey directory check corp --address test@example.com --set-test-user < password`,
		Args: takes("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var who *reset.Address
			if address != "" {
				a, err := parseAddress(address)
				if err != nil {
					return err
				}
				who = &a
			}
			if set && who == nil {
				return usagef("name the test user: --address test@example.com", "--set-test-user needs --address")
			}
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			return checkDirectory(cmd.Context(), c, cfg, args[0], who, set)
		},
	}
	cmd.Flags().StringVar(&address, "address", "", "find who has `ADDRESS`")
	cmd.Flags().BoolVar(&set, "set-test-user", false, "set the password of --address to the one on standard input")
	config.AddFlags(cmd.Flags(), "hash", "database")
	return cmd
}

// checkDirectory looks at one directory, and tells each step as it succeeds.
func checkDirectory(ctx context.Context, c console, cfg *config.Config, name string, who *reset.Address, set bool) (err error) {
	hasher, err := newHasher(cfg, c.now)
	if err != nil {
		return err
	}
	log := logs.New(c.stderr, "text", slog.LevelWarn)
	d, err := newDirectories(cfg, hasher, c.now, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	made, ok := d.made[name]
	if !ok {
		return hintf(fmt.Errorf("there is no directory called %s that is not built in", visible(name)), "sparekey directory list tells those that there are")
	}
	say := func(line string) { _, _ = fmt.Fprintf(c.stdout, "ok   %s\n", visible(line)) }
	if err := made.Check(ctx, say); err != nil {
		return d.advise(name, err)
	}
	if who == nil {
		return nil
	}
	u, err := made.UserByAddress(ctx, *who)
	switch {
	case errors.Is(err, reset.ErrNoUser):
		return hintf(errors.New("nobody there has this very address"), "see that it is spelled as it is stored, and what the settings say of where users are")
	case errors.Is(err, reset.ErrAmbiguous):
		return hintf(err, "give each of them an address of their own; until then nobody with it is mailed")
	case err != nil:
		return d.advise(name, err)
	}
	describe(say, u)
	plan, err := made.Plan(ctx, u)
	if err != nil {
		return d.advise(name, err)
	}
	for _, line := range plan {
		if _, err := fmt.Fprintf(c.stdout, "     would: %s\n", visible(line)); err != nil {
			return err
		}
	}
	if !set {
		return nil
	}
	return setTestUser(ctx, c, cfg, d, name, u)
}

// describe says who was found.
func describe(say func(string), u reset.User) {
	parts := []string{"found " + u.Email.Raw(), "id " + u.ID}
	if u.Name != "" {
		parts = append(parts, "name "+u.Name)
	}
	if u.Locale != "" {
		parts = append(parts, "locale "+u.Locale)
	}
	for _, a := range u.Accounts {
		parts = append(parts, "account "+a.Name)
	}
	if u.Disabled {
		parts = append(parts, "disabled, so no link would be mailed")
	}
	say(strings.Join(parts, ", "))
}

// newHasher makes what hashes, within the bounds of the configuration.
func newHasher(cfg *config.Config, now reset.Clock) (*password.Hasher, error) {
	params := password.Params{MemoryKiB: cfg.Hash.Memory, Time: cfg.Hash.Time, Parallelism: cfg.Hash.Parallelism}
	return password.NewHasher(params, cfg.Hash.Concurrency, cfg.Hash.Queue, now)
}
