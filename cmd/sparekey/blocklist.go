package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/sparekey/sparekey/internal/config"
	"github.com/sparekey/sparekey/internal/password"
	"github.com/sparekey/sparekey/internal/password/blocklist"
	"github.com/sparekey/sparekey/internal/password/pwned"
)

// lists are what knows leaked passwords: a file, a service, both or neither.
type lists struct {
	file    *blocklist.File
	service *pwned.Service
}

func newLists(cfg config.Password) *lists {
	l := &lists{}
	if cfg.Blocklist != "" {
		l.file = blocklist.At(cfg.Blocklist)
	}
	if cfg.RangeURL != "" {
		l.service = pwned.New(cfg.RangeURL, cfg.RangeTimeout)
	}
	return l
}

func (l *lists) close() error {
	if l.service != nil {
		l.service.Close()
	}
	if l.file != nil {
		return l.file.Close()
	}
	return nil
}

// newPolicy makes the policy that is configured. It opens nothing.
func newPolicy(cfg *config.Config, known *lists, log *slog.Logger) (*password.Policy, error) {
	o := password.Options{
		MinLength: cfg.Password.MinLength, MaxLength: cfg.Password.MaxLength, MinStrength: cfg.Password.MinStrength,
		ServiceName: cfg.Mail.ServiceName, Log: log,
	}
	if known.file != nil {
		o.Leaked = known.file
	}
	if known.service != nil {
		o.Range = known.service
	}
	return password.NewPolicy(o)
}

// verifyLists reads the list of leaked passwords through before anything is served.
func (c *core) verifyLists(ctx context.Context) error {
	if c.lists.file == nil {
		return nil
	}
	n, err := c.lists.verify(ctx)
	if err != nil {
		return err
	}
	c.log.InfoContext(ctx, "list of leaked passwords is whole", "event", "password.blocklist", "passwords", n)
	return nil
}

// verify reads the file through and says how many passwords it has.
func (l *lists) verify(ctx context.Context) (uint64, error) {
	n, err := l.file.Verify(ctx)
	if err != nil && ctx.Err() == nil {
		return 0, hintf(err, "build it with: sparekey blocklist build FILE --out LIST; or do without one and unset SPAREKEY_PASSWORD_BLOCKLIST")
	}
	return n, err
}

func newBlocklist(c console) *cobra.Command {
	return newGroup("blocklist", "Build and ask a list of leaked passwords",
		`Build and ask a list of leaked passwords, which nobody may choose. Sparekey
comes with a small list of common ones; what was leaked from others is published
as hashes, and built into a file for the setting password.blocklist.`,
		newBlocklistBuild(c), newBlocklistCheck(c))
}

func newBlocklistCheck(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether a password is in a list",
		Long: `Say whether a password, all of stdin without one line break at its end, is in a
list: the one of common passwords that Sparekey comes with, that of
password.blocklist, or that of password.range_url. The exit code is 0 when it is
in none, 1 when it is in one, and 2 when that could not be found out.`,
		Example: `  printf 'correct horse battery staple' | sparekey blocklist check`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(c, cmd, nil)
			if err != nil {
				return err
			}
			typed, err := readPassword(cmd.Context(), c.stdin)
			if err != nil {
				return err
			}
			if typed == "" {
				return usagef("pipe the password in, or take it from a file: … < FILE", "there is no password on stdin")
			}
			return unlessNo(checkPassword(cmd.Context(), c, cfg, typed))
		},
	}
	config.AddFlags(cmd.Flags(), "password")
	return cmd
}

// checkPassword asks every list, the nearest first, and stops at the first that has it.
func checkPassword(ctx context.Context, c console, cfg *config.Config, typed string) (err error) {
	known := newLists(cfg.Password)
	defer func() { err = errors.Join(err, known.close()) }()
	asked := []string{"the built-in list"}
	found := func(where string) error {
		_, err := fmt.Fprintf(c.stdout, "it is in %s\n", where)
		return errors.Join(errNo, err)
	}
	if password.IsCommon(typed) {
		return found(asked[0])
	}
	ask := func(where string, l password.List) error {
		asked = append(asked, where)
		has, err := password.IsListed(ctx, l, typed)
		if err == nil && has {
			return found(where)
		}
		return err
	}
	if known.file != nil {
		if err := ask(cfg.Password.Blocklist, known.file); err != nil {
			return err
		}
	}
	if known.service != nil {
		if err := ask(cfg.Password.RangeURL, known.service); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.stdout, "it is not in %s\n", either(asked))
	return err
}
